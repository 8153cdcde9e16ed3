/** A peer's in-memory log across a simulated link: delay, order, cuts, and answers that do not come. */
import { performance } from "node:perf_hooks";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WanLogStore } from "../../infra/demo/wan-store.ts";
import { WanLink } from "../../infra/wan.ts";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import type { OriginLog, ReadHandlers } from "../../replicator/log/port.ts";

const RTT_MS = 40;
let link: WanLink;
let near: WanLogStore;
let origin: OriginLog;
let server: MemoryServer;

beforeEach(async () => {
  link = new WanLink("cn", "us", { rttMs: RTT_MS });
  server = new MemoryServer();
  const opened = await new MemoryLogStore(server).openLog("us", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  origin = opened.log;
  near = new WanLogStore(new MemoryLogStore(server), { forth: link.lane("cn"), back: link.lane("us") });
});

afterEach(async () => {
  await near.close();
  await link.close();
});

async function append(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await origin.append(new Uint8Array([i % 256]), `${performance.now()}-${i}`);
}

async function distantLog(): Promise<OriginLog> {
  const opened = await near.openLog("us", { create: false });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

const unexpected = (): void => expect.unreachable("nothing is wrong with this log");

/** Collects positions; `entry` may be slow. */
function collector(entry: () => void | Promise<void> = () => undefined) {
  const positions: number[] = [];
  const handlers: ReadHandlers = {
    entry: ({ position }) => {
      positions.push(position);
      return entry();
    },
    interrupted: unexpected,
    resumed: unexpected,
    broken: unexpected,
  };
  return { positions, handlers };
}

test("a question takes a round trip, an entry one way", async () => {
  const log = await distantLog();
  const askedMs = performance.now();
  expect(await log.extent()).toMatchObject({ ok: true, extent: { head: 0 } });
  expect(performance.now() - askedMs).toBeGreaterThanOrEqual(RTT_MS - 1);

  const { positions, handlers } = collector();
  log.read(1, handlers);
  await append(1);
  const appendedMs = performance.now();
  await vi.waitFor(() => expect(positions).toEqual([1]), { interval: 1 });
  expect(performance.now() - appendedMs).toBeGreaterThanOrEqual(RTT_MS / 2 - 2);
});

test("entries come in order, each once, also to a slow reader and more than a window of them", async () => {
  const log = await distantLog();
  const { positions, handlers } = collector(() => new Promise((resolve) => setImmediate(resolve)));
  log.read(1, handlers);
  await append(1_000);
  await vi.waitFor(() => expect(positions).toHaveLength(1_000), { timeout: 10_000 });
  expect(positions).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1));
});

test("a cut holds entries within bounds, and healing brings them all", async () => {
  const log = await distantLog();
  const { positions, handlers } = collector();
  log.read(1, handlers);
  await append(1);
  await vi.waitFor(() => expect(positions).toEqual([1]));
  link.setCut("us→cn");
  await append(2_000);
  await vi.waitFor(() => expect(link.status().heldBytes).toBeGreaterThan(0));
  expect(link.status().heldBytes).toBeLessThanOrEqual(300);
  expect(positions).toEqual([1]);
  link.setCut(false);
  await vi.waitFor(() => expect(positions).toHaveLength(2_001), { timeout: 10_000 });
});

test("a question across a cut is answered unavailable after a while", async () => {
  const log = await distantLog();
  link.setCut("cn→us");
  expect(await log.extent()).toMatchObject({ ok: false, reason: "unavailable" });
});

test("a stopped reader hears nothing more", async () => {
  const log = await distantLog();
  const { positions, handlers } = collector();
  const reader = log.read(1, handlers);
  await append(1);
  await vi.waitFor(() => expect(positions).toEqual([1]));
  await append(5);
  await reader.stop();
  await log.extent();
  expect(positions).toEqual([1]);
});

test("a log is mended across the link as it would be beside it", async () => {
  await append(5);
  const log = await distantLog();
  expect(await log.entry(2)).toMatchObject({ ok: true, entry: { position: 2 } });
  expect(await log.truncate(3)).toEqual({ ok: true });
  expect(await log.putBack({ position: 6, logId: log.logId, bytes: new Uint8Array([6]) })).toMatchObject({
    ok: true,
    position: 6,
  });
  expect(await origin.extent()).toMatchObject({ extent: { first: 3, head: 6 } });
  const renewed = await near.renewLog("us", log.logId);
  expect(renewed).toMatchObject({ ok: true });
  expect(renewed.ok && renewed.log.logId).not.toBe(log.logId);
});

async function* chunks(): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < 40; index++) yield new Uint8Array(100_000).fill(index);
}

test("a snapshot crosses the link whole and in order, and a cut makes it unavailable", async () => {
  const store = new MemoryLogStore(server);
  expect(await store.snapshots().write("one", "label", chunks())).toMatchObject({ ok: true });
  const listed = await near.snapshots().list();
  expect(listed).toMatchObject({ snapshots: [{ name: "one", label: "label", bytes: 4_000_000 }] });
  const pieces: Uint8Array[] = [];
  const take = async (piece: Uint8Array): Promise<void> => {
    await new Promise(setImmediate);
    pieces.push(piece);
  };
  expect(await near.snapshots().read("one", take)).toEqual({ ok: true });
  const bytes = Buffer.concat(pieces);
  expect(bytes.length).toBe(4_000_000);
  expect(bytes.every((byte, index) => byte === Math.floor(index / 100_000))).toBe(true);
  expect(await near.snapshots().read("none", take)).toMatchObject({ ok: false, reason: "absent" });
  link.setCut(true);
  expect(await near.snapshots().read("one", take)).toMatchObject({ ok: false, reason: "unavailable" });
});

test("an announcement is heard one way later, and not any more once nobody listens", async () => {
  const heard: string[] = [];
  const unlisten = near.listen("news", (payload) => heard.push(Buffer.from(payload).toString()));
  const there = new MemoryLogStore(server);
  const saidMs = performance.now();
  there.announce("news", Buffer.from("first"));
  await vi.waitUntil(() => heard.length === 1);
  expect(performance.now() - saidMs).toBeGreaterThanOrEqual(RTT_MS / 2 - 1);
  unlisten();
  there.announce("news", Buffer.from("second"));
  await near.openLog("us", { create: false });
  expect(heard).toEqual(["first"]);
});
