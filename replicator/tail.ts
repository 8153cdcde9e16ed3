/**
 * Proves the end of this region's own log by what a peer has copied of it. A server that lost power may come back with an older state
 * of the log, and the peers' copies are where the rest still is. Rule: what was lost is put back, byte for byte, as long as nothing else
 * was appended in its place; where something was, the log has forked, and only a new identity makes positions mean one thing again.
 */
import type { Region } from "./core/commands.ts";
import type { CopyLog, LogStore, OriginLog, ReadableLog } from "./log/port.ts";

export type TailFinding =
  /** The peer has nothing that this log does not have. */
  | { readonly kind: "proven" }
  | { readonly kind: "put-back"; readonly frames: number }
  /** The log is a new one now; its nodes know what to begin it with. */
  | { readonly kind: "renewed"; readonly detail: string }
  /** Nobody could be asked, or somebody else wrote at the same time. */
  | { readonly kind: "unknown"; readonly detail: string };

/** Compares the region's log (in `local`) with the peer's copy of it (in `remote`), and mends it. */
export async function proveTail(region: Region, local: LogStore, remote: LogStore): Promise<TailFinding> {
  const [log, copy] = await Promise.all([
    local.openLog(region, { create: false }),
    remote.openCopy(region, { create: false }),
  ]);
  if (!copy.ok && copy.reason === "absent") return { kind: "proven" };
  if (!log.ok) return { kind: "unknown", detail: log.detail };
  if (!copy.ok) return { kind: "unknown", detail: copy.detail };
  const [own, theirs] = await Promise.all([log.log.extent(), copy.log.extent()]);
  if (!own.ok) return { kind: "unknown", detail: own.detail };
  if (!theirs.ok) return { kind: "unknown", detail: theirs.detail };
  const { logId, first, head } = own.extent;
  const last = theirs.extent.head;
  if (theirs.extent.logId !== logId || last === 0) return { kind: "proven" };
  if (last > head) {
    if (head === 0 || theirs.extent.first <= head + 1) return putBack(log.log, copy.log, head, last);
    return renew(region, local, logId, `positions ${head + 1} to ${theirs.extent.first - 1} are lost`);
  }
  if (last < first) return { kind: "proven" };
  const agree = await sameEntry(log.log, copy.log, last);
  if (agree === undefined) return { kind: "unknown", detail: `entry ${last} could not be read` };
  if (agree) return { kind: "proven" };
  return renew(region, local, logId, `it forked at or before ${last}`);
}

/** Whether both hold the same bytes at `position`; `undefined` when that cannot be told now. */
export async function sameEntry(
  one: ReadableLog,
  other: ReadableLog,
  position: number,
): Promise<boolean | undefined> {
  const [a, b] = await Promise.all([one.entry(position), other.entry(position)]);
  if (!a.ok || !b.ok || a.entry === undefined || b.entry === undefined) return undefined;
  return Buffer.compare(a.entry.bytes, b.entry.bytes) === 0;
}

async function putBack(log: OriginLog, copy: CopyLog, head: number, last: number): Promise<TailFinding> {
  for (let position = head + 1; position <= last; position++) {
    const lost = await copy.entry(position);
    if (!lost.ok) return { kind: "unknown", detail: lost.detail };
    if (lost.entry === undefined) return { kind: "unknown", detail: `entry ${position} is not in the copy` };
    const result = await log.putBack(lost.entry);
    if (!result.ok) return { kind: "unknown", detail: result.detail };
  }
  return { kind: "put-back", frames: last - head };
}

async function renew(region: Region, local: LogStore, logId: string, detail: string): Promise<TailFinding> {
  const renewed = await local.renewLog(region, logId);
  return renewed.ok ? { kind: "renewed", detail } : { kind: "unknown", detail: renewed.detail };
}
