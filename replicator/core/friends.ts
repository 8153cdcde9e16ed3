/**
 * Who asked whom, and who are friends: the facts of all folds and those on their way to one, merged. Rule: of the facts about one thing
 * the highest counts, wherever it is, so equal positions give equal answers and a forward counts at once. Beside the facts there is only
 * an index of who said something of whom, so that an inbox is found without looking at anybody else's.
 */
import { defined } from "./assert.ts";
import type { Fact, Stance, UserId } from "./commands.ts";
import { BOOKMARK_KEY, highest, keyOf, readKey, stanceKey } from "./facts.ts";
import type { Fold } from "./fold.ts";
import { pairOf } from "./pair.ts";
import type { Pair } from "./pair.ts";

/** A pair as one of the two sees it. */
export interface PairWith extends Pair {
  readonly other: UserId;
}

export interface Request extends PairWith {
  readonly unread: boolean;
}

export interface Inbox {
  /** Sorted by who asked. */
  readonly requests: readonly Request[];
  readonly unread: number;
  /** What the user's client noted last, and the how manieth note that was; empty and 0 before the first. */
  readonly offset: string;
  readonly count: number;
}

export class Friends {
  readonly #folds: readonly Fold[];
  /** Facts whose home has not processed them yet, by user and key. */
  readonly #pending = new Map<string, readonly Fact[]>();
  /** For each user, of whom they said something or who said something of them, and how many facts say so. */
  readonly #others = new Map<UserId, Map<UserId, number>>();

  constructor(folds: readonly Fold[]) {
    this.#folds = folds;
  }

  /** A fold holds the fact, and held none with its key before. */
  said(fact: Fact): void {
    this.#count(fact, 1);
  }

  /** The fact is on its way to its user's home. */
  sent(fact: Fact): void {
    const key = pendingKey(fact.user, keyOf(fact));
    this.#pending.set(key, [...(this.#pending.get(key) ?? []), fact]);
    this.#count(fact, 1);
  }

  /** It is no longer. */
  arrived(fact: Fact): void {
    const key = pendingKey(fact.user, keyOf(fact));
    const pending = defined(this.#pending.get(key), "what arrives was sent");
    // One of them: the same may be on its way from another log to another.
    const left = pending.toSpliced(pending.indexOf(fact), 1);
    if (left.length === 0) this.#pending.delete(key);
    else this.#pending.set(key, left);
    this.#count(fact, -1);
  }

  /** The highest of the facts with the same key. */
  standing(fact: Fact): Fact | undefined {
    return this.#highest(fact.user, keyOf(fact));
  }

  /** What `user` says of `other`. */
  stanceOf(user: UserId, other: UserId): Stance | undefined {
    const fact = this.#highest(user, stanceKey(other));
    return fact?.kind === "stance" ? fact : undefined;
  }

  pairOf(a: UserId, b: UserId): Pair {
    return pairOf(a, b, this.stanceOf(a, b), this.stanceOf(b, a));
  }

  /** Requests to the user that nobody has answered or cancelled, sorted by who asked. */
  incomingOf(user: UserId): PairWith[] {
    return this.#pairs(user).filter(({ state, from }) => state === "requested" && from !== user);
  }

  /** Such requests of the user. */
  outgoingOf(user: UserId): PairWith[] {
    return this.#pairs(user).filter(({ state, from }) => state === "requested" && from === user);
  }

  /** Of how many others the user has said something, or been told of: what asking for any list of them costs. */
  othersOf(user: UserId): number {
    return this.#others.get(user)?.size ?? 0;
  }

  friendsOf(user: UserId): PairWith[] {
    return this.#pairs(user).filter(({ state }) => state === "friends");
  }

  inboxOf(user: UserId): Inbox {
    const requests = this.incomingOf(user).map((one) => ({
      ...one,
      unread: one.round > this.readOf(user, one.other),
    }));
    const unread = requests.filter((one) => one.unread).length;
    const note = this.#highest(user, BOOKMARK_KEY);
    const { offset, count } = note?.kind === "bookmark" ? note : { offset: "", count: 0 };
    return { requests, unread, offset, count };
  }

  /** Up to which round the user has read the requests of the other; 0 for none. */
  readOf(user: UserId, other: UserId): number {
    const fact = this.#highest(user, readKey(other));
    return fact?.kind === "read" ? fact.round : 0;
  }

  #highest(user: UserId, key: string): Fact | undefined {
    const held = this.#folds.map(({ facts }) => facts.get(user, key));
    return highest([...held, ...(this.#pending.get(pendingKey(user, key)) ?? [])]);
  }

  #pairs(user: UserId): PairWith[] {
    const others = [...(this.#others.get(user)?.keys() ?? [])].toSorted();
    return others.map((other) => ({ other, ...this.pairOf(user, other) }));
  }

  #count(fact: Fact, change: 1 | -1): void {
    if (fact.kind !== "stance") return;
    this.#countOne(fact.user, fact.other, change);
    this.#countOne(fact.other, fact.user, change);
  }

  #countOne(user: UserId, other: UserId, change: 1 | -1): void {
    const others = this.#others.get(user) ?? new Map<UserId, number>();
    const count = (others.get(other) ?? 0) + change;
    if (count > 0) others.set(other, count);
    else others.delete(other);
    if (others.size > 0) this.#others.set(user, others);
    else this.#others.delete(user);
  }
}

/** No user has a space in the name. */
function pendingKey(user: UserId, key: string): string {
  return `${user} ${key}`;
}
