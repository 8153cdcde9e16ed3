/** The end of a region's own log, proven by a peer's copy: put back where it is lost, given up where something else stands there. */
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import type { OriginLog } from "../../replicator/log/port.ts";
import { proveTail } from "../../replicator/tail.ts";

let server = new MemoryServer();
let home = new MemoryLogStore(server);
let peer = new MemoryLogStore(new MemoryServer());

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

async function log(): Promise<OriginLog> {
  const opened = await home.openLog("cn", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

async function append(...entries: string[]): Promise<void> {
  const own = await log();
  for (const entry of entries) {
    const result = await own.append(Buffer.from(entry), `${entry}-${Math.random()}`);
    if (!result.ok) throw new Error(result.detail);
  }
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
    texts.push(text(answer.entry.bytes));
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
