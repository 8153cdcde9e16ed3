/** What a replica is made of where logs were begun again: one snapshot, or one put together out of several. */
import { describe, expect, it } from "vitest";
import type { Command, Frame } from "../../../replicator/core/commands.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { Lacked } from "../../../replicator/runtime/announcement.ts";
import { decodeFrame, encodeFrame } from "../../../replicator/wire/codec.ts";
import { base, rebuild } from "../../../services/presence/resync.ts";
import type { Base, RebuildOptions, ResyncOptions } from "../../../services/presence/resync.ts";
import { Snapshots } from "../../../services/presence/snapshots.ts";
import { canonical, digestOf } from "../../core/observed.ts";
import { REGIONS, accept, forward, frame, open } from "../../core/samples.ts";
import { SIM_CODEC } from "../../sim/snapshot-codec.ts";

const US_2 = "log-us-2";

function later(logId: string, region: string, position: number, ...commands: Command[]): Frame {
  const renewed: Command = { kind: "renewed", logId: `log-${region}`, position, checksum: 0 };
  return { ...frame(region, renewed, ...commands), logId };
}

/** What us and cn had before: us forwards a session to cn, which accepts it. */
const US = frame("us", forward("cn", open("ann", "s1", "us")), open("bob", "s2", "us"));
const CN = frame("cn", accept("us", 0, 1, open("ann", "s1", "us")), open("cleo", "s3"));

function mark(region: string, logId: string): Frame {
  return { ...frame(region, { kind: "mark" }), logId };
}

function replicaOf(...frames: Frame[]): Replica {
  const replica = new Replica(REGIONS);
  for (const one of frames) {
    const { position = 0, logId } = replica.fold(one.region) ?? {};
    expect(replica.apply(one.region, logId === one.logId ? position + 1 : 1, one)).toBe("applied");
  }
  return replica;
}

async function take(by: Snapshots, replica: Replica): Promise<string> {
  const taken = await by.take(replica);
  if (!taken.ok) throw new Error(taken.detail);
  return taken.name;
}

/**
 * The region cn, with its own log begun again, and the copy of us' begun again meanwhile; no snapshot is of both. `own` is taken of cn's new
 * log and us' old one, `theirs` of cn's old log and us' new one.
 */
async function crossed() {
  const server = new MemoryServer();
  const store = new MemoryLogStore(server);
  const [log, copy] = [
    await store.openLog("cn", { create: true }),
    await store.openCopy("us", { create: true }),
  ];
  if (!log.ok || !copy.ok) throw new Error("it was not made");
  const { logId } = log.log;
  const own = later(logId, "cn", 1, open("cleo", "s4"));
  const theirs = later(US_2, "us", 1, open("bob", "s5", "us"));
  await log.log.putBack({ position: 1, logId, bytes: encodeFrame(own) });
  await copy.log.append({ position: 1, logId: US_2, bytes: encodeFrame(theirs) }, 0);
  // Both are held from their second frame on: who stands where they were begun cannot go on.
  await log.log.putBack({ position: 2, logId, bytes: encodeFrame(mark("cn", logId)) });
  await copy.log.append({ position: 2, logId: US_2, bytes: encodeFrame(mark("us", US_2)) }, 1);
  await log.log.truncate(2);
  await copy.log.truncate(2, US_2);
  const snapshotsOf = (region: string): Snapshots =>
    new Snapshots({
      region,
      regions: REGIONS,
      node: "n",
      store: store.snapshots(),
      codec: SIM_CODEC,
      clock: () => ({ monoMs: 0, wallMs: 1_000 }),
    });
  const snapshots = snapshotsOf("cn");
  const said = { progress: new Array<string>(), wanted: new Array<readonly Lacked[]>() };
  /** Stops where nothing leads on. */
  const made = (suspect = false): Promise<Base | undefined> =>
    base({
      region: "cn",
      regions: REGIONS,
      store,
      snapshots,
      suspect,
      progress: (detail) => said.progress.push(detail),
      stopped: () => said.progress.at(-1)?.startsWith("no snapshot leads") === true,
      wanted: (lacked) => said.wanted.push(lacked),
    });
  return { server, store, own, theirs, snapshots, peers: snapshotsOf("us"), made, said };
}

