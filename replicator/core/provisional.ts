/**
 * The forwards that this replica has folded and whose home has not processed them yet: they count at once, as a provisional
 * overlay on the home's record. Those of facts are in the queues alone: they are about no record (`friends.ts`). Derived state: it is what the folds' outboxes say less what the folds' `processed` says.
 *
 * A newer forward makes an older one of the same log redundant only where leaving the older out changes nothing:
 *
 *   newer              | makes redundant
 *   -------------------+----------------------------------------------------------------
 *   open of a session  | its open, its update
 *   update             | its update
 *   close              | its update; its open, if that has no device and no policy (it ends nobody)
 *   prefer             | prefer
 *   a fact             | nothing, and nothing makes it so
 *
 * A forward that is processed stays in the overlay while an older one of its log about the same thing is pending: that one went to
 * another region, which this replica has not heard of since, and must not stand above the newer.
 *
 * A region sends a command to its own log only once its older forwards about the same thing are processed (`route.ts`). So where a
 * replica folds such a command while a forward of that log is pending, it lags behind the forward's target: the command overtakes it. Or its
 * node had not folded the forward when it sent it: then the command takes its place, but for a close, which only an opening takes back.
 *
 * What a log forwarded and accepts again from where it sent it was processed there: the user was given up, and the record or the command
 * came back (decisions/0015). That, and a close that was overtaken, is over: it is shown no more. Its target still has to process it, and
 * what follows goes the same way.
 */
import { Ahead } from "./ahead.ts";
import type {
  Open,
  PresenceCommand,
  Position,
  RecordCommand,
  Region,
  Session,
  SessionId,
  Update,
  UserCommand,
  UserId,
} from "./commands.ts";
import { isFact } from "./facts.ts";
import { compareEpochs } from "./homing.ts";
import { endsNobody } from "./record.ts";
import type { PendingState } from "./snapshot.ts";

export interface Pending {
  readonly from: Region;
  readonly to: Region;
  readonly ordinal: number;
  readonly command: UserCommand;
  /** Position in the log of `from`; 0 while this replica has not heard of it: {@link Ahead}. */
  readonly position: Position;
}

/** A pending about a record: it is overlaid on it. */
export interface Overlaid extends Pending {
  readonly command: RecordCommand;
}

/** By which this replica has folded less of the log of `from` than that of `to` has processed; `from` is "" where it has nothing of it. */
export interface Unheard {
  readonly from: Region;
  readonly to: Region;
}

const NONE: readonly Overlaid[] = [];
const PREFERENCE = Symbol("preference");

export class Provisional {
  /** from → to → ordinal → pending; the inner maps keep ordinal order because ordinals only grow. */
  readonly #queues = new Map<Region, Map<Region, Map<number, Pending>>>();
  /** What is over included. */
  readonly #byUser = new Map<UserId, readonly Overlaid[]>();
  /** Of those in the queues. */
  readonly #over = new Set<Pending>();
  readonly ahead = new Ahead();
  #size = 0;
  #unheard: readonly Unheard[] = [];

  get size(): number {
    return this.#size;
  }

  /** Takes note of what this replica lags behind, each once. Returns whether that is another than before. */
  fallBehind(unheard: readonly Unheard[]): boolean {
    const before = this.#unheard;
    this.#unheard = unheard;
    return (
      before.length !== unheard.length ||
      unheard.some(({ from, to }) => !before.some((one) => one.from === from && one.to === to))
    );
  }

  /**
   * Whether something may have gone on from log to log unheard: the replica lags behind another log than those of `but`, by what a log has
   * processed. Where it goes on from the end of `start` as folded here, what `start` itself has processed until then is no part of its way.
   */
  mayHaveGone(start: Region | undefined, ...but: readonly Region[]): boolean {
    return this.#unheard.some(({ from, to }) => to !== start && !but.includes(from));
  }

  /** What this replica lags behind, each once. */
  get unheard(): readonly Unheard[] {
    return this.#unheard;
  }

  /** What is overlaid on the user's record: by log, and within a log in its order. */
  of(user: UserId): readonly Overlaid[] {
    const all = this.underWay(user);
    return this.#over.size === 0 ? all : all.filter((one) => !this.#over.has(one));
  }

  /** Those, and what is over and still on its way. */
  underWay(user: UserId): readonly Overlaid[] {
    return this.#byUser.get(user) ?? NONE;
  }

