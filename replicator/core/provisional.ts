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
 *   any                | any about the same thing that went to another region: its log knew that one processed (see route.ts)
 */
import type { Position, Region, SessionId, UserCommand, UserId } from "./commands.ts";

export interface Pending {
  readonly from: Region;
  readonly to: Region;
  readonly ordinal: number;
  readonly command: UserCommand;
  /** Position in the log of `from`. */
  readonly position: Position;
}

const NONE: readonly Pending[] = [];
const PREFERENCE = Symbol("preference");

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
    const kept = this.supersede(pending);
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

  /** Forgets what `newer`, pending or processed already, makes redundant. Returns what is left about its user. */
  supersede(newer: Pending): Pending[] {
    const { user } = newer.command;
    const kept: Pending[] = [];
    for (const older of this.of(user)) {
      if (older.from === newer.from && isRedundant(older, newer)) this.#unqueue(older);
      else kept.push(older);
    }
    if (kept.length === 0) this.#byUser.delete(user);
    else this.#byUser.set(user, kept);
    return kept;
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

function isRedundant(older: Pending, newer: Pending): boolean {
  const [first, second] = [older.command, newer.command];
  if (subjectOf(first) !== subjectOf(second)) return false;
  if (older.to !== newer.to || first.kind === "update" || first.kind === "prefer") return true;
  if (first.kind !== "open") return false;
  if (second.kind === "open") return first.session.device === second.session.device;
  return second.kind === "close" && first.session.device === "";
}

/** What a command is about: a session, or the user's preference. */
export function subjectOf(command: UserCommand): SessionId | typeof PREFERENCE {
  if (command.kind === "prefer") return PREFERENCE;
  return command.kind === "open" ? command.session.session : command.session;
}
