/**
 * What two users are to each other: the merge of two facts, each written by one of them. Rule: no friendship without both wanting it;
 * the same two facts give the same answer, whoever asks, wherever.
 */
import type { Stance, StanceWord, UserId } from "./commands.ts";

export const PAIR_STATES = ["none", "requested", "friends", "declined", "cancelled"] as const;
export type PairState = (typeof PAIR_STATES)[number];

export interface Pair {
  readonly state: PairState;
  /** Who asked, of two who did the earlier; empty for `none`. */
  readonly from: UserId;
  /** Of the newest request; 0 for `none`. Whoever asks anew writes one more. */
  readonly round: number;
  /** Of the request, while the one who asked says nothing else: empty and 0 otherwise. */
  readonly message: string;
  readonly atMs: number;
}

/** Who asked: the first of the two, the second, or both. */
type Asker = "a" | "b" | "both";
type Cell = readonly [PairState, Asker];

/**
 * By the word of the first, then the word of the second. An answer implies the question, a cancellation too. A cancellation stands above
 * every answer; the question of the other stands beside it, as it is another one.
 */
const TABLE: Readonly<Record<StanceWord | "none", Readonly<Record<StanceWord | "none", Cell>>>> = {
  none: {
    none: ["none", "both"],
    asked: ["requested", "b"],
    accepted: ["friends", "a"],
    declined: ["declined", "a"],
    cancelled: ["cancelled", "b"],
  },
  asked: {
    none: ["requested", "a"],
    asked: ["friends", "both"],
    accepted: ["friends", "a"],
    declined: ["declined", "a"],
    cancelled: ["requested", "a"],
  },
  accepted: {
    none: ["friends", "b"],
    asked: ["friends", "b"],
    accepted: ["friends", "both"],
    declined: ["declined", "both"],
    cancelled: ["cancelled", "b"],
  },
  declined: {
    none: ["declined", "b"],
    asked: ["declined", "b"],
    accepted: ["declined", "both"],
    declined: ["declined", "both"],
    cancelled: ["cancelled", "b"],
  },
  cancelled: {
    none: ["cancelled", "a"],
    asked: ["requested", "b"],
    accepted: ["cancelled", "a"],
    declined: ["cancelled", "a"],
    cancelled: ["cancelled", "both"],
  },
};

const NONE: Pair = { state: "none", from: "", round: 0, message: "", atMs: 0 };

/** What `a` and `b` are to each other, by what `a` says of `b` and `b` of `a`. Of different rounds only the higher counts. */
export function pairOf(a: UserId, b: UserId, ofA: Stance | undefined, ofB: Stance | undefined): Pair {
  const round = Math.max(ofA?.round ?? 0, ofB?.round ?? 0);
  const first = ofA?.round === round ? ofA : undefined;
  const second = ofB?.round === round ? ofB : undefined;
  const [state, asker] = TABLE[first?.word ?? "none"][second?.word ?? "none"];
  if (state === "none") return NONE;
  const isFirst =
    first !== undefined && second !== undefined && asker === "both"
      ? isEarlier(first, second)
      : asker === "a";
  const question = isFirst ? first : second;
  const from = isFirst ? a : b;
  if (question?.word !== "asked") return { state, from, round, message: "", atMs: 0 };
  return { state, from, round, message: question.message, atMs: question.atMs };
}

/** Of two who both spoke: the times are compared to choose whose message is shown, and for nothing else. */
function isEarlier(one: Stance, other: Stance): boolean {
  return one.atMs === other.atMs ? one.user < other.user : one.atMs < other.atMs;
}
