/**
 * Where the logs stand that this region holds: its own, and the copies of the peers'. Rule: all of them or none; one that does not answer
 * is not taken for one that is not there.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { LogStore, Opened, ReadableLog } from "../../replicator/log/port.ts";
import { goesOn } from "../../replicator/wire/goes-on.ts";
import type { Held } from "./snapshots.ts";

export interface HeldOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly store: LogStore;
}

/** Where the logs stand that this region holds, or why one of them does not say. */
export async function heldLogs({ region, regions, store }: HeldOptions): Promise<Map<Region, Held> | string> {
  const held = new Map<Region, Held>();
  for (const origin of regions) {
    const opened = await openOf(store, origin, region);
    if (!opened.ok && opened.reason === "absent") {
      held.set(origin, { logId: "", first: 1, head: 0 });
      continue;
    }
    if (!opened.ok) return opened.detail;
    const answer = await opened.log.extent();
    if (!answer.ok) return `the log of ${origin} cannot be read: ${answer.detail}`;
    held.set(origin, answer.extent);
  }
  return held;
}

/** Of those that are held from their first frame: whether that goes on where another log ended. Or what stands in the way of knowing. */
export async function withBeginnings(
  { region, store }: HeldOptions,
  logs: ReadonlyMap<Region, Held>,
): Promise<Map<Region, Held> | string> {
  const known = new Map<Region, Held>();
  for (const [origin, held] of logs) {
    known.set(origin, held);
    if (held.first > 1 || held.head === 0) continue;
    const opened = await openOf(store, origin, region);
    const first = opened.ok ? await opened.log.entry(1) : opened;
    if (!first.ok) return `the log of ${origin} cannot be read: ${first.detail}`;
    known.set(origin, { ...held, goesOn: first.entry !== undefined && goesOn(first.entry.bytes) });
  }
  return known;
}

function openOf(store: LogStore, origin: Region, own: Region): Promise<Opened<ReadableLog>> {
  return origin === own
    ? store.openLog(origin, { create: false })
    : store.openCopy(origin, { create: false });
}