  /** What `from` has forwarded to `to`, oldest first. */
  queue(from: Region, to: Region): Iterable<Pending> {
    return this.#queues.get(from)?.get(to)?.values() ?? NONE;
  }

  /** Takes the next forward of a log; `processed` says that its target has it already. */
  add(pending: Pending, processed: boolean): void {
    if (!isOverlaid(pending)) {
      if (!processed) this.#queue(pending);
      return;
    }
    const { from, command } = pending;
    const kept: Overlaid[] = [];
    for (const older of this.underWay(command.user)) {
      if (older.from === from && isRedundant(older.command, command)) this.#unqueue(older);
      else kept.push(older);
    }
    const at = kept.findLastIndex((one) => one.from <= from) + 1;
    kept.splice(at, 0, pending);
    if (!processed) this.#queue(pending);
    this.#keep(command.user, kept);
  }

  /**
   * The log `from` applied the command for itself: its older forwards about the same thing are over, and but for {@link outlasting} they
   * are left out. Of a claim that came back: the claims of lower epochs that it has given out.
   */
  overtake(from: Region, command: RecordCommand): void {
    const all = this.underWay(command.user);
    const past = all.filter((one) => one.from === from && isOvertaken(one.command, command));
    if (past.length === 0) return;
    const lasting = command.kind === "open" ? NONE : outlasting(past);
    for (const one of past) {
      if (!lasting.includes(one)) this.#unqueue(one);
      else if (this.isPending(one)) this.#over.add(one);
    }
    this.#keep(
      command.user,
      all.filter((one) => this.#over.has(one) || !past.includes(one)),
    );
  }

  /**
   * The log `from` accepts from `to` what it may have forwarded there: with that, older ones to there about the session are over; with an
   * update only updates. One that says the same may be on its way still, so they stay in the queue: only the target says what it has processed.
   */
  cameBack(from: Region, to: Region, command: Open | Update): void {
    const { user } = command;
    const all = this.underWay(user);
    const sent = all.filter(
      (one) =>
        one.from === from &&
        one.to === to &&
        (command.kind === "update" ? one.command.kind === "update" : one.command.kind !== "claim") &&
        isAboutSame(one.command, command),
    );
    const over = sent.slice(0, sent.findLastIndex((one) => isSaid(one.command, command)) + 1);
    if (over.length === 0) return;
    for (const one of over) if (this.isPending(one)) this.#over.add(one);
    this.#keep(
      user,
      all.filter((one) => this.#over.has(one) || !over.includes(one)),
    );
  }

  /** Everything in the overlay, user by user. */
  export(): PendingState[] {
    const facts = this.#all().filter((pending) => !isOverlaid(pending));
    return [...[...this.#byUser.values()].flat(), ...facts, ...this.ahead.export()].map((pending) => ({
      pending,
      processed: !this.isPending(pending),
      over: this.#over.has(pending),
    }));
  }

  /** Takes over what was exported, all of it at once, less what nothing pending needs. Only for an overlay without anything. */
  restore(states: readonly PendingState[]): void {
    const waiting: Pending[] = [];
    for (const { pending, processed, over } of states) {
      const { from, to, ordinal, command, position } = pending;
      if (position === 0) {
        this.ahead.add(from, to, ordinal, command);
        continue;
      }
      if (!isOverlaid(pending)) {
        if (!processed) waiting.push(pending);
        continue;
      }
      if (over && processed) continue;
      if (over) this.#over.add(pending);
      const { user } = command;
      this.#byUser.set(user, [...this.underWay(user), pending]);
      if (!processed) waiting.push(pending);
    }
    for (const pending of waiting.toSorted((a, b) => a.ordinal - b.ordinal)) this.#queue(pending);
    for (const [user, all] of this.#byUser) this.#keep(user, all);
  }

  #queue(pending: Pending): void {
    const { from, to, ordinal } = pending;
    const targets = this.#queues.get(from) ?? new Map<Region, Map<number, Pending>>();
    this.#queues.set(from, targets);
    const queue = targets.get(to) ?? new Map<number, Pending>();
    targets.set(to, queue);
    queue.set(ordinal, pending);
    this.#size += 1;
  }

  #all(): Pending[] {
    return [...this.#queues.values()].flatMap((targets) =>
      [...targets.values()].flatMap((queue) => [...queue.values()]),
    );
  }

  /** Forgets what `from` forwarded to `to` up to `ordinal`: the home has it now. Returns what that was. */
  settle(from: Region, to: Region, ordinal: number): UserCommand[] {
    const settled: UserCommand[] = [];
    for (const pending of this.queue(from, to)) {
      if (pending.ordinal > ordinal) break;
      settled.push(pending.command);
      if (!isOverlaid(pending)) {
        this.#unqueue(pending);
        continue;
      }
      const { user } = pending.command;
      const all = this.underWay(user);
      const left = this.#over.has(pending) ? all.filter((one) => one !== pending) : all;
      this.#unqueue(pending);
      this.#keep(user, left);
    }
    return settled;
  }

  /** Keeps of `all` what is pending, and what is newer than something pending of the same log about the same thing. */
  #keep(user: UserId, all: readonly Overlaid[]): void {
    const waiting: Overlaid[] = [];
    const kept = all.filter((one) => {
      if (this.#over.has(one)) return true;
      if (this.isPending(one)) return waiting.push(one) > 0;
      return waiting.some((older) => older.from === one.from && isAboutSame(older.command, one.command));
    });
    if (kept.length === 0) this.#byUser.delete(user);
    else this.#byUser.set(user, kept);
  }

  /** Whether its target has still to process it, as far as this replica knows. */
  isPending({ from, to, ordinal }: Pending): boolean {
    return this.#queues.get(from)?.get(to)?.has(ordinal) === true;
  }

  #unqueue(pending: Pending): void {
    this.#over.delete(pending);
    if (this.#queues.get(pending.from)?.get(pending.to)?.delete(pending.ordinal) === true) this.#size -= 1;
  }
}

