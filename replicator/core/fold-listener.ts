/** What a fold tells as it goes. Rule: the state itself is already changed when it is called. */
import type { Accept, Command, Fact, RecordCommand, Region, UserCommand, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import type { EndedSession, Refusal, UserRecord } from "./record.ts";

export type FrameRefusal =
  /** Another region's frame: it has no authority over this log. */
  | "authority"
  /** A frame of a log with another identity, or that goes on from where this fold is not: only a snapshot leads there. */
  | "identity"
  /** Not the next position: something between is missing. */
  | "gap";

export type FoldResult = "applied" | "duplicate" | FrameRefusal;

export interface FoldListener {
  /** What users see of where the user is may be another: the record appeared or came back (`appeared`), moved, or changed more than a status. */
  changed(fold: Fold, user: UserId, appeared: boolean, record: UserRecord): void;
  /** A command took effect; `ended` are the sessions it ended. `accepted`: it was forwarded here, not appended by this region for itself. */
  applied(fold: Fold, command: RecordCommand, ended: readonly EndedSession[], accepted: boolean): void;
  /** The fold holds the fact; `isFirst`: it held none about the same before. */
  said(fold: Fold, fact: Fact, isFirst: boolean): void;
  forwarded(fold: Fold, to: Region, ordinal: number, command: UserCommand): void;
  /** What is accepted is about to take effect; the record is still as it was. */
  accepting(fold: Fold, accept: Accept): void;
  /** Every forward of the lineage towards this fold's region up to `accept.at` is in the record now. */
  processed(fold: Fold, accept: Accept): void;
  /** The record, or a fact, was found to say what no command made of it, when something was to be made out of it. */
  corrupt(fold: Fold, user: UserId): void;
  refused(fold: Fold, command: Command, refusal: Refusal): void;
  /** A mark: this is the fold's digest at `version`. */
  marked(fold: Fold, version: number, sums: Uint8Array): void;
  /** A digest: `buckets` differ between `node`, which appended it, and this replica, at the mark of version `at`. */
  compared(fold: Fold, at: number, buckets: readonly number[], node: string): void;
}
