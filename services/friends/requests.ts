/**
 * What services ask to be written about friends: each becomes facts of the user who says them, appended to this region's log on their way
 * home (decisions/0018). Rule: a request is decided by what this replica has; one that cannot be, or changes nothing, is not written. Who
 * was answered is told what the two are to each other here and now: a word that another region already has may still turn it.
 */
import type { Fact, Region, Stance, UserId } from "../../replicator/core/commands.ts";
import { isAbove } from "../../replicator/core/facts.ts";
import type { Friends } from "../../replicator/core/friends.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Pair, PairState } from "../../replicator/core/pair.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { appendFailed } from "../presence/failures.ts";
import type { Homeward } from "../presence/homeward.ts";
import type { Refused } from "../presence/problems.ts";
import type { Consistency, Outcome, ReadOptions } from "../presence/service.ts";
import { Pace } from "./pace.ts";
import { parseOffset, parseRequestId, requestId } from "./names.ts";
import type { RequestName } from "./names.ts";
import * as refusals from "./refusals.ts";

export interface FriendRequestsOptions {
  readonly region: Region;
  /** The replica of the moment. */
  readonly replica: () => Replica;
  readonly homeward: Homeward;
  readonly meet: (options: ReadOptions) => Promise<Outcome<Consistency>>;
  readonly clock: Clock;
}

export interface Written {
  readonly state: PairState;
  readonly token: Token;
}

export interface Asked extends Written {
  readonly id: string;
}

/** What became of a write, for the count of them. */
export type WriteResult =
  | "asked"
  | "crossed"
  | "accepted"
  | "declined"
  | "cancelled"
  | "parted"
  | "read"
  | "repeated"
  | "refused"
  | "failed";

type Done<T> = { readonly ok: true; readonly value: T } | Refused;

export const VERBS = ["accept", "decline", "cancel"] as const;
export type Verb = (typeof VERBS)[number];

const GOALS = { accept: "friends", decline: "declined", cancel: "cancelled" } as const;
const WORDS = { accept: "accepted", decline: "declined", cancel: "cancelled" } as const;

export class FriendRequests {
  readonly written: Record<WriteResult, number> = {
    asked: 0,
    crossed: 0,
    accepted: 0,
    declined: 0,
    cancelled: 0,
    parted: 0,
    read: 0,
    repeated: 0,
    refused: 0,
    failed: 0,
  };
  readonly #options: FriendRequestsOptions;
  readonly #pace = new Pace();

  constructor(options: FriendRequestsOptions) {
    this.#options = options;
  }

