/**
 * The view: who and where a user is, as a pure function over the folds and the provisional overlay. Rule:
 * `view(user) = records of the highest epoch + forwards about the user that the home has not processed yet`.
 */
import type { Position, PreferredStatus, Region, Session, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { claimants, giversOf, hasGiven, mayBeGivenUp } from "./claimants.ts";
import type { Claimants } from "./claimants.ts";
import { FIRST_EPOCH, compareEpochs, rank } from "./homing.ts";
import type { Epoch } from "./homing.ts";
import { isAboutSame } from "./provisional.ts";
import type { Overlaid, Provisional } from "./provisional.ts";
import { EMPTY_STATE, applyToState } from "./record.ts";
import type { EndedSession, PresenceState, UserRecord } from "./record.ts";
import { unsureOf } from "./unsure.ts";
import type { Unsure } from "./unsure.ts";

export interface ViewedSession {
  readonly session: Session;
  /** The home has not processed it yet. */
  readonly provisional: boolean;
}

export interface View {
  readonly user: UserId;
  readonly home: Region;
  readonly epoch: Epoch;
  /** Position in the home's log of the newest change to the record; 0 while the home has none. */
  readonly version: Position;
  readonly preferred: PreferredStatus;
  readonly preferredUntilMs: number;
  readonly sessions: readonly ViewedSession[];
  /** Absent where this replica can tell of every session that it knows. */
  readonly unsure?: Unsure;
}

/** `undefined` for a user that no log has ever spoken of. */
export function viewOf(folds: readonly Fold[], provisional: Provisional, user: UserId): View | undefined {
  const claimed = claimants(folds, user);
  const base = union(folds, claimed, provisional);
  const pending = overlayOf(folds, user, provisional, base);
  if (claimed === undefined && pending.length === 0) return undefined;
  const record = claimed?.winner.record;
  const state = overlaid(base, pending);
  const unsure = unsureOf(folds, provisional, user, { claimed, pending, state });
  return {
    user,
    home: claimed?.winner.region ?? provisionalHome(user, pending),
    epoch: claimedEpoch(record?.epoch ?? FIRST_EPOCH, pending),
    version: claimed?.winner.version ?? 0,
    preferred: state.preferred,
    preferredUntilMs: state.preferredUntilMs,
    sessions: state.sessions.map((session) => ({
      session,
      provisional: !base.sessions.some((held) => isSame(held, session)),
    })),
    ...(unsure !== undefined && { unsure }),
  };
}

/** The user's sessions alone: what counting needs, without building a view. */
export function sessionsOf(folds: readonly Fold[], provisional: Provisional, user: UserId): PresenceState {
  const base = union(folds, claimants(folds, user), provisional);
  const pending = overlayOf(folds, user, provisional, base);
  return pending.length === 0 ? base : overlaid(base, pending);
}

/**
 * The sessions that the view leaves out only because a forward put another in their place: their leases go on until the home has applied it
 * (decisions/0003).
 */
export function replacedOf(folds: readonly Fold[], provisional: Provisional, user: UserId): Session[] {
  if (provisional.of(user).length === 0) return [];
  const base = union(folds, claimants(folds, user), provisional);
  const pending = overlayOf(folds, user, provisional, base);
  const ended: EndedSession[] = [];
  const { sessions } = overlaid(base, pending, ended);
  const over = new Set(sessions.map(({ session }) => session));
  for (const { command } of pending) if (command.kind === "close") over.add(command.session);
  return ended.map(({ session }) => session).filter(({ session }) => !over.has(session));
}

/**
 * That of the record, or of a claim that is on its way and above it: a forward of a third region may outrun the claim and begin the user at
 * the new home, and the epoch does not go back meanwhile.
 */
function claimedEpoch(recorded: Epoch, pending: readonly Overlaid[]): Epoch {
  let epoch = recorded;
  for (const { command } of pending)
    if (command.kind === "claim" && compareEpochs(command.epoch, epoch) > 0) epoch = command.epoch;
  return epoch;
}

/** The same session in the same state, whichever log it came by. */
function isSame(a: Session, b: Session): boolean {
  return a === b || (a.session === b.session && a.status === b.status && a.state === b.state);
}

/** The winner's record, and what the others will forward to it when they are given up; not what they have, as is known by what became of it. */
function union(
  folds: readonly Fold[],
  claimed: Claimants | undefined,
  provisional: Provisional,
): PresenceState {
  if (claimed === undefined) return EMPTY_STATE;
  const { winner, equals, lower } = claimed;
  if (equals.length + lower.length === 0) return winner.record;
  const { user } = winner.record;
  const givers = giversOf(folds, winner);
  const late = lower.filter((one) => !mayBeGivenUp(one, { winner, givers, provisional }));
  if (equals.length + late.length === 0) return winner.record;
  const sessions = [...winner.record.sessions];
  let { preferred, preferredUntilMs } = winner.record;
  for (const { record } of equals)
    if (record.preferred !== "automatic") ({ preferred, preferredUntilMs } = record);
  for (const { region, record } of [...equals, ...late]) {
    for (const session of record.sessions) {
      const held = sessions.some((one) => one.session === session.session);
      const wentOn = [region, ...givers].some((from) => provisional.ahead.has(from, user, session.session));
      if (!held && !wentOn) sessions.push(session);
    }
  }
  return { sessions, preferred, preferredUntilMs };
}

/** Sessions that are ended on the way are added to `ended`. */
function overlaid(
  base: PresenceState,
  pending: readonly Overlaid[],
  ended: EndedSession[] = [],
): PresenceState {
  if (pending.length === 0) return base;
  const state: PresenceState = {
    sessions: base.sessions,
    preferred: base.preferred,
    preferredUntilMs: base.preferredUntilMs,
  };
  for (const { command } of pending) applyToState(state, command, ended);
  return state;
}

/**
 * What counts of the forwards about the user, in the order in which it counts.
 *
 * A log that holds the user carries nothing along where the replica lags behind a region between: what that log did before it took the
 * user back is in its record then, and only seems to be pending; unless it is known to have come too late for that ({@link mayBeRecorded}).
 *
 * What a region says of its own sessions is later than what others carry along of them, out of a record or on the way of a relay: it sends
 * nothing another way before that has arrived. An end is the last that is said of a session, whoever says it. Besides, a forward to a
 * region that gave the user up will be forwarded on, after what that region has forwarded already: the further from the home, the
 * later. But one log's forwards about one thing stay in their order; a claim alone goes before what it carries along again.
 */
function overlayOf(
  folds: readonly Fold[],
  user: UserId,
  provisional: Provisional,
  base: PresenceState,
): readonly Overlaid[] {
  const all = provisional.of(user);
  if (all.length === 0) return all;
  const carried = carriedOf(all, base);
  const pending = all.filter((one) => !carried.has(one) || !mayBeRecorded(folds, user, provisional, one));
  const placed: { one: Overlaid; turn: number; place: number }[] = [];
  for (const one of pending) {
    let place = hops(folds, user, one.to, pending);
    let turn = one.command.kind === "close" ? 2 : carried.has(one) ? 0 : 1;
    for (const older of placed) {
      if (older.one.from !== one.from || !isAboutSame(older.one.command, one.command)) continue;
      place = Math.max(place, older.place);
      if (one.command.kind !== "claim") turn = Math.max(turn, older.turn);
    }
    placed.push({ one, turn, place });
  }
  return placed.toSorted((a, b) => a.turn - b.turn || a.place - b.place).map(({ one }) => one);
}

/**
 * Whether what a log carried along may be in its own record by now: it took the user back, and this replica lags behind a log between.
 * Invariant: what the giver had not processed when it gave the user is in no claim. So where this replica has folded the giving that made
 * the record, and the giver has not processed it yet, it is still to come back, and is over once it has (decisions/0013, 0015).
 */
function mayBeRecorded(
  folds: readonly Fold[],
  user: UserId,
  provisional: Provisional,
  one: Overlaid,
): boolean {
  const [record, given] = [one.from, one.to].map((at) =>
    folds.find(({ region }) => region === at)?.table.get(user),
  );
  if (record === undefined || record.movedTo !== "") return false;
  const isPending = provisional.isPending(one);
  if (!provisional.mayHaveGone(isPending ? one.to : undefined, one.from)) return false;
  return !hasGiven(given, { region: one.from, record }) || !isPending;
}

/** Which of them hand over a record, or say of another region's session that it is there or how it is. */
function carriedOf(all: readonly Overlaid[], base: PresenceState): ReadonlySet<Overlaid> {
  const regions = new Map(base.sessions.map(({ session, region }) => [session, region]));
  for (const { command } of all) {
    const sessions = command.kind === "claim" ? command.sessions : [];
    for (const { session, region } of command.kind === "open" ? [command.session] : sessions)
      regions.set(session, region);
  }
  return new Set(
    all.filter(({ from, command }) => {
      if (command.kind === "claim") return true;
      if (command.kind === "open") return command.session.region !== from;
      return command.kind === "update" && (regions.get(command.session) ?? from) !== from;
    }),
  );
}

/** How often a command about the user is forwarded on from `region`: at most once by each, and not by the one that a claim is on its way to. */
function hops(folds: readonly Fold[], user: UserId, region: Region, pending: readonly Overlaid[]): number {
  let count = 0;
  for (let at = region; count < folds.length; count++) {
    const record = folds.find((fold) => fold.region === at)?.table.get(user);
    if (record === undefined || record.movedTo === "" || isClaimed(record, at, pending)) break;
    at = record.movedTo;
  }
  return count;
}

/** Whether a claim is on its way that brings the user back to where the record is. */
function isClaimed({ epoch }: UserRecord, region: Region, pending: readonly Overlaid[]): boolean {
  return pending.some(
    ({ to, command }) => to === region && command.kind === "claim" && compareEpochs(command.epoch, epoch) > 0,
  );
}

/** Nobody has claimed the user: the home will be where a forward goes; of several, the one that would win. */
function provisionalHome(user: UserId, pending: readonly Overlaid[]): Region {
  return pending.map(({ to }) => to).reduce((best, to) => (rank(user, to) > rank(user, best) ? to : best));
}
