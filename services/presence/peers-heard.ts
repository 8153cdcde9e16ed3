/**
 * What a region waits for that has no log of its own: it is new, or has lost everything, and a peer's snapshot may be on its way. Rule:
 * it begins with nothing only when its replicator has found out that no peer has anything, or says nothing at all.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { LinkReport } from "../../replicator/core/link-events.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { pause } from "../../replicator/runtime/pause.ts";

export interface PeersHeardOptions {
  readonly region: Region;
  readonly store: LogStore;
  readonly clock: Clock;
  /** What the replicator says of the link from each peer; `undefined` before its first report. */
  readonly reports: () => readonly (LinkReport | undefined)[];
  /** What it waits for; for people. */
  readonly progress: (detail: string) => void;
  readonly stopped: () => boolean;
}

/** The replicator has so long to report. */
const FIRST_REPORT_MS = 3_000;

/** Resolves when the region may begin: at once where it has a log or no peers. */
export async function peersHeard(options: PeersHeardOptions): Promise<void> {
  const { region, store, clock, reports, progress, stopped } = options;
  const startedMs = clock().monoMs;
  while (!stopped() && reports().length > 0) {
    const own = await store.openLog(region, { create: false });
    if (own.ok) return;
    const heard = reports();
    const coming = heard.find((report) => report?.state === "snapshotting");
    const told = heard.every((report) => report !== undefined && isDecided(report));
    const waited = clock().monoMs - startedMs > FIRST_REPORT_MS;
    if (own.reason === "absent" && coming === undefined && (told || waited)) return;
    progress(
      coming === undefined ? `waiting for the replicator: ${own.detail}` : `from a peer: ${coming.reason}`,
    );
    await pause(LIMITS.tickMs);
  }
}

/** Whether the link has found out what there is to copy; nothing, where the origin is new as well. */
function isDecided({ state, errors }: LinkReport): boolean {
  return state !== "disconnected" || (errors["absent"] ?? 0) > 0;
}
