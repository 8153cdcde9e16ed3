/**
 * The forwards that this replica has folded and whose home has not processed them yet: they count at once, as a provisional
 * overlay on the home's record. Derived state: it is what the folds' outboxes say less what the folds' `processed` says.
 *
 * A newer forward makes an older one of the same log redundant only where leaving the older out changes nothing:
 *
 *   newer              | makes redundant
 *   -------------------+----------------------------------------------------------------
 *   open of a session  | its open, its update
 *   update             | its update
 *   close              | its update; its open, if that has no device (it replaces nobody)
 *   prefer             | prefer
 */
import type { Position, Region, UserCommand, UserId } from "./commands.ts";

export interface Pending {
  readonly from: Region;
  readonly to: Region;
  readonly ordinal: number;
  readonly command: UserCommand;
  /** Position in the log of `from`. */
  readonly position: Position;
}

const NONE: readonly Pending[] = [];

export class Provisional {
  /** from → to → ordinal → pending; the inner maps keep ordinal order because ordinals only grow. */
  readonly #queues = new Map<Region, Map<Region, Map<number, Pending>>>();
  readonly #byUser = new Map<UserId, readonly Pending[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** What is pending about the user, in the one order in which every replica applies it: by log, then by ordinal per target. */
  of(user: UserId): readonly Pending[] {
    return this.#byUser.get(user) ?? NONE;
  }

  /** What `from` has forwarded to `to`, oldest first. */
  queue(from: Region, to: Region): Iterable<Pending> {
    return this.#queues.get(from)?.get(to)?.values() ?? NONE;
  }

  add(pending: Pending): void {
    const { from, to, ordinal, command } = pending;
    const kept: Pending[] = [];
    for (const older of this.of(command.user)) {
      if (older.from === from && isRedundant(older.command, command)) this.#unqueue(older);
      else kept.push(older);
    }
    const at = kept.findLastIndex((one) => one.from <= from) + 1;
    kept.splice(at, 0, pending);
    this.#byUser.set(command.user, kept);
    const targets = this.#queues.get(from) ?? new Map<Region, Map<number, Pending>>();
    this.#queues.set(from, targets);
    const queue = targets.get(to) ?? new Map<number, Pending>();
    targets.set(to, queue);
    queue.set(ordinal, pending);
    this.#size += 1;
  }

  /** Forgets what `from` forwarded to `to` up to `ordinal`: the home's record has it now. Returns the users concerned. */
  settle(from: Region, to: Region, ordinal: number): UserId[] {
    const users: UserId[] = [];
    for (const pending of this.queue(from, to)) {
      if (pending.ordinal > ordinal) break;
      this.#unqueue(pending);
      const { user } = pending.command;
      const kept = this.of(user).filter((one) => one !== pending);
      if (kept.length === 0) this.#byUser.delete(user);
      else this.#byUser.set(user, kept);
      users.push(user);
    }
    return users;
  }

  #unqueue(pending: Pending): void {
    if (this.#queues.get(pending.from)?.get(pending.to)?.delete(pending.ordinal) === true) this.#size -= 1;
  }
}

function isRedundant(older: UserCommand, newer: UserCommand): boolean {
  if (older.kind === "prefer" || newer.kind === "prefer") return older.kind === newer.kind;
  if (sessionOf(older) !== sessionOf(newer)) return false;
  if (older.kind === "update") return true;
  if (older.kind !== "open") return false;
  return newer.kind === "open"
    ? older.session.device === newer.session.device
    : newer.kind === "close" && older.session.device === "";
}

function sessionOf(command: Exclude<UserCommand, { kind: "prefer" }>): string {
  return command.kind === "open" ? command.session.session : command.session;
}
