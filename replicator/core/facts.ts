/**
 * The facts of one fold: what its users say of each other, and how far they have read. Rule: of the facts that are told of one thing the
 * highest stands, whatever the order in which they come. So facts of several logs merge by maximum, need no epochs, and stay where they
 * were written when the user moves (decisions/0018).
 */
import { STANCE_WORDS } from "./commands.ts";
import type { Fact, UserCommand, UserId } from "./commands.ts";
import { LIMITS } from "./limits.ts";
import type { Refusal } from "./record.ts";

/** A fact and its place among those of its fold. A higher one takes its place; it is never mutated. */
export interface HeldFact {
  readonly slot: number;
  fact: Fact;
}

interface FactsOfUser {
  readonly byKey: Map<string, HeldFact>;
  readonly counts: Record<Fact["kind"], number>;
}

/** How many facts of a kind a fold holds of one user. */
const COUNT_MAX: Readonly<Record<Fact["kind"], number>> = {
  stance: LIMITS.stancesPerUserMax,
  read: LIMITS.stancesPerUserMax,
  bookmark: 1,
};

export class Facts {
  readonly #byUser = new Map<UserId, FactsOfUser>();
  /** By slot. None ever goes. */
  readonly #all: HeldFact[] = [];

  get size(): number {
    return this.#all.length;
  }

  get all(): readonly HeldFact[] {
    return this.#all;
  }

  /** What the user's fact with that key says. */
  get(user: UserId, key: string): Fact | undefined {
    return this.#byUser.get(user)?.byKey.get(key)?.fact;
  }

  /** Everything that the user said, in no particular order. */
  of(user: UserId): Iterable<HeldFact> {
    return this.#byUser.get(user)?.byKey.values() ?? [];
  }

  /** The fact in whose place this one would come. */
  held(fact: Fact): HeldFact | undefined {
    return this.#byUser.get(fact.user)?.byKey.get(keyOf(fact));
  }

  /** Why the fact would change nothing, if so. */
  refusal(fact: Fact): Refusal | undefined {
    if ("other" in fact && fact.other === fact.user) return "about-oneself";
    const held = this.held(fact);
    if (held !== undefined) return isAbove(fact, held.fact) ? undefined : "nothing-new";
    const count = this.#byUser.get(fact.user)?.counts[fact.kind] ?? 0;
    return count < COUNT_MAX[fact.kind] ? undefined : "too-many-facts";
  }

  /** Holds the fact, in the place of the one that it stands above. */
  put(fact: Fact): HeldFact {
    const held = this.held(fact);
    if (held !== undefined) {
      held.fact = fact;
      return held;
    }
    const added: HeldFact = { slot: this.#all.length, fact };
    this.#all.push(added);
    const { byKey, counts } = this.#byUser.get(fact.user) ?? this.#begin(fact.user);
    byKey.set(keyOf(fact), added);
    counts[fact.kind] += 1;
    return added;
  }

  #begin(user: UserId): FactsOfUser {
    const begun = { byKey: new Map<string, HeldFact>(), counts: { stance: 0, read: 0, bookmark: 0 } };
    this.#byUser.set(user, begun);
    return begun;
  }
}

/** Whether the command is a fact; else it is about the user's record. */
export function isFact(command: UserCommand): command is Fact {
  return command.kind === "stance" || command.kind === "read" || command.kind === "bookmark";
}

export function stanceKey(other: UserId): string {
  return `stance ${other}`;
}

export function readKey(other: UserId): string {
  return `read ${other}`;
}

export const BOOKMARK_KEY = "bookmark";

/** What the fact is about, among those of its user: of two with the same key one stands. */
export function keyOf(fact: Fact): string {
  if (fact.kind === "stance") return stanceKey(fact.other);
  return fact.kind === "read" ? readKey(fact.other) : BOOKMARK_KEY;
}

/** Whether `fact` takes the place of `other`, which has the same key: a strict total order over facts that differ. */
export function isAbove(fact: Fact, other: Fact): boolean {
  const [a, b] = [rankOf(fact), rankOf(other)];
  const order = a.round - b.round || a.word - b.word || b.atMs - a.atMs;
  return order === 0 ? a.text > b.text : order > 0;
}

interface Rank {
  readonly round: number;
  readonly word: number;
  /** The earlier is higher. A tie-break alone: no later word of a round is held up by a clock. */
  readonly atMs: number;
  readonly text: string;
}

function rankOf(fact: Fact): Rank {
  switch (fact.kind) {
    case "stance":
      return {
        round: fact.round,
        word: STANCE_WORDS.indexOf(fact.word),
        atMs: fact.atMs,
        text: fact.message,
      };
    case "read":
      return { round: fact.round, word: 0, atMs: 0, text: "" };
    case "bookmark":
      return { round: fact.count, word: 0, atMs: 0, text: fact.offset };
  }
}

/** The highest of facts with the same key. */
export function highest(facts: Iterable<Fact | undefined>): Fact | undefined {
  let found: Fact | undefined;
  for (const fact of facts)
    if (fact !== undefined && (found === undefined || isAbove(fact, found))) found = fact;
  return found;
}
