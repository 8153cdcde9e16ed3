/**
 * Users who ask each other to be friends, answer and cancel, in any region, through the service as its routes do. Rule: a request that was
 * acknowledged, and of whose pair nobody has said anything since, waits for its answer on every replica that has its place in the log.
 */
import type { Fact, UserId } from "../../replicator/core/commands.ts";
import { parseRequestId } from "../../services/friends/names.ts";
import type { FriendRequests, Verb } from "../../services/friends/requests.ts";
import type { Token } from "../../replicator/core/token.ts";
import { mentions } from "./history.ts";
import type { Place } from "./history.ts";
import type { Said } from "./askers.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

const LEAST_MS = 100;
const MOST_MS = 400;
/** So few that they often meet, and others than those of the askers. */
const FIRST_USER = 7;
const USERS = 8;
/** These shares of the times ask anybody, or take a request of their own back; the others answer one. */
const ASK = 0.45;
const CANCEL = 0.1;
const DECLINE = 0.3;

/** What was said of two users. */
interface PairSaid {
  /** How often anybody tried. */
  said: number;
  /** Tries of which nobody knows what became of them, or not yet. */
  open: number;
  /** Where what was acknowledged stands. */
  readonly places: Place[];
}

/** One try; its number, or none where it may cross what was said before. */
interface Telling {
  readonly pair: PairSaid;
  readonly said: number;
}

/** A request that was acknowledged, and the token told. */
export interface Asked {
  readonly from: UserId;
  readonly to: UserId;
  readonly round: number;
  readonly token: Token;
  readonly place: Place;
  /** How often something had been said of the pair then; not a number where it may cross that. */
  readonly said: number;
}

export class Befrienders {
  readonly #world: World;
  readonly #random: Random;
  readonly #quiet: () => boolean;
  /** Newest last. */
  readonly asked: Asked[] = [];
  readonly acknowledged: Said[] = [];
  readonly counts = { friendRequests: 0, friendAnswers: 0, friendRefusals: 0, pairsMade: 0 };
  readonly #pairs = new Map<string, PairSaid>();

  constructor(world: World, quiet: () => boolean) {
    this.#world = world;
    this.#quiet = quiet;
    this.#random = new Random(world.settings.seed, "befrienders");
    if (world.settings.doings.includes("friend-requests")) this.#work();
  }

  get users(): readonly UserId[] {
    return Array.from({ length: USERS }, (_, number) => `user${FIRST_USER + number}`);
  }

  /** Whether the request must still wait for its answer. */
  stands({ from, to, said }: Asked): boolean {
    return this.#pairOf(from, to).said === said;
  }

  #work(): void {
    this.#world.machine.after(undefined, this.#random.between(LEAST_MS, MOST_MS), "befriender", () => {
      const host = this.#world.serving(this.#random.pick(REGIONS));
      const [user, other] = [this.#random.pick(this.users), this.#random.pick(this.users)];
      const [choice, answer] = [this.#random.unit(), this.#random.unit()];
      const { friends } = host;
      if (!this.#quiet() && host.ready && friends !== undefined && user !== other) {
        this.#world.machine.enter(host.process);
        if (choice < ASK) void this.#ask(host, friends, user, other);
        else this.#answer(host, friends, user, choice < ASK + CANCEL, answer);
      }
      this.#work();
    });
  }

  async #ask(host: NodeHost, friends: FriendRequests, from: UserId, to: UserId): Promise<void> {
    const { machine } = this.#world;
    const before = host.node.replica.friends.pairOf(from, to).state;
    const telling = this.#begins(host, from, to);
    const atMs = host.process.clock().wallMs;
    const message = `from ${host.region}`;
    machine.trace(() => `${from} asks ${to} in ${host.region}`);
    const outcome = await friends.ask(from, to, message);
    if (!outcome.ok) return this.#failed(from, to, outcome.problem.name, host);
    const { id, state, token } = outcome.value;
    this.#told(telling, token);
    const name = parseRequestId(id);
    if (before !== "friends" && state === "friends") this.counts.pairsMade += 1;
    if (before === "requested" || before === "friends" || name?.from !== from) return;
    this.counts.friendRequests += 1;
    const { round } = name;
    const place = this.#place(from, token);
    if (place === undefined) return;
    const fact: Fact = { kind: "stance", user: from, other: to, word: "asked", round, message, atMs };
    this.acknowledged.push({ fact, place });
    this.asked.push({ from, to, round, token, place, said: telling.said });
  }

  /** Of what waits here for the user, or was asked by them. */
  #answer(host: NodeHost, friends: FriendRequests, user: UserId, cancels: boolean, which: number): void {
    const held = host.node.replica.friends;
    const open = cancels ? held.outgoingOf(user) : held.incomingOf(user);
    const one = open[Math.floor(which * open.length)];
    if (one === undefined) return;
    const [from, to] = cancels ? [user, one.other] : [one.other, user];
    const id = friends.pending(from, to);
    if (id === undefined) return this.#world.machine.fail(`${host.name} lists a request that does not wait`);
    const verb: Verb = cancels ? "cancel" : (which * 100) % 1 < DECLINE ? "decline" : "accept";
    void this.#act(host, friends, { from, to, id, verb });
  }

  async #act(
    host: NodeHost,
    friends: FriendRequests,
    { from, to, id, verb }: { from: UserId; to: UserId; id: string; verb: Verb },
  ): Promise<void> {
    const telling = this.#begins(host, from, to);
    this.#world.machine.trace(() => `${verb} of ${from}'s request to ${to} in ${host.region}`);
    const outcome = await friends.act(verb, id, undefined);
    if (!outcome.ok) return this.#failed(from, to, outcome.problem.name, host);
    this.#told(telling, outcome.value.token);
    this.counts.friendAnswers += 1;
    if (outcome.value.state === "friends") this.counts.pairsMade += 1;
  }

  /** Something is said of the pair in that region: whoever stands by what was said before is overtaken. */
  #begins(host: NodeHost, from: UserId, to: UserId): Telling {
    const pair = this.#pairOf(from, to);
    const isClear = pair.open === 0 && pair.places.every((place) => host.has(place));
    pair.said += 1;
    pair.open += 1;
    return { pair, said: isClear ? pair.said : Number.NaN };
  }

  #told({ pair }: Telling, token: Token): void {
    pair.open -= 1;
    for (const [region, { logId, position }] of token)
      pair.places.push(...this.#world.history.places(region, logId, position));
  }

  #pairOf(from: UserId, to: UserId): PairSaid {
    const key = [from, to].toSorted().join(" ");
    const pair = this.#pairs.get(key) ?? { said: 0, open: 0, places: [] };
    this.#pairs.set(key, pair);
    return pair;
  }

  #failed(from: UserId, to: UserId, problem: string, host: NodeHost): void {
    this.counts.friendRefusals += 1;
    if (!REFUSALS.includes(problem))
      this.#world.machine.fail(`${host.name} refused what was said of ${from} and ${to}: ${problem}`);
  }

  #place(user: UserId, token: Token): Place | undefined {
    const { history, machine } = this.#world;
    const [said] = token;
    if (said === undefined) return undefined;
    const [region, { logId, position }] = said;
    const place = history.find(region, logId, position, (frame) => mentions(frame, user));
    if (place === undefined)
      machine.fail(`invariant 4: a request of ${user} was acknowledged that no log had`);
    return place;
  }
}

/** What the service may answer to what a replica has just shown to be possible. */
const REFUSALS: readonly string[] = ["not-ready", "log-unavailable", "overloaded", "friend-request-state"];
