/**
 * The numbers that stand for kinds and enumerated values on the wire.
 * Rule: a number, once released, keeps its meaning. They are spelled here, not derived from the order of core's arrays, so
 * that reordering those cannot change what stored frames say.
 */
import type {
  EndReason,
  LinkState,
  LoginPolicy,
  PreferredStatus,
  SessionStatus,
  StanceWord,
} from "../core/commands.ts";

/** First byte of a command. 0 is no kind, so that zeroed bytes are never a command. */
export const KIND = {
  open: 1,
  update: 2,
  close: 3,
  prefer: 4,
  forward: 5,
  accept: 6,
  drop: 7,
  watermark: 8,
  renewed: 9,
  mark: 10,
  digest: 11,
  set: 12,
  claim: 13,
  release: 14,
  stance: 15,
  read: 16,
  bookmark: 17,
  deputed: 18,
} as const;

/** Kinds that a region may say in the place of another one. */
export const DEPUTED: ReadonlySet<number> = new Set([
  KIND.open,
  KIND.update,
  KIND.close,
  KIND.prefer,
  KIND.forward,
  KIND.accept,
  KIND.drop,
  KIND.mark,
  KIND.digest,
  KIND.claim,
  KIND.release,
  KIND.stance,
  KIND.read,
  KIND.bookmark,
]);

/** Values by their code: the place in the list. Never empty, so that a reader always has a value to go on with. */
export interface Codes<T> {
  readonly name: string;
  readonly values: readonly [T, ...T[]];
}

export const POLICY_CODES: Codes<LoginPolicy> = {
  name: "policy",
  values: ["multi", "per-platform", "single"],
};

export const STATUS_CODES: Codes<SessionStatus> = { name: "status", values: ["online", "away", "busy"] };

export const PREFERRED_CODES: Codes<PreferredStatus> = {
  name: "preferred",
  values: ["automatic", "away", "busy", "invisible"],
};

export const END_REASON_CODES: Codes<EndReason> = {
  name: "end reason",
  values: ["expired", "logout", "kicked", "replaced", "forced"],
};

export const LINK_STATE_CODES: Codes<LinkState> = {
  name: "link state",
  values: ["live", "catching-up", "stalled", "disconnected", "blocked", "overrun", "snapshotting"],
};

export const STANCE_CODES: Codes<StanceWord> = {
  name: "word",
  values: ["asked", "accepted", "declined", "cancelled"],
};

/** Where a pending of a snapshot stands. */
export const STANDING = { pending: 0, processed: 1, over: 2 } as const;

/** First byte of a part of a snapshot. A head of folds with facts says how many. */
export const PART = { head: 1, pending: 2, records: 3, end: 4, headWithFacts: 5, facts: 6 } as const;