describe("a replica to go on from", () => {
  it("is put together where two logs were begun again, and no snapshot leads to both", async () => {
    const { own, theirs, snapshots, peers, made } = await crossed();
    const [here, there] = [replicaOf(US, CN, own), replicaOf(US, CN, theirs)];
    const names = [await take(snapshots, here), await take(peers, there)];
    const begun = await made();
    expect(begun?.from.toSorted()).toEqual(names.toSorted());
    const replica = begun?.replica;
    const whole = replicaOf(US, CN, own, theirs);
    expect(replica?.folds.map(canonical)).toEqual(whole.folds.map(canonical));
    expect(replica?.folds.map(digestOf)).toEqual(whole.folds.map(digestOf));
    expect(["ann", "bob", "cleo"].map((user) => replica?.view(user))).toEqual(
      ["ann", "bob", "cleo"].map((user) => whole.view(user)),
    );
  });

  it("is of one snapshot where one leads to all logs, whatever others there are", async () => {
    const { own, theirs, snapshots, peers, made } = await crossed();
    const name = await take(snapshots, replicaOf(US, CN, own, theirs));
    await take(snapshots, replicaOf(US, CN, own));
    await take(peers, replicaOf(US, CN, theirs));
    expect(await made()).toMatchObject({ from: [name] });
  });

  it("is put together out of older ones where the newest of a log is damaged", async () => {
    const { server, own, theirs, snapshots, peers, made, said } = await crossed();
    const names = [
      await take(snapshots, replicaOf(US, CN, own)),
      await take(peers, replicaOf(US, CN, theirs)),
    ];
    const damaged = await take(peers, replicaOf(US, theirs));
    server.damageSnapshot(damaged);
    const begun = await made();
    expect(begun?.from.toSorted()).toEqual(names.toSorted());
    expect(said.progress).toContainEqual(expect.stringContaining(`${damaged} is damaged`));
  });

  it("is of a snapshot that ends where a log held from its beginning goes on", async () => {
    const { store, own, theirs, snapshots, peers, made } = await crossed();
    const copy = await store.openCopy("us", { create: false });
    if (!copy.ok) throw new Error(copy.detail);
    await copy.log.reset(2);
    await copy.log.append({ position: 1, logId: US_2, bytes: encodeFrame(theirs) }, 2);
    await take(peers, replicaOf(US, CN, frame("us", open("dan", "s9", "us")), own));
    const name = await take(snapshots, replicaOf(US, CN, own));
    await take(peers, replicaOf(CN, own));
    expect(await made()).toMatchObject({ from: [name] });
  });

  it("has of a log whose copy is lost what the snapshot has that is furthest in it, though a newer one had nothing of it", async () => {
    const { own, theirs, snapshots, peers, made } = await crossed();
    const sent = frame("cn", forward("eu", open("eve", "s7")));
    const accepted = frame("eu", accept("cn", 0, 1, open("eve", "s7")));
    const renewed = later(own.logId, "cn", 2, open("cleo", "s4"));
    const here = replicaOf(US, CN, sent, accepted, renewed);
    await take(snapshots, here);
    await take(peers, replicaOf(US, CN, theirs));
    const begun = await made();
    expect(begun?.replica.view("eve")).toEqual(here.view("eve"));
    expect(begun?.replica.view("eve")?.sessions).toHaveLength(1);
    expect(begun?.wholeFrom).toEqual([]);
  });

  it("is waited for, and wanted of whoever could take a snapshot, where a log is led to by none", async () => {
    const { own, snapshots, made, said } = await crossed();
    await take(snapshots, replicaOf(US, CN, own));
    expect(await made()).toBeUndefined();
    expect(said.wanted).toEqual([[{ region: "us", logId: US_2, atLeast: 1, head: 2, useless: [] }]]);
    expect(said.progress.at(-1)).toBe("no snapshot leads to the logs that are held here");
  });

  it("is wanted of whoever has another than the one that was brought for a log, where that is damaged", async () => {
    const { server, own, theirs, snapshots, peers, made, said } = await crossed();
    await take(snapshots, replicaOf(US, CN, own));
    const brought = await take(peers, replicaOf(US, CN, theirs));
    server.damageSnapshot(brought);
    expect(await made()).toBeUndefined();
    expect(said.wanted).toEqual([[{ region: "us", logId: US_2, atLeast: 1, head: 2, useless: [brought] }]]);
  });

  it("is wanted for the region's own log too, of a node that was found wrong and whose snapshots are all damaged", async () => {
    const { server, own, theirs, snapshots, peers, made, said } = await crossed();
    const damaged = await take(snapshots, replicaOf(US, CN, own, theirs));
    server.damageSnapshot(damaged);
    expect(await made(true)).toBeUndefined();
    const lacked = { atLeast: 1, head: 2, useless: [damaged] };
    expect(said.wanted).toEqual([
      [
        { region: "cn", logId: own.logId, ...lacked },
        { region: "us", logId: US_2, ...lacked },
      ],
    ]);
    said.progress.length = 0;
    const brought = await take(peers, replicaOf(US, CN, own, theirs));
    expect(await made(true)).toMatchObject({ from: [brought] });
  });
});

/** What cn had before, and a forward of its new log to us, which accepts it with the second frame of its log. */
const BEGUN = frame("cn", open("cleo", "s3"));
const BEFORE = frame("eu", open("dan", "s5", "eu"));
const CN_2 = later("log-cn-2", "cn", 1, forward("us", open("ann", "s1", "cn")));
const EU_2 = later("log-eu-2", "eu", 1);
const US_BOTH = [
  frame("us", open("bob", "s2", "us")),
  frame("us", accept("cn", 0, 2 ** 32 + 1, open("ann", "s1", "cn"))),
].map(stored);