function isOverlaid(pending: Pending): pending is Overlaid {
  return !isFact(pending.command);
}

/** Whether the command left the session as the other one says it is. */
function isSaid(command: RecordCommand, other: Open | Update): boolean {
  if (command.kind !== "open" && command.kind !== "update") return false;
  const [said, now] = [saidBy(command), saidBy(other)];
  return said.status === now.status && said.state === now.state;
}

function saidBy(command: Open | Update): Session | Update {
  return command.kind === "open" ? command.session : command;
}

/**
 * The closes that no newer opening to the same region follows. A node that had not folded them may have sent what overtakes them: an
 * update, and the session would stay; a close of one record, and the session would stay in another.
 */
function outlasting(past: readonly Overlaid[]): readonly Overlaid[] {
  return past.filter(({ to, ordinal, command }) => {
    const isReopened = past.some(
      (one) => one.to === to && one.ordinal > ordinal && one.command.kind === "open",
    );
    return command.kind === "close" && !isReopened;
  });
}

function isOvertaken(older: RecordCommand, newer: RecordCommand): boolean {
  if (newer.kind === "claim") return older.kind === "claim" && compareEpochs(older.epoch, newer.epoch) < 0;
  return older.kind !== "claim" && isAboutSame(older, newer);
}

/** A claim is about much and leaves nothing out, so it neither makes redundant nor becomes so. */
function isRedundant(older: RecordCommand, newer: RecordCommand): boolean {
  if (older.kind === "claim" || newer.kind === "claim" || !isAboutSame(older, newer)) return false;
  if (older.kind === "update" || older.kind === "prefer") return true;
  if (older.kind !== "open") return false;
  if (newer.kind === "open") return older.session.device === newer.session.device;
  return newer.kind === "close" && endsNobody(older.session);
}

type Subject = SessionId | typeof PREFERENCE;

/** What a command is about: a session, or the user's preference. For a claim, {@link isAbout}. */
export function subjectOf(command: PresenceCommand): Subject {
  if (command.kind === "prefer") return PREFERENCE;
  return command.kind === "open" ? command.session.session : command.session;
}

/** Whether the command is about that: a claim is about every session and preference that it hands over. */
export function isAbout(command: RecordCommand, subject: Subject): boolean {
  if (command.kind !== "claim") return subjectOf(command) === subject;
  if (subject === PREFERENCE) return command.preferred !== "automatic";
  return command.sessions.some(({ session }) => session === subject);
}

/** Whether two commands about one user have something in common that they are about. */
export function isAboutSame(a: RecordCommand, b: RecordCommand): boolean {
  if (b.kind !== "claim") return isAbout(a, subjectOf(b));
  if (a.kind !== "claim") return isAbout(b, subjectOf(a));
  return true;
}
