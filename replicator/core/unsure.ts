/**
 * What a replica knows of and leaves out of its view, as it may be over: the record that has it, or the log that carried it along, may have
 * handed it on to a log that is not folded so far, where it may have ended. Rule (invariants 6, 8): of such a session nobody here says that
 * it is over, and no read without it claims to be fresh (decisions/0022).
 */
import { giversOf, mayBeGivenUp } from "./claimants.ts";
import type { Claimants, Homed } from "./claimants.ts";
import type { RecordCommand, Region, Session, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { compareEpochs } from "./homing.ts";
import type { Overlaid, Provisional } from "./provisional.ts";
import type { PresenceState } from "./record.ts";

export interface Unsure {
  readonly sessions: readonly Session[];
  /** Of whose logs more has to be folded to tell. */
  readonly logs: readonly Region[];
  /** A record that has some of them says that the user is. */
  readonly invisible: boolean;
}

/** What the view is made of. */
export interface Seen {
  readonly claimed: Claimants | undefined;
  /** The forwards that count. */
  readonly pending: readonly Overlaid[];
  /** What is shown. */
  readonly state: PresenceState;
}

/** `undefined` where this replica can tell of every session that it knows. */
export function unsureOf(
  folds: readonly Fold[],
  provisional: Provisional,
  user: UserId,
  { claimed, pending, state }: Seen,
): Unsure | undefined {
  const forwards = provisional.of(user);
  if (claimed?.lower.length === 0 && forwards.length === pending.length) return undefined;
  const { records, logs } =
    claimed === undefined ? unclaimed(folds, user) : hiddenBy(folds, provisional, claimed);
  const left = forwards.filter((one) => !pending.includes(one)).flatMap(({ command }) => openedBy(command));
  for (const { region, record } of records)
    left.push(...record.sessions.filter(({ session }) => !provisional.ahead.has(region, user, session)));
  const told = new Set(state.sessions.map(({ session }) => session));
  for (const { command } of pending) if (command.kind === "close") told.add(command.session);
  const sessions = left.filter(({ session }) => !told.has(session));
  if (sessions.length === 0) return undefined;
  const invisible = records.some(({ record }) => record.preferred === "invisible");
  return { sessions, logs: [...new Set([...logs, ...lacking(folds, provisional)])], invisible };
}

/** The logs of which more has been processed than is folded here; where that is of none known here, those not begun, or the one that processed it. */
function lacking(folds: readonly Fold[], { unheard }: Provisional): Region[] {
  const unbegun = folds.filter(({ lineage }) => lineage === "").map(({ region }) => region);
  return unheard.flatMap(({ from, to }) => {
    if (from !== "") return [from];
    return unbegun.length > 0 ? unbegun : [to];
  });
}

interface Hidden {
  readonly records: readonly Pick<Homed, "region" | "record">[];
  /** Whose logs will tell why, besides those that the replica lags behind. */
  readonly logs: readonly Region[];
}

function hiddenBy(folds: readonly Fold[], provisional: Provisional, { winner, lower }: Claimants): Hidden {
  const givers = giversOf(folds, winner);
  return { records: lower.filter((one) => mayBeGivenUp(one, { winner, givers, provisional })), logs: [] };
}

/** Where a log gave the user up at a higher epoch than any record has: the log that it gave them to will tell. */
function unclaimed(folds: readonly Fold[], user: UserId): Hidden {
  const known = folds.flatMap(({ region, table }) => {
    const record = table.get(user);
    return record === undefined ? [] : [{ region, record }];
  });
  const [pointer] = known
    .filter(({ record }) => record.movedTo !== "")
    .toSorted((a, b) => compareEpochs(b.record.epoch, a.record.epoch));
  if (pointer === undefined) return { records: [], logs: [] };
  const { movedTo, epoch } = pointer.record;
  const isPeer = ({ record }: Pick<Homed, "record">): boolean =>
    record.movedTo === "" && record.epoch.generation === epoch.generation;
  return { records: known.filter(isPeer), logs: [movedTo] };
}

/** The sessions that it says are there. No claim is left out: who holds the user again has taken a later one. */
function openedBy(command: RecordCommand): readonly Session[] {
  return command.kind === "open" ? [command.session] : [];
}