/** As the log has it, with its checksum. */
function stored(one: Frame): Frame {
  const decoded = decodeFrame(encodeFrame(one));
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.frame;
}

/**
 * The region eu, whose own log was begun again as cn's was, and which has had one frame of us: no snapshot leads to both new logs, but both
 * lead to that of us. One is taken of all that cn has; the other of as much of us' log as is here.
 */
async function behind(copied: readonly Frame[] = US_BOTH.slice(0, 1)) {
  const store = new MemoryLogStore(new MemoryServer());
  const log = await store.openLog("eu", { create: true });
  const copies = [await store.openCopy("cn", { create: true }), await store.openCopy("us", { create: true })];
  const [cn, us] = copies.map((copy) => (copy.ok ? copy.log : undefined));
  const [one] = US_BOTH;
  if (!log.ok || cn === undefined || us === undefined || one === undefined)
    throw new Error("it was not made");
  const { logId } = log.log;
  for (const [index, next] of [{ ...EU_2, logId }, mark("eu", logId)].entries())
    await log.log.putBack({ position: index + 1, logId, bytes: encodeFrame(next) });
  for (const [index, next] of [CN_2, mark("cn", CN_2.logId)].entries())
    await cn.append({ position: index + 1, logId: CN_2.logId, bytes: encodeFrame(next) }, index);
  await log.log.truncate(2);
  await cn.truncate(2, CN_2.logId);
  for (const [index, next] of copied.entries())
    await us.append({ position: index + 1, logId: "log-us", bytes: encodeFrame(next) }, index);
  const snapshots = new Snapshots({
    region: "eu",
    regions: REGIONS,
    node: "n",
    store: store.snapshots(),
    codec: SIM_CODEC,
    clock: () => ({ monoMs: 0, wallMs: 1_000 }),
  });
  const ofAll = replicaOf(BEGUN, BEFORE, CN_2, ...US_BOTH);
  const ofOne = replicaOf(BEGUN, BEFORE, { ...EU_2, logId }, one);
  const ofNone = replicaOf(BEGUN, BEFORE, CN_2, { ...EU_2, logId });
  const said: string[] = [];
  const options = (suspect: boolean): ResyncOptions => ({
    region: "eu",
    regions: REGIONS,
    store,
    snapshots,
    suspect,
    progress: (detail) => said.push(detail),
    stopped: () => false,
    wanted: () => undefined,
  });
  return { store, us, snapshots, ofAll, ofOne, ofNone, options, said };
}

/** How eu opens its logs, and a node that folds nothing meanwhile. */
function opened(store: MemoryLogStore): Pick<RebuildOptions, "open" | "freeze"> {
  return {
    open: (region) =>
      region === "eu" ? store.openLog(region, { create: false }) : store.openCopy(region, { create: false }),
    freeze: async () => () => undefined,
  };
}

describe("a replica put together, of whose snapshots one knows that a forward was processed,", () => {
  it("has that forward in the record, though its own copy is not as far and the other snapshot is newer", async () => {
    const { snapshots, ofAll, ofOne, options } = await behind();
    await take(snapshots, ofAll);
    await take(snapshots, ofOne);
    const begun = await base(options(false));
    expect(begun?.from).toHaveLength(2);
    expect(begun?.wholeFrom).toEqual([]);
    expect(begun?.replica.view("ann")?.sessions).toHaveLength(1);
  });

  it("is not used before it has folded that, where it begins with an older state as the one before was found wrong", async () => {
    const { store, us, snapshots, ofAll, ofOne, options, said } = await behind();
    await take(snapshots, ofOne);
    await take(snapshots, ofAll);
    const begun = await base(options(true));
    expect([begun?.wholeFrom, begun?.replica.view("ann")]).toMatchObject([[{ region: "us" }], undefined]);
    const making = rebuild({ ...options(true), ...opened(store), present: new Replica(REGIONS) });
    await expect.poll(() => said.at(-1)).toBe("folding us");
    const [, second] = US_BOTH;
    if (second === undefined) throw new Error("there are two");
    await us.append({ position: 2, logId: "log-us", bytes: encodeFrame(second) }, 1);
    expect((await making)?.replica.view("ann")?.sessions).toHaveLength(1);
  });
});

describe("a replica made anew", () => {
  it("is not used before it has of each log what there was, though the copy be made anew and the snapshot know nothing of it", async () => {
    const { store, us, snapshots, ofNone, options, said } = await behind([]);
    await take(snapshots, ofNone);
    const making = rebuild({ ...options(false), ...opened(store), present: replicaOf(...US_BOTH) });
    await expect.poll(() => said.at(-1)).toBe("folding us");
    for (const [index, next] of US_BOTH.entries())
      await us.append({ position: index + 1, logId: "log-us", bytes: encodeFrame(next) }, index);
    expect((await making)?.replica.fold("us")?.position).toBe(2);
  });
});
