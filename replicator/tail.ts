/**
 * Proves the end of this region's own log by what a peer has copied of it. A server that lost power may come back with an older state
 * of the log, and the peers' copies are where the rest still is. Rule: what was lost is put back, byte for byte, as long as nothing else
 * was appended in its place; where something was, the log has forked, and only a new identity makes positions mean one thing again.
 */
import type { Position, Region } from "./core/commands.ts";
import type { CopyLog, Entry, Extent, LogStore, OriginLog } from "./log/port.ts";
import { inspectFrame } from "./wire/codec.ts";

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
  if (!log.ok) return unknown(log.detail);
  if (!copy.ok) return unknown(copy.detail);
  const [own, theirs] = await Promise.all([log.log.extent(), copy.log.extent()]);
  if (!own.ok) return unknown(own.detail);
  if (!theirs.ok) return unknown(theirs.detail);
  const { logId } = own.extent;
  if (theirs.extent.logId !== logId || theirs.extent.head === 0) return { kind: "proven" };
  const compared = await compare(log.log, copy.log, own.extent, theirs.extent);
  if (typeof compared !== "string") return compared;
  const renewed = await local.renewLog(region, logId);
  return renewed.ok ? { kind: "renewed", detail: compared } : unknown(renewed.detail);
}

/** The finding, or why only a new log helps. */
async function compare(
  log: OriginLog,
  copy: CopyLog,
  { first, head }: Extent,
  theirs: Extent,
): Promise<TailFinding | string> {
  const shared = Math.min(head, theirs.head);
  const lost = theirs.head - head;
  if (shared < Math.max(first, theirs.first)) {
    // Nothing is held of both: what is missing can only be judged by whether the copy begins where the log ends.
    if (lost <= 0) return { kind: "proven" };
    if (theirs.first > head + 1) return `positions ${head + 1} to ${theirs.first - 1} are lost`;
  } else {
    const [ours, same] = await Promise.all([log.entry(shared), copy.entry(shared)]);
    if (!ours.ok) return unknown(ours.detail);
    if (!same.ok) return unknown(same.detail);
    if (ours.entry === undefined || same.entry === undefined)
      return unknown(`entry ${shared} is not held any more`);
    if (Buffer.compare(ours.entry.bytes, same.entry.bytes) !== 0) return `it forked at or before ${shared}`;
    if (lost <= 0) return { kind: "proven" };
  }
  return putBack(log, copy, head, theirs.head);
}

/** Streams what is missing out of the copy; each entry is stored before the next is taken. */
function putBack(log: OriginLog, copy: CopyLog, head: Position, last: Position): Promise<TailFinding> {
  return new Promise((resolve) => {
    let ended = false;
    const end = (finding: TailFinding): void => {
      if (ended) return;
      ended = true;
      void reader.stop().then(() => resolve(finding));
    };
    const put = async (entry: Entry): Promise<void> => {
      if (ended || entry.position <= head) return;
      const inspected = inspectFrame(entry.bytes);
      if (!inspected.ok) return end(unknown(`frame ${entry.position} came broken: ${inspected.reason}`));
      const result = await log.putBack(entry);
      if (!result.ok) end(unknown(result.detail));
      else if (entry.position === last) end({ kind: "put-back", frames: last - head });
    };
    const reader = copy.read(head + 1, {
      entry: put,
      interrupted: (detail) => end(unknown(detail)),
      resumed: () => undefined,
      broken: (reason, detail) => end(unknown(`${reason}: ${detail}`)),
    });
  });
}

function unknown(detail: string): TailFinding {
  return { kind: "unknown", detail };
}
