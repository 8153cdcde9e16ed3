/**
 * Where the logs stand that this region holds: its own, and the copies of the peers'. Rule: all of them or none; one that does not answer
 * is not taken for one that is not there.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { LogStore, Opened, ReadableLog } from "../../replicator/log/port.ts";
import { baseIn } from "../../replicator/wire/base-in.ts";
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
    const { extent } = answer;
    const begun = extent.first === 1 && extent.head > 0 ? await opened.log.entry(1) : undefined;
    if (begun?.ok === false) return `the log of ${origin} cannot be read: ${begun.detail}`;
    held.set(origin, { ...extent, base: begun?.entry && baseIn(begun.entry.bytes) });
  }
  return held;
}

/** Whether it can be folded by who has nothing. */
export function isWhole({ first, base }: Held): boolean {
  return first <= 1 && base === undefined;
}

function openOf(store: LogStore, origin: Region, own: Region): Promise<Opened<ReadableLog>> {
  return origin === own
    ? store.openLog(origin, { create: false })
    : store.openCopy(origin, { create: false });
}
