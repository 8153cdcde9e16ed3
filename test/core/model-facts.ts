/**
 * The slow model of what users say of each other, written from the design: of all that was said about one thing the highest stands, and
 * two such facts make a pair. It has no table: the answer follows from who wants what.
 */
import type { Fact, Stance, StanceWord, UserCommand, UserId } from "../../replicator/core/commands.ts";
import type { Pair } from "../../replicator/core/pair.ts";
import type { ModelLog } from "./model.ts";
import { pendingOf } from "./model-view.ts";

export function isFactual(command: UserCommand): command is Fact {
  return ["stance", "read", "bookmark"].includes(command.kind);
}

/** What a fact is about. */
export function keyIn(fact: Fact): string {
  return [fact.kind, fact.user, "other" in fact ? fact.other : ""].join();
}

const WORDS: readonly StanceWord[] = ["asked", "accepted", "declined", "cancelled"];

/** Whether the one takes the place of the other, which is about the same. */
export function above(fact: Fact, held: Fact): boolean {
  if (fact.kind === "bookmark" && held.kind === "bookmark")
    return fact.count > held.count || (fact.count === held.count && fact.offset > held.offset);
  if (fact.kind === "read" && held.kind === "read") return fact.round > held.round;
  if (fact.kind !== "stance" || held.kind !== "stance") throw new Error("facts about different things");
  if (fact.round !== held.round) return fact.round > held.round;
  if (fact.word !== held.word) return WORDS.indexOf(fact.word) > WORDS.indexOf(held.word);
  if (fact.atMs !== held.atMs) return fact.atMs < held.atMs;
  return fact.message > held.message;
}

/** Of everything in the logs and on its way between them, the highest about each thing. */
export function factsOf(logs: readonly ModelLog[]): Map<string, Fact> {
  const onTheWay = pendingOf(logs).map(({ command }) => command);
  const all = [...logs.flatMap(({ facts }) => [...facts.values()]), ...onTheWay.filter(isFactual)];
  const found = new Map<string, Fact>();
  for (const fact of all) {
    const held = found.get(keyIn(fact));
    if (held === undefined || above(fact, held)) found.set(keyIn(fact), fact);
  }
  return found;
}

export function stanceIn(facts: ReadonlyMap<string, Fact>, user: UserId, other: UserId): Stance | undefined {
  const fact = facts.get(["stance", user, other].join());
  return fact?.kind === "stance" ? fact : undefined;
}

/** What two users are to each other. */
export function modelPair(facts: ReadonlyMap<string, Fact>, a: UserId, b: UserId): Pair {
  const said = [stanceIn(facts, a, b), stanceIn(facts, b, a)].filter((one) => one !== undefined);
  const round = Math.max(0, ...said.map((one) => one.round));
  const counting = said.filter((one) => one.round === round);
  const words = counting.map(({ word }) => word);
  const state = stateOf(words);
  if (state === "none") return { state, from: "", round: 0, message: "", atMs: 0 };
  const sorted = counting.toSorted((one, two) => one.atMs - two.atMs || (one.user < two.user ? -1 : 1));
  const question =
    sorted.find(({ word }) => word === "asked") ?? sorted.find(({ word }) => word === "cancelled");
  const { message = "", atMs = 0 } = question?.word === "asked" ? question : {};
  return { state, from: question?.user ?? askerOf(sorted, a, b), round, message, atMs };
}

/** Nobody asked or took it back: who answered was asked; of two who answered the earlier counts as the one who asked. */
function askerOf(sorted: readonly Stance[], a: UserId, b: UserId): UserId {
  const [first, second] = sorted;
  if (second !== undefined || first === undefined) return first?.user ?? "";
  return first.user === a ? b : a;
}

function stateOf(words: readonly StanceWord[]): Pair["state"] {
  const has = (word: StanceWord): boolean => words.includes(word);
  if (words.length === 0) return "none";
  if (has("cancelled")) return has("asked") ? "requested" : "cancelled";
  if (has("declined")) return "declined";
  if (has("accepted") || words.length === 2) return "friends";
  return "requested";
}
