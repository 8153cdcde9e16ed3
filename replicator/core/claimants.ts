/**
 * Whose record of a user counts: that of the log that wins the user, and beside it those that it has not absorbed yet.
 * Rule (invariant 2): the highest epoch wins; among equals the order of `homing.ts`.
 */
import type { Region, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { beats, compareEpochs, nextEpoch } from "./homing.ts";
import type { Epoch } from "./homing.ts";
import type { Provisional } from "./provisional.ts";
import type { UserRecord } from "./record.ts";

export interface Homed {
  readonly region: Region;
  readonly record: UserRecord;
  /** The record's; after the log was renewed at least that of its beginning, as its lost end may have been seen. */
  readonly version: number;
}

export interface Claimants {
  readonly winner: Homed;
  /** Of equal epoch. */
  readonly equals: readonly Homed[];
  /** Of the same generation and a lower count. */
  readonly lower: readonly Homed[];
}

/**
 * The record of the log that wins the user, and those that it has not absorbed yet. None, where a log that gave the user up
 * did so at a higher epoch than any record has: such a record was given up too, as this replica has still to hear.
 */
export function claimants(folds: readonly Fold[], user: UserId): Claimants | undefined {
  let highest: Epoch | undefined;
  let winner: Homed | undefined;
  const homes: Homed[] = [];
  for (const fold of folds) {
    const record = fold.table.get(user);
    if (record === undefined) continue;
    const order = highest === undefined ? 1 : compareEpochs(record.epoch, highest);
    if (order > 0) {
      highest = record.epoch;
      winner = undefined;
    }
    if (record.movedTo !== "") continue;
    const homed = { region: fold.region, record, version: Math.max(record.version, fold.base) };
    homes.push(homed);
    if (order >= 0 && (winner === undefined || beats(user, claimOf(homed), claimOf(winner)))) winner = homed;
  }
  if (winner === undefined) return undefined;
  const home = winner;
  const others = homes.filter((one) => one !== home);
  const { generation, count } = home.record.epoch;
  const peers = others.filter(({ record }) => record.epoch.generation === generation);
  const isEqual = ({ record }: Homed): boolean => record.epoch.count === count;
  return { winner, equals: peers.filter(isEqual), lower: peers.filter((one) => !isEqual(one)) };
}

function claimOf(homed: Homed): { region: Region; epoch: Epoch } {
  return { region: homed.region, epoch: homed.record.epoch };
}

/** Whether the pointer is of the giving that made the record. */
export function hasGiven(given: UserRecord | undefined, to: Pick<Homed, "region" | "record">): boolean {
  return given?.movedTo === to.region && compareEpochs(nextEpoch(given.epoch), to.record.epoch) === 0;
}

/** The logs whose giving, as folded here, made the winner's record. */
export function giversOf(folds: readonly Fold[], winner: Homed): Region[] {
  const { user } = winner.record;
  return folds.flatMap(({ region, table }) => (hasGiven(table.get(user), winner) ? [region] : []));
}

/** What a record of a lower epoch is held against. */
export interface Above {
  readonly winner: Homed;
  /** {@link giversOf} */
  readonly givers: readonly Region[];
  readonly provisional: Provisional;
}

/**
 * Whether a record of a lower epoch may have been given up, as this replica has still to hear; else it is of a log that had not heard of a
 * move. Where the replica lags behind a log by which the user may have come from there, nobody can tell. That it lags behind the record's own
 * log hides nothing: to whom the record was given is known to have it (`ahead.ts`), and the end of a session of its own region comes by that
 * log. Nor does what that log has accepted unheard: it was there while the record was, and the record left after it, if at all.
 * Nor does a lag behind a log whose giving made the winner's record, once that is folded: what came there before is folded too, and what
 * came later went on from there to the winner.
 */
export function mayBeGivenUp({ region }: Homed, { winner, givers, provisional }: Above): boolean {
  return provisional.mayHaveGone(region, winner.region, region, ...givers);
}