  get #friends(): Friends {
    return this.#options.replica().friends;
  }

  /** `from` asks `to`, who is another. Who asks again asks the same; two who ask each other are friends. */
  async ask(from: UserId, to: UserId, message: string): Promise<Done<Asked>> {
    const pair = this.#friends.pairOf(from, to);
    const isAsked = pair.state === "requested";
    if (pair.state === "friends" || (isAsked && pair.from === from)) {
      this.written.repeated += 1;
      const id = requestId(this.#nameOf(from, to, pair.round));
      return { ok: true, value: { id, state: pair.state, token: this.#applied() } };
    }
    if (!isAsked) {
      const full = this.#full(from, to);
      if (full !== undefined) return this.#refused(full);
    }
    const atMs = this.#options.clock().wallMs;
    // What `from` said in the round of the other's question is a cancellation: only an answer in the next one stands above it.
    const isSpent = isAsked && this.#friends.stanceOf(from, to)?.round === pair.round;
    const round = isAsked && !isSpent ? pair.round : pair.round + 1;
    const said = { kind: "stance", user: from, other: to, round, atMs } as const;
    const stance: Stance = isSpent
      ? { ...said, word: "accepted", message: "" }
      : { ...said, word: "asked", message };
    const written = await this.#say(stance, isAsked ? "crossed" : "asked");
    if (!written.ok) return written;
    const id = requestId(this.#nameOf(from, to, round));
    return { ok: true, value: { ...written.value, id } };
  }

  /** The id of the request of `from` that waits for an answer. */
  pending(from: UserId, to: UserId): string | undefined {
    const { state, from: asker, round } = this.#friends.pairOf(from, to);
    return state === "requested" && asker === from ? requestId({ from, to, round }) : undefined;
  }

  /** The recipient accepts or declines, the sender cancels. Where it is so already nothing is written. */
  async act(verb: Verb, id: string, user: UserId | undefined): Promise<Done<Written>> {
    const name = parseRequestId(id);
    if (name === undefined) return this.#refused(refusals.MALFORMED_ID);
    const [actor, other] = verb === "cancel" ? [name.from, name.to] : [name.to, name.from];
    if (user !== undefined && user !== actor) return this.#refused(refusals.wrongUser(verb, actor));
    const pair = this.#friends.pairOf(name.from, name.to);
    const state = this.#stateOf(name, pair);
    if (state === undefined) return this.#refused(refusals.UNKNOWN);
    if (state === GOALS[verb]) {
      this.written.repeated += 1;
      return { ok: true, value: { state, token: this.#applied() } };
    }
    if (state !== "requested" || pair.round !== name.round)
      return this.#refused(refusals.notInState(verb, state, pair.round > name.round));
    const isSpent = verb !== "cancel" && this.#friends.stanceOf(actor, other)?.round === name.round;
    const word = WORDS[verb];
    const round = isSpent ? name.round + 1 : name.round;
    const atMs = this.#options.clock().wallMs;
    return this.#say({ kind: "stance", user: actor, other, word, round, message: "", atMs }, word);
  }

  /** Either of two friends ends it, and both may ask anew. Where they are no friends nothing is written. */
  async part(user: UserId, other: UserId): Promise<Done<Written>> {
    const { state, round } = this.#friends.pairOf(user, other);
    if (state !== "friends") {
      this.written.repeated += 1;
      return { ok: true, value: { state, token: this.#applied() } };
    }
    const atMs = this.#options.clock().wallMs;
    return this.#say({ kind: "stance", user, other, word: "declined", round, message: "", atMs }, "parted");
  }

  /** Everything that the offset shows and that still waits is read from now on. */
  async markRead(user: UserId, offset: string): Promise<Done<{ unread: number; token: Token }>> {
    const shows = parseOffset(offset);
    if (shows === undefined) return this.#refused(refusals.MALFORMED_OFFSET);
    const inbox = this.#friends.inboxOf(user);
    const facts: Fact[] = inbox.requests
      .filter(({ unread, other, round }) => unread && shows({ from: other, to: user, round }))
      .map(({ other, round }) => ({ kind: "read", user, other, round }));
    if (facts.length === 0 && inbox.offset === offset) {
      this.written.repeated += 1;
      return { ok: true, value: { unread: inbox.unread, token: this.#applied() } };
    }
    const written = await this.#append([
      ...facts,
      { kind: "bookmark", user, offset, count: inbox.count + 1 },
    ]);
    if (!written.ok) return written;
    this.written.read += 1;
    return { ok: true, value: { unread: this.#friends.inboxOf(user).unread, token: written.value } };
  }

  /** What the request is in; `undefined` where it is not known here. */
  #stateOf({ from, to, round }: RequestName, pair: Pair): PairState | undefined {
    if (pair.round !== round) return pair.round > round ? pair.state : undefined;
    if (pair.state !== "requested" || pair.from === from) return pair.state;
    // The question that stands is the other's: `from` has said nothing in this round, or taken it back.
    return this.#friends.stanceOf(from, to)?.round === round ? "cancelled" : undefined;
  }

  /** Of two who asked each other each keeps the id that they were told. */
  #nameOf(from: UserId, to: UserId, round: number): RequestName {
    const own = this.#friends.stanceOf(from, to);
    return own?.round === round && own.word === "asked" ? { from, to, round } : { from: to, to: from, round };
  }

  #full(from: UserId, to: UserId): Refused | undefined {
    const friends = this.#friends;
    const isKnown = friends.pairOf(from, to).state !== "none";
    const crowded = [from, to].find((user) => friends.othersOf(user) >= LIMITS.knownOthersMax);
    if (!isKnown && crowded !== undefined) return refusals.tooManyOthers(crowded);
    if (friends.outgoingOf(from).length >= LIMITS.outgoingRequestsMax)
      return refusals.tooManyPending(from, LIMITS.outgoingRequestsMax);
    if (friends.incomingOf(to).length >= LIMITS.incomingRequestsMax)
      return refusals.tooManyPending(to, LIMITS.incomingRequestsMax);
    const tooSoonMs = this.#pace.tooSoonMs(from, this.#options.clock().monoMs);
    return tooSoonMs > 0 ? refusals.tooSoon(tooSoonMs) : undefined;
  }

  async #say(stance: Stance, result: WriteResult): Promise<Done<Written>> {
    const written = await this.#append([stance]);
    if (!written.ok) return written;
    const { user, other } = stance;
    const held = this.#friends.stanceOf(user, other);
    if (held === undefined || isAbove(stance, held)) return this.#refused(refusals.tooManyOthers(user));
    this.written[result] += 1;
    return { ok: true, value: { state: this.#friends.pairOf(user, other).state, token: written.value } };
  }

  /** Resolves when the facts are in the log and folded here. */
  async #append(facts: readonly Fact[]): Promise<Done<Token>> {
    const { region, homeward, meet } = this.#options;
    const outcome = await homeward.append(facts.map((fact) => homeward.address(fact)));
    if (!outcome.ok) {
      this.written.failed += 1;
      return appendFailed(outcome);
    }
    const token: Token = new Map([[region, { logId: outcome.logId, position: outcome.position }]]);
    const met = await meet({ mode: "token", token, waitMs: LIMITS.appendTimeoutMs });
    if (met.ok && met.value.satisfied) return { ok: true, value: token };
    this.written.failed += 1;
    return refusals.notFolded(token);
  }

  #applied(): Token {
    return this.#options.replica().applied();
  }

  #refused(refused: Refused): Refused {
    this.written.refused += 1;
    return refused;
  }
}
