/** A fold as text: what the sums of the shipped digest stand for, to compare it without them. */
import type { Fold } from "../../replicator/core/fold.ts";

/** The whole state of a fold as text: the same text for the same state. */
export function digestOf(fold: Fold): string {
  return JSON.stringify([
    fold.lineage,
    fold.version,
    [...fold.table.values()].toSorted((a, b) => (a.user < b.user ? -1 : 1)),
    sorted(fold.sent),
    sorted(fold.processed),
  ]);
}

function sorted(ordinals: ReadonlyMap<string, number>): [string, number][] {
  return [...ordinals].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
