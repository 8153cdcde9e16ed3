/** The simulated log port keeps what the port promises where streams end and begin: renewed, deleted, truncated, reset, put back. */
import { beforeEach, describe, expect, it } from "vitest";
import type { CopyLog, Entry, OriginLog } from "../../replicator/log/port.ts";
import { FAULTS, draw } from "./settings.ts";
import { SimStore } from "./store.ts";
import { World } from "./world.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const entryAt = (position: number, logId = "a"): Entry => ({ position, logId, bytes: bytes(`${position}`) });
let world: World;
let store: SimStore;

/** What it is worth after so much virtual time. */
async function after<T>(promise: Promise<T>, ms = 2_000): Promise<T> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  await world.machine.run(world.machine.nowMs + ms);
  return promise;
}

async function openLog(): Promise<OriginLog> {
  const opened = await after(store.openLog("cn", { create: true }));
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

async function openCopy(): Promise<CopyLog> {
  const opened = await after(store.openCopy("eu", { create: true }));
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

/** Reads until stopped; what came, and why it broke off. */
function reading(log: OriginLog | CopyLog, from: number): { came: number[]; broken: string[] } {
  const came: number[] = [];
  const broken: string[] = [];
  log.read(from, {
    entry: ({ position }) => void came.push(position),
    interrupted: () => undefined,
    resumed: () => undefined,
    broken: (reason) => void broken.push(reason),
  });
  return { came, broken };
}

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytes(text);
}

beforeEach(() => {
  world = new World(draw({ seed: 1, events: 0, without: FAULTS }));
  const process = world.process("cn-1", "cn");
  store = new SimStore(world, process, world.server("cn"));
  world.machine.enter(process);
});

describe("the region's own log", () => {
  // What is stored here is no frame, which the history would read.
  beforeEach(() => {
    world.appended = () => undefined;
  });

  it("is another after renewal: the old handle's appends are rejected, its readers are told", async () => {
    const old = await openLog();
    await after(old.append(bytes("one"), "m1"));
    const reader = reading(old, 1);
    await after(Promise.resolve());
    const renewed = await after(store.renewLog("cn", old.logId));
    expect(renewed.ok && renewed.log.logId).not.toBe(old.logId);
    expect(await after(old.append(bytes("two"), "m2"))).toMatchObject({ ok: false, reason: "rejected" });
    expect(reader).toEqual({ came: [1], broken: ["identity-changed"] });
    const again = await after(store.renewLog("cn", old.logId));
    expect(again.ok && renewed.ok && again.log.logId === renewed.log.logId).toBe(true);
  });

  it("is absent once deleted, until it is created again with another identity", async () => {
    const old = await openLog();
    const reader = reading(old, 1);
    world.server("cn").deleteLog();
    expect(await after(old.append(bytes("one"), "m1"))).toMatchObject({ ok: false, reason: "unavailable" });
    expect(await after(store.openLog("cn", { create: false }))).toMatchObject({ reason: "absent" });
    expect(reader.broken).toEqual([]);
    expect((await openLog()).logId).not.toBe(old.logId);
    await after(Promise.resolve());
    expect(reader.broken).toEqual(["identity-changed"]);
  });

  it("takes no append after a reconnect while it ends before what was acknowledged; entries can be put back", async () => {
    const log = await openLog();
    for (const number of [1, 2, 3]) await after(log.append(bytes(`${number}`), `m${number}`));
    const last = await after(log.entry(3));
    const server = world.server("cn");
    server.up = false;
    world.network.changed();
    server.log.loseTail(1);
    server.up = true;
    world.network.changed();
    expect(await after(log.append(bytes("4"), "m4"))).toMatchObject({ ok: false, reason: "unavailable" });
    const entry: Entry = { position: 3, logId: log.logId, bytes: bytes("3") };
    expect(last).toMatchObject({ ok: true, entry });
    expect(await after(log.putBack({ ...entry, position: 4 }))).toMatchObject({ reason: "fenced" });
    expect(await after(log.putBack(entry))).toMatchObject({ ok: true, position: 3 });
    expect(await after(log.append(bytes("4"), "m4"))).toMatchObject({ ok: true, position: 4 });
  });

  it("forgets what is truncated, and keeps its positions", async () => {
    const log = await openLog();
    for (const number of [1, 2, 3]) await after(log.append(bytes(`${number}`), `m${number}`));
    await after(log.truncate(3));
    expect(await after(log.extent())).toMatchObject({ extent: { first: 3, head: 3, bytes: 1 } });
    expect(await after(log.entry(2))).toEqual({ ok: true, entry: undefined });
    const late = reading(log, 2);
    const inTime = reading(log, 3);
    await after(Promise.resolve());
    expect(late).toEqual({ came: [], broken: ["missing"] });
    expect(inTime).toEqual({ came: [3], broken: [] });
  });

  it("rejects while the server is full", async () => {
    const log = await openLog();
    world.server("cn").full = true;
    expect(await after(log.append(bytes("1"), "m1"))).toMatchObject({ ok: false, reason: "rejected" });
  });
});

describe("a copy", () => {
  it("may begin anywhere after a reset, and readers are told", async () => {
    world.copied = () => undefined;
    const copy = await openCopy();
    await after(copy.append(entryAt(1), 0));
    const reader = reading(copy, 1);
    await after(Promise.resolve());
    await after(copy.reset(1));
    expect(await after(copy.append(entryAt(9, "b"), 0))).toMatchObject({ reason: "fenced" });
    expect(await after(copy.append(entryAt(9, "b"), 1))).toMatchObject({ ok: true, position: 2 });
    expect(await after(copy.checkpoint())).toMatchObject({ logId: "b", position: 9, sequence: 2 });
    expect(await after(copy.extent())).toMatchObject({ extent: { logId: "b", first: 9, head: 9 } });
    expect(reader).toEqual({ came: [1], broken: ["identity-changed"] });
    const fresh = reading(copy, 9);
    await after(Promise.resolve());
    expect(fresh.came).toEqual([9]);
  });

  it("takes nothing after a reset that another handle meant for it as it was", async () => {
    world.copied = () => undefined;
    const late = await openCopy();
    const copy = await openCopy();
    await after(copy.append(entryAt(1), 0));
    await after(copy.reset(1));
    expect(await after(late.append(entryAt(2), 1))).toMatchObject({ ok: false, reason: "unavailable" });
    expect(await after(copy.append(entryAt(9), 1))).toMatchObject({ ok: true, position: 2 });
  });

  it("can be deleted and made again", async () => {
    const copy = await openCopy();
    world.server("cn").deleteCopy("eu");
    expect(await after(copy.append(entryAt(1), 0))).toMatchObject({ ok: false, reason: "unavailable" });
    expect(await after(store.openCopy("eu", { create: false }))).toMatchObject({ reason: "absent" });
    const again = await openCopy();
    expect(await after(again.checkpoint())).toMatchObject({ logId: "", position: 0, sequence: 0 });
  });
});

describe("snapshots", () => {
  it("are listed newest first, read as stored, and told when damaged", async () => {
    const snapshots = store.snapshots();
    expect(await after(snapshots.write("one", "at 1", chunks("ab", "cd")))).toEqual({ ok: true, bytes: 4 });
    await after(snapshots.write("two", "at 2", chunks("ef")));
    const listed = await after(snapshots.list());
    expect(listed.ok && listed.snapshots.map(({ name, label }) => [name, label])).toEqual([
      ["two", "at 2"],
      ["one", "at 1"],
    ]);
    let read = "";
    const take = (piece: Uint8Array): void => void (read += Buffer.from(piece).toString());
    expect(await after(snapshots.read("one", take))).toEqual({ ok: true });
    expect(read).toBe("abcd");
    await after(snapshots.remove("two"));
    world.server("cn").snapshots.tear(world.readerRandom);
    expect(await after(snapshots.read("one", take))).toMatchObject({ ok: false, reason: "damaged" });
    expect(await after(snapshots.read("two", take))).toMatchObject({ ok: false, reason: "absent" });
  });
});
