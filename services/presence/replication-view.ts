/** The matrix as it is told over HTTP. Rule: what nobody has measured is `null`, never 0. */
import type { LinkRow } from "../../replicator/core/matrix.ts";
import type { Region } from "../../replicator/core/commands.ts";
import type { ReplicationLink } from "./service.ts";

/** `secondsToOverrun` is of this region's log, by the replica that has not copied it. */
export function linksOf(
  rows: readonly LinkRow[],
  region: Region,
  secondsToOverrun: ((replica: Region) => number | null) | undefined,
): ReplicationLink[] {
  return rows.map(({ visible, clock, ...row }) => ({
    ...row,
    visibleMs: visible,
    clockOffsetMs: clock?.offsetMs ?? null,
    clockErrorMs: clock?.errorMs ?? null,
    secondsToOverrun: row.origin === region ? (secondsToOverrun?.(row.replica) ?? null) : null,
  }));
}
