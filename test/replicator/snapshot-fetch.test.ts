/** How a snapshot comes from a peer: the nearest that reaches far enough, whole or not at all. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import type { SnapshotStore } from "../../replicator/log/port.ts";
import { SNAPSHOT_WANTED_TOPIC } from "../../replicator/runtime/announcement.ts";
import { formatLabel } from "../../replicator/runtime/snapshot-label.ts";
import { fetchSnapshot } from "../../replicator/snapshot-fetch.ts";

const CONTENT = Array.from({ length: 40 }, (_, piece) => new Uint8Array(10_000).fill(piece));

let there = new MemoryServer();
let local = new MemoryLogStore(new MemoryServer());
let remote = new MemoryLogStore(there);

beforeEach(() => {
  there = new MemoryServer();
  local = new MemoryLogStore(new MemoryServer());
  remote = new MemoryLogStore(there);
});

afterEach(() => {
  vi.useRealTimers();
});

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield* CONTENT;
}

async function store(into: SnapshotStore, name: string, position: number, logId = "log-cn"): Promise<void> {
  const vector = new Map([["cn", { logId, position }]]);
  const written = await into.write(name, formatLabel({ region: "cn", node: "n", atMs: 1, vector }), pieces());
  if (!written.ok) throw new Error(written.detail);
}

function fetch(atLeast: number, head: number, percents: number[] = []) {
  const progress = (percent: number): void => void percents.push(percent);
  return fetchSnapshot({ origin: "cn", logId: "log-cn", atLeast, head, remote, local, progress });
}

async function contentHere(name: string): Promise<Buffer> {
  const read: Uint8Array[] = [];
  const result = await local.snapshots().read(name, (piece) => void read.push(piece.slice()));
  if (!result.ok) throw new Error(result.detail);
  return Buffer.concat(read);
}

async function namesHere(): Promise<string[]> {
  const listed = await local.snapshots().list();
  if (!listed.ok) throw new Error(listed.detail);
  return listed.snapshots.map(({ name }) => name);
}

describe("a snapshot", () => {
  it("is brought byte for byte under its name and label, and tells how far it is", async () => {
    await store(remote.snapshots(), "s1", 500);
    const percents: number[] = [];
    expect(await fetch(400, 510, percents)).toEqual({ ok: true, position: 500 });
    expect(await contentHere("s1")).toEqual(Buffer.concat(CONTENT));
    expect(percents.at(-1)).toBe(100);
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
  });

  it("that is here already and reaches far enough is used, whatever the peer has", async () => {
    await store(local.snapshots(), "here", 450);
    await store(remote.snapshots(), "newer", 500);
    expect(await fetch(400, 510)).toEqual({ ok: true, position: 450 });
    expect(await namesHere()).toEqual(["here"]);
  });

  it("that does not reach far enough, or is of another log, is none", async () => {
    await store(local.snapshots(), "short", 399);
    await store(local.snapshots(), "other", 900, "another");
    await store(remote.snapshots(), "s1", 500);
    expect(await fetch(400, 510)).toEqual({ ok: true, position: 500 });
  });

  it("that is known to be of no use is passed over, here and at the peer", async () => {
    for (const into of [local, remote]) await store(into.snapshots(), "torn", 450);
    await store(remote.snapshots(), "s1", 430);
    await store(remote.snapshots(), "another", 440);
    const options = { origin: "cn", logId: "log-cn", atLeast: 400, head: 510, remote, local };
    const useless = ["torn", "another"];
    const fetched = await fetchSnapshot({ ...options, useless, progress: () => undefined });
    expect(fetched).toEqual({ ok: true, position: 430 });
    expect((await namesHere()).toSorted()).toEqual(["s1", "torn"]);
  });

  it("that is damaged at the peer is not stored here", async () => {
    await store(remote.snapshots(), "s1", 500);
    there.damageSnapshot("s1");
    expect(await fetch(400, 510)).toMatchObject({ ok: false });
    expect(await namesHere()).toEqual([]);
  });

  it("that is far behind is asked for anew, and the newer one is taken", async () => {
    await store(remote.snapshots(), "old", 500);
    let asked = 0;
    new MemoryLogStore(there).listen(SNAPSHOT_WANTED_TOPIC, () => {
      asked += 1;
      if (asked === 1) void store(remote.snapshots(), "new", 5_000);
    });
    expect(await fetch(400, 5_010)).toEqual({ ok: true, position: 5_000 });
    expect(asked).toBeGreaterThan(0);
  });

  it("that is far behind is taken after all when none comes; and without any, that is said", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const nothing = fetch(400, 5_010);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await nothing).toMatchObject({ ok: false, detail: "no snapshot in cn has log log-cn up to 400" });
    await store(remote.snapshots(), "old", 500);
    const late = fetch(400, 5_010);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await late).toEqual({ ok: true, position: 500 });
  });

  it("cannot be had from a server that does not answer", async () => {
    there.stop();
    expect(await fetch(400, 510)).toMatchObject({ ok: false });
  });
});
