/**
 * What folds need of their heirs' logs, and what of a lost region's own log counts no more: for who reads logs, keeps snapshots and
 * truncates. Rule: it follows from the folds alone, as `sourceOf` does.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Region } from "../../replicator/core/commands.ts";
import { deputyOf, writerOf } from "../../replicator/core/deputy.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { sourceOf, successionOf } from "../../replicator/core/succession.ts";
import type { LogPosition, Token } from "../../replicator/core/token.ts";

/** Where the region's own log ended for a fold that has gone over to an heir's: no more of that log counts, whatever the fold stands in now. */
export function overIn(folds: readonly Fold[], fold: Fold): LogPosition | undefined {
  const succession = successionOf(folds, fold.region);
  const { heir, generation } = deputyOf(fold);
  if (succession?.heir !== heir || succession.generation !== generation) return undefined;
  const { logId, position } = succession.base;
  return { logId, position };
}

/** Up to where the fold has no need any more of the heir's log that it reads, or is to go over to; nothing where it needs none. */
export function neededIn(folds: readonly Fold[], fold: Fold): LogPosition | undefined {
  const { region, logId, position } = fold;
  if (writerOf(fold) !== region) return { logId, position };
  const source = sourceOf(folds, fold);
  if (source.kind === "astray" || (source.from ?? source.through) === undefined) return undefined;
  const { heir, since } = defined(successionOf(folds, region), "it names the place");
  const log = defined(
    folds.find((one) => one.region === heir),
    "an heir has a log",
  );
  return { logId: log.logId, position: since - log.base - 1 };
}

/** What a snapshot's label says of where the replica stands. */
export function standIn(replica: Replica): {
  readonly vector: Token;
  readonly over: Token;
  readonly needed: Token;
} {
  const { folds } = replica;
  return {
    vector: replica.applied(),
    over: each(folds, overIn),
    needed: each(folds, neededIn),
  };
}

function each(
  folds: readonly Fold[],
  place: (folds: readonly Fold[], fold: Fold) => LogPosition | undefined,
): Token {
  const places = new Map<Region, LogPosition>();
  for (const fold of folds) {
    const at = place(folds, fold);
    if (at !== undefined && at.position > 0) places.set(fold.region, at);
  }
  return places;
}
