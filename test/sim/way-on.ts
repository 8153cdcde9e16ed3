/**
 * Whether what is left of a region's log can be folded by who has nothing else. Rule: of what the log does not say itself a sound snapshot
 * stays, in some region. A node keeps three and truncates by the oldest; in these short runs an overrun goes by one, and the last sound one
 * stands for the others.
 */
import { parseLabel, positionIn } from "../../replicator/runtime/snapshot-label.ts";
import { baseIn } from "../../replicator/wire/base-in.ts";
import type { Server } from "./servers.ts";

/** Of the server's own log, where it is held from `first` on. */
export function hasWayOn(
  servers: readonly Server[],
  { region, log }: Server,
  first: number = log.first,
): boolean {
  const begun = first === 1 ? log.held(1) : undefined;
  const base = begun && baseIn(begun.bytes);
  if (first === 1 && base === undefined) return true;
  const labels = servers.flatMap(({ snapshots }) =>
    snapshots.sound().flatMap(({ label }) => parseLabel(label) ?? []),
  );
  return labels.some((label) => {
    if (base !== undefined && positionIn(label, region, base.logId) === base.position) return true;
    return (positionIn(label, region, log.logId) ?? -1) >= first - 1;
  });
}
