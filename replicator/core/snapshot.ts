/**
 * A snapshot: the state of every fold at a vector of positions, and the overlay that belongs to it. Rule (invariant 1): equal vectors
 * mean equal snapshots, so one taken in any region serves every region; each fold carries its digest, and what does not add up to it
 * is not taken.
 */
import type {
  Fact,
  LogId,
  Position,
  PreferredStatus,
  Region,
  Session,
  SettingCommand,
  UserId,
} from "./commands.ts";
import type { Epoch } from "./homing.ts";
import type { Pending } from "./provisional.ts";

/** One user's record, and when the user was last seen, which is no part of the fold. */
export interface RecordState {
  readonly user: UserId;
  readonly epoch: Epoch;
  readonly version: Position;
  readonly movedTo: Region;
  readonly sessions: readonly Session[];
  readonly preferred: PreferredStatus;
  readonly preferredUntilMs: number;
  /** 0 for a user who never went offline. */
  readonly lastSeenMs: number;
}

/** What an operator decided, with the time of the frame that says so. */
export interface Setting extends Omit<SettingCommand, "kind"> {
  readonly atMs: number;
}

/** All of a fold but its records and facts. */
export interface FoldState {
  readonly region: Region;
  /** Empty, with everything else, for a log never heard of. */
  readonly logId: LogId;
  readonly lineage: LogId;
  readonly position: Position;
  /** Of the frame at `position`. */
  readonly checksum: number;
  /** What renewals have added to versions and ordinals. */
  readonly base: number;
  readonly sent: ReadonlyMap<Region, number>;
  readonly processed: ReadonlyMap<LogId, number>;
  readonly settings: ReadonlyMap<string, Setting>;
  readonly audit: readonly Setting[];
  /** How many records follow. */
  readonly users: number;
  /** How many facts. */
  readonly facts: number;
  /** The fold's digest, `DIGEST_BYTES` long. */
  readonly sums: Uint8Array;
}

export interface PendingState {
  readonly pending: Pending;
  /** Its home has it; it stays in the overlay above an older one that is pending elsewhere. */
  readonly processed: boolean;
  /** It is shown no more, though its home is not known to have it. */
  readonly over: boolean;
}

/** The parts of a snapshot, in this order: one head, then pendings, records and facts, then the end. */
export type SnapshotPart =
  | { readonly kind: "head"; readonly folds: readonly FoldState[] }
  | { readonly kind: "pending"; readonly pendings: readonly PendingState[] }
  | { readonly kind: "records"; readonly region: Region; readonly records: readonly RecordState[] }
  | { readonly kind: "facts"; readonly region: Region; readonly facts: readonly Fact[] }
  | { readonly kind: "end" };
