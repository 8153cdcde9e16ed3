/** The end of a region's own log, proven by a peer's copy: put back where it is lost, given up where something else stands there. */
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import type { CopyLog, OriginLog } from "../../replicator/log/port.ts";
import { proveTail } from "../../replicator/tail.ts";
import { frameOf, textIn } from "./frames.ts";

let server = new MemoryServer();
let home = new MemoryLogStore(server);
let peer = new MemoryLogStore(new MemoryServer());

async function log(): Promise<OriginLog> {
  const opened = await home.openLog("cn", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

async function append(...entries: string[]): Promise<void> {
  const own = await log();
  for (const entry of entries) {
    const result = await own.append(frameOf(entry, own.logId), `${entry}-${Math.random()}`);
    if (!result.ok) throw new Error(result.detail);
  }
}

function flipped(bytes: Uint8Array): Uint8Array {
  const other = bytes.slice();
  other[9] = (other[9] ?? 0) ^ 1;
  return other;
}

/** Copies the log to the peer as it is now, as its replicator does. */
async function copy(): Promise<void> {
  const opened = await peer.openCopy("cn", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  const own = await log();
  const checkpoint = await opened.log.checkpoint();
  if (!checkpoint.ok) throw new Error(checkpoint.detail);
  let { sequence } = checkpoint;
  for (let position = checkpoint.position + 1; ; position++) {
    const { entry } = { entry: undefined, ...(await own.entry(position)) };
    if (entry === undefined) return;
    const result = await opened.log.append(entry, sequence);
    if (!result.ok) throw new Error(result.detail);
    sequence = result.position;
  }
}

async function contents(): Promise<string[]> {
  const own = await log();
  const texts: string[] = [];
  for (let position = 1; ; position++) {
    const answer = await own.entry(position);
    if (!answer.ok || answer.entry === undefined) return texts;
    texts.push(textIn(answer.entry.bytes));
  }
}

beforeEach(() => {
  server = new MemoryServer();
  home = new MemoryLogStore(server);
  peer = new MemoryLogStore(new MemoryServer());
});

describe("the end of the log", () => {
  it("is proven by a peer that has copied nothing, or nothing else", async () => {
    await append("a", "b");
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "proven" });
    await copy();
    await append("c");
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "proven" });
  });

  it("is put back, entry by entry at the old positions, and proven then", async () => {
    await append("a", "b", "c", "d");
    await copy();
    const before = (await log()).logId;
    server.loseTail("LOG_cn", 2);
    expect(await contents()).toEqual(["a", "b"]);
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "put-back", frames: 2 });
    expect(await contents()).toEqual(["a", "b", "c", "d"]);
    expect((await log()).logId).toBe(before);
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "proven" });
  });

  it("is not put back with a frame that came broken, and is when it comes whole", async () => {
    await append("a", "b", "c");
    await copy();
    server.loseTail("LOG_cn", 2);
    const { logId } = await log();
    const sound = peer.openCopy.bind(peer);
    peer.openCopy = async (region, options) => {
      const opened = await sound(region, options);
      if (!opened.ok) return opened;
      const { log: real } = opened;
      const broken: CopyLog = {
        region,
        extent: () => real.extent(),
        entry: (position) => real.entry(position),
        checkpoint: () => real.checkpoint(),
        truncate: (below, of) => real.truncate(below, of),
        append: (entry, fence) => real.append(entry, fence),
        reset: (through) => real.reset(through),
        sealed: real.sealed,
        seal: (next) => real.seal(next),
        read: (from, handlers) =>
          real.read(from, {
            interrupted: (detail) => handlers.interrupted(detail),
            resumed: () => handlers.resumed(),
            broken: (reason, detail) => handlers.broken(reason, detail),
            entry: (entry) =>
              handlers.entry(entry.position === 3 ? { ...entry, bytes: flipped(entry.bytes) } : entry),
          }),
      };
      return { ok: true, log: broken };
    };
    expect(await proveTail("cn", home, peer)).toMatchObject({ kind: "unknown" });
    expect(await contents()).toEqual(["a", "b"]);
    peer.openCopy = sound;
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "put-back", frames: 1 });
    expect([await contents(), (await log()).logId]).toEqual([["a", "b", "c"], logId]);
  });

  it.each([
    ["in its place, and more", ["x", "y"]],
    ["in the place of its first, and none of the rest", ["x"]],
  ])("is given up where another entry stands %s: the log is a new one", async (_where, appended) => {
    await append("a", "b", "c", "d");
    await copy();
    const before = (await log()).logId;
    server.loseTail("LOG_cn", 2);
    // A process that knows nothing of the lost end.
    home = new MemoryLogStore(server);
    await append(...appended);
    expect(await proveTail("cn", home, peer)).toMatchObject({ kind: "renewed" });
    expect((await log()).logId).not.toBe(before);
    expect(await proveTail("cn", home, peer)).toEqual({ kind: "proven" });
  });

  it("is unknown while nobody answers", async () => {
    await append("a");
    await copy();
    server.stop();
    expect(await proveTail("cn", home, peer)).toMatchObject({ kind: "unknown" });
  });
});
