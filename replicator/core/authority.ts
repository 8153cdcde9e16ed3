/**
 * Whether a region may write its log, and begin it again, by what the folds of one replica say (`succession.ts`, decisions/0021). Rule: who
 * was succeeded writes nothing before all is folded that the heir says for it; and a log that is written for others too is begun again
 * only from where all of them are folded as far as the log itself.
 */
import { defined } from "./assert.ts";
import type { Region } from "./commands.ts";
import { DEPUTY_KEY, deputyOf } from "./deputy.ts";
import type { Fold } from "./fold.ts";
import { successionKey, successionOf } from "./succession.ts";

/** Another region stands for this one, or did, and not all is folded that it said. */
export interface Deposed {
  readonly heir: Region;
  readonly hasYielded: boolean;
  /** When that was decided, by the wall clock of the heir's node. Shown, never compared. */
  readonly sinceMs: number;
}

/** Who stands in the way of the region's writing its log; nobody where it may. */
export function deposed(folds: readonly Fold[], region: Region): Deposed | undefined {
  const fold = foldOf(folds, region);
  const succession = successionOf(folds, region);
  const { heir, generation, hasYielded } = deputyOf(fold);
  const isNoted = succession === undefined || succession.generation < generation;
  const isSame = !isNoted && succession.generation === generation && succession.heir === heir;
  if ((isNoted || isSame) && hasYielded) return undefined;
  if (isNoted) return { heir, hasYielded: false, sinceMs: decidedAtMs(fold, DEPUTY_KEY) };
  const sinceMs = decidedAtMs(foldOf(folds, succession.heir), successionKey(region));
  return { heir: succession.heir, hasYielded: succession.phase === "yield", sinceMs };
}

/**
 * A region whose log goes on in that of `heir`, and of which less is folded than of the heir itself: nobody could go on there if the heir's
 * log were begun again from here.
 */
export function laggard(folds: readonly Fold[], heir: Region): Region | undefined {
  const own = foldOf(folds, heir);
  const lags = folds.find((fold) => {
    const succession = successionOf(folds, fold.region);
    if (fold === own || succession?.heir !== heir) return false;
    const deputy = deputyOf(fold);
    if (deputy.generation > succession.generation) return false;
    if (deputy.generation === succession.generation && deputy.hasYielded) return false;
    return fold.logId !== own.logId || fold.position !== own.position;
  });
  return lags?.region;
}

/** What is added at each renewal to versions. */
const RENEWAL_STEP = 2 ** 32;

/**
 * A version that each change has, at least, that the heir made of the region's records, for a fold that stands at the end of what the heir
 * says. It may be lower than need be, where the heir's log was begun again: what it takes for unchanged is.
 */
export function changedFrom(folds: readonly Fold[], region: Region): number {
  const succession = successionOf(folds, region);
  const { base } = foldOf(folds, region);
  if (succession === undefined) return 0;
  const begun = Math.floor(succession.since / RENEWAL_STEP) * RENEWAL_STEP;
  return base - (foldOf(folds, succession.heir).base - begun);
}

function foldOf(folds: readonly Fold[], region: Region): Fold {
  return defined(
    folds.find((fold) => fold.region === region),
    "a replica has every region",
  );
}

function decidedAtMs({ settings }: Fold, key: string): number {
  return defined(settings.get(key), "it was read from there").atMs;
}
