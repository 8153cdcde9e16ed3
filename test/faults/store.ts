/**
 * What a nats-server keeps on disk, copied, put back in an older state, and damaged: power loss and bad disks.
 * Rule: copied and put back only while the server is down, so that what it finds is what a disk could hold.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NatsProcess } from "./stage-process.ts";

const FLIPPED_BIT = 1;

/** Copies the store of a server that is down. */
export function saveStore(nats: NatsProcess, folder: string): void {
  requireDown(nats);
  cpSync(nats.storeDir, folder, { recursive: true });
}

/** Replaces the store of a server that is down by a copy of it. */
export function restoreStore(nats: NatsProcess, folder: string): void {
  requireDown(nats);
  rmSync(nats.storeDir, { recursive: true });
  cpSync(folder, nats.storeDir, { recursive: true });
}

/** Flips one bit of the last of these bytes that a block of the stream holds, up or down. */
export function flipStored({ storeDir }: NatsProcess, stream: string, bytes: Uint8Array): void {
  for (const file of blocksOf(storeDir, stream).toReversed()) {
    const block = readFileSync(file);
    const at = block.lastIndexOf(bytes);
    if (at < 0) continue;
    const last = at + bytes.length - 1;
    block[last] = (block[last] ?? 0) ^ FLIPPED_BIT;
    // In place, as a disk would: the server may have it open.
    writeFileSync(file, block, { flag: "r+" });
    return;
  }
  throw new Error(`no block of ${stream} holds these bytes`);
}

/** Oldest first. */
function blocksOf(storeDir: string, stream: string): string[] {
  const paths = readdirSync(storeDir, { recursive: true, encoding: "utf8" });
  return paths
    .filter((path) => path.includes(`/${stream}/msgs/`) && path.endsWith(".blk"))
    .map((path) => join(storeDir, path))
    .toSorted((a, b) => numberOf(a) - numberOf(b));
}

function numberOf(path: string): number {
  return Number(/(\d+)\.blk$/.exec(path)?.[1]);
}

function requireDown({ name, pid }: NatsProcess): void {
  if (pid !== undefined) throw new Error(`${name} runs`);
}
