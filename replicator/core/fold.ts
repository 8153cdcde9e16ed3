/**
 * The fold of one log: `fold(state, frame) → state`. Rule (invariant 1): it reads its own log and nothing else (no clock, no
 * other log, no IO), so equal positions of one log identity mean equal state in every region.
 *
 * What each command does to a user, by what this log holds of that user:
 *
 *   command          | nothing            | a record              | moved to R
 *   -----------------+--------------------+-----------------------+------------------------------
 *   open, prefer     | claim, then apply  | apply                 | becomes a forward to R
 *   update, close    | refuse             | apply                 | becomes a forward to R
 *   drop to R        | refuse             | every session and the preference become forwards to R, then moved to R | refuse
 */
import type {
  Accept,
  Command,
  Drop,
  Frame,
  LogId,
  Position,
  Region,
  UserCommand,
  UserId,
} from "./commands.ts";
import { FIRST_EPOCH } from "./homing.ts";
import { EMPTY_STATE, UserRecord, applyToState } from "./record.ts";
import type { EndedSession, Refusal } from "./record.ts";
import { AHEAD, Table } from "./table.ts";

/** What a fold tells as it goes; the state itself is already changed when it is called. */
export interface FoldListener {
  /** What users see of where the user is may be another: the record appeared (`appeared`), moved, or changed more than a status. */
  changed(fold: Fold, user: UserId, appeared: boolean, record: UserRecord): void;
  /** A command took effect; `ended` are the sessions it ended. */
  applied(fold: Fold, command: UserCommand, ended: readonly EndedSession[]): void;
  forwarded(fold: Fold, to: Region, ordinal: number, command: UserCommand): void;
  /** Every forward of the log `logId` towards this fold's region up to `ordinal` is in the record now. */
  processed(fold: Fold, from: Region, logId: LogId, ordinal: number): void;
  refused(fold: Fold, command: Command, refusal: Refusal): void;
}

export type FrameRefusal =
  /** Another region's frame: it has no authority over this log. */
  | "authority"
  /** A frame of a log with another identity. */
  | "identity"
  /** Not the next position: something between is missing. */
  | "gap";

export type FoldResult = "applied" | "duplicate" | FrameRefusal;

/** What applying a command reads of the user's record, each step through what the one before has read. */
const READS: readonly ((record: UserRecord) => number)[] = [
  (record) => record.version,
  (record) => record.seat?.lastSeenMs ?? 0,
  (record) => record.user.length + record.sessions.length,
  (record) => record.sessions[0]?.sinceMs ?? 0,
  (record) => record.sessions[0]?.session.length ?? 0,
  (record) => record.sessions[0]?.device.length ?? 0,
];

export class Fold {
  readonly region: Region;
  /** Identity of the log folded; empty before its first frame. */
  logId: LogId = "";
  /** Position of the newest frame applied. */
  position: Position = 0;
  /** Every user this log has ever claimed, moved ones included. */
  readonly table = new Table<UserRecord>((record) => record.user);
  /** The last ordinal this log gave to a forward, per target. */
  readonly sent = new Map<Region, number>();
  /** The last ordinal accepted, per log that forwards here. */
  readonly processed = new Map<LogId, number>();
  readonly #listener: FoldListener;

  constructor(region: Region, listener: FoldListener) {
    this.region = region;
    this.#listener = listener;
  }

  /** Applies the frame at `position`. Everything but "applied" leaves the state as it was. */
  apply(position: Position, frame: Frame): FoldResult {
    if (frame.region !== this.region) return "authority";
    if (this.logId !== "" && frame.logId !== this.logId) return "identity";
    if (position <= this.position) return "duplicate";
    if (position !== this.position + 1) return "gap";
    this.logId = frame.logId;
    this.position = position;
    const { commands } = frame;
    for (let from = 0; from < commands.length; from += AHEAD) {
      const next = commands.slice(from, from + AHEAD);
      this.table.prefetch(usersOf(next), READS);
      for (const command of next) this.#command(command);
    }
    return "applied";
  }

  /** Ordinal up to which the forwards of the log `logId` are processed here. */
  processedOf(logId: LogId): number {
    return this.processed.get(logId) ?? 0;
  }

  /** The record of a user homed in this log. */
  homed(user: UserId): UserRecord | undefined {
    const record = this.table.get(user);
    return record === undefined || record.movedTo !== "" ? undefined : record;
  }

  #command(command: Command): void {
    switch (command.kind) {
      case "open":
      case "update":
      case "close":
      case "prefer":
        return this.#apply(command);
      case "forward":
        if (command.to === this.region) return this.#listener.refused(this, command, "forward-to-self");
        return this.#forward(command.to, command.command);
      case "accept":
        return this.#accept(command);
      case "drop":
        return this.#drop(command);
      case "watermark":
        return;
    }
  }

  #apply(command: UserCommand): void {
    let record = this.table.get(command.user);
    const appeared = record === undefined;
    if (record === undefined) {
      if (command.kind === "update" || command.kind === "close") {
        return this.#listener.refused(this, command, "unknown-user");
      }
      record = new UserRecord(command.user, FIRST_EPOCH);
      this.table.set(command.user, record);
    } else if (record.movedTo !== "") {
      return this.#forward(record.movedTo, command);
    }
    const ended: EndedSession[] = [];
    const refusal = applyToState(record, command, ended);
    if (refusal !== undefined) return this.#listener.refused(this, command, refusal);
    record.version = this.position;
    if (command.kind !== "update") this.#listener.changed(this, command.user, appeared, record);
    this.#listener.applied(this, command, ended);
  }

  #forward(to: Region, command: UserCommand): void {
    const ordinal = (this.sent.get(to) ?? 0) + 1;
    this.sent.set(to, ordinal);
    this.#listener.forwarded(this, to, ordinal, command);
  }

  #accept(accept: Accept): void {
    if (accept.from === this.region) return this.#listener.refused(this, accept, "accept-from-self");
    const done = this.processedOf(accept.logId);
    if (accept.at <= done) return this.#listener.refused(this, accept, "already-processed");
    if (accept.after > done) return this.#listener.refused(this, accept, "out-of-order");
    this.processed.set(accept.logId, accept.at);
    this.#apply(accept.command);
    this.#listener.processed(this, accept.from, accept.logId, accept.at);
  }

  #drop(drop: Drop): void {
    const record = this.homed(drop.user);
    if (record === undefined || drop.to === this.region)
      return this.#listener.refused(this, drop, "not-homed");
    const { user, sessions, preferred, preferredUntilMs } = record;
    for (const session of sessions) this.#forward(drop.to, { kind: "open", user, session });
    if (preferred !== "automatic") {
      this.#forward(drop.to, { kind: "prefer", user, preferred, untilMs: preferredUntilMs });
    }
    record.movedTo = drop.to;
    record.version = this.position;
    Object.assign(record, EMPTY_STATE);
    this.#listener.changed(this, user, false, record);
  }
}

function usersOf(commands: readonly Command[]): UserId[] {
  const users: UserId[] = [];
  for (const command of commands) {
    if (command.kind === "watermark") continue;
    users.push(command.kind === "forward" || command.kind === "accept" ? command.command.user : command.user);
  }
  return users;
}
