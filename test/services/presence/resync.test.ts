/** What a replica is made of where logs were begun again: one snapshot, or one put together out of several. */
import { describe, expect, it } from "vitest";
import type { Command, Frame } from "../../../replicator/core/commands.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import { encodeFrame } from "../../../replicator/wire/codec.ts";
import { base } from "../../../services/presence/resync.ts";
import type { Base } from "../../../services/presence/resync.ts";
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
  for (const one of [log.log, copy.log]) await one.truncate(2);
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
  const said = { progress: new Array<string>(), wanted: 0 };
  /** Stops where nothing leads on. */
  const made = (): Promise<Base | undefined> =>
    base({
      region: "cn",
      regions: REGIONS,
      store,
      snapshots,
      suspect: false,
      progress: (detail) => said.progress.push(detail),
      stopped: () => said.progress.at(-1)?.startsWith("no snapshot leads") === true,
      wanted: () => (said.wanted += 1),
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

  it("is waited for, and wanted of whoever could take a snapshot, where a log is led to by none", async () => {
    const { own, snapshots, made, said } = await crossed();
    await take(snapshots, replicaOf(US, CN, own));
    expect(await made()).toBeUndefined();
    expect(said.wanted).toBe(1);
    expect(said.progress.at(-1)).toBe("no snapshot leads to the logs that are held here");
  });
});
