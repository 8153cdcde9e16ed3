/** What a node does about logs that were lost, snapshots that are damaged and records that changed by themselves. */
import { afterEach, describe, expect, it } from "vitest";
import { operationsOf } from "../../../services/presence/operations.ts";
import { Regions, until } from "./regions.ts";

const USERS = Array.from({ length: 40 }, (_, number) => `user${number}`);
const MORE = Array.from({ length: 40 }, (_, number) => `later${number}`);

const NOTHING = { report: async () => undefined };

let regions = new Regions([]);

afterEach(() => regions.stop());

async function twoRegions(): Promise<void> {
  regions = new Regions(["cn", "us"]);
  await regions.start("cn", "us");
  await regions.open("cn", ...USERS);
  await until("us sees the users of cn", () => regions.online("us") === USERS.length);
}

describe("a log", { timeout: 60_000 }, () => {
  it("that was deleted is begun again with what the node has, and its replicas follow by a snapshot", async () => {
    await twoRegions();
    const before = regions.identity("us", "cn");
    regions.server("cn").deleteStream("LOG_cn");
    await until("us has another log of cn", () => regions.identity("us", "cn") !== before);
    await regions.open("cn", ...MORE);
    await until("us sees all", () => regions.online("us") === USERS.length + MORE.length);
    expect(regions.online("cn")).toBe(USERS.length + MORE.length);
    expect(regions.logged("log-begun-again")).toHaveLength(1);
    await until("digests were compared", () => regions.node("us").engine.trust.stats.compared > 2);
    expect(regions.node("us").engine.trust.stats.mismatches).toBe(0);
  });

  it("that lost its end gets it back from a peer's copy, frame by frame, and keeps its identity", async () => {
    await twoRegions();
    const before = regions.identity("us", "cn");
    const server = regions.server("cn");
    server.stop();
    server.loseTail("LOG_cn", 20);
    server.start();
    await until("the end is back", () => regions.logged("tail-put-back").length > 0);
    await until("cn writes again", () => regions.node("cn").engine.troubles.size === 0);
    await regions.open("cn", ...MORE);
    await until("us sees all", () => regions.online("us") === USERS.length + MORE.length);
    expect(regions.online("cn")).toBe(USERS.length + MORE.length);
    expect(regions.identity("us", "cn")).toBe(before);
  });

  it("that is truncated below what a peer has leaves it behind, and the peer comes back by a snapshot", async () => {
    await twoRegions();
    await regions.stopReplicator("us");
    await regions.open("cn", ...MORE);
    const { engine } = regions.node("cn");
    const head = regions.node("cn").presence.applied().get("cn")?.position ?? 0;
    await engine.housekeeping.take();
    regions.server("cn").truncate("LOG_cn", head);
    regions.startReplicator("us");
    await until("us sees all", () => regions.online("us") === USERS.length + MORE.length);
    expect(regions.logged("resynced").length).toBeGreaterThan(0);
    expect(regions.events.some(({ state, origin }) => state === "snapshotting" && origin === "cn")).toBe(
      true,
    );
  });
});

describe("a node", { timeout: 60_000 }, () => {
  it("that starts in a region with nothing takes its state from a peer's snapshot, and is not ready until then", async () => {
    regions = new Regions(["cn", "us", "eu"]);
    await regions.start("cn", "us");
    await regions.open("cn", ...USERS);
    await regions.node("cn").engine.housekeeping.take();
    const head = regions.node("cn").presence.applied().get("cn")?.position ?? 0;
    regions.server("cn").truncate("LOG_cn", head);
    await regions.startNode("eu");
    expect(regions.node("eu").presence.ready()).toBe(false);
    expect(regions.node("eu").presence.replication().links[0]?.state).not.toBe("live");
    regions.startReplicator("eu");
    await until("eu is ready", () => regions.node("eu").presence.ready());
    expect(regions.online("eu")).toBe(USERS.length);
    await regions.open("eu", "newcomer");
    await until("cn sees the newcomer", () => regions.online("cn") === USERS.length + 1);
  });

  it("that starts again goes on from its newest snapshot, and from the one before where that is damaged", async () => {
    await twoRegions();
    const { engine } = regions.node("cn");
    await engine.housekeeping.take();
    const head = regions.node("cn").presence.applied().get("cn")?.position ?? 0;
    await regions.open("cn", ...MORE);
    const newest = await engine.housekeeping.take();
    if (!newest.ok) throw new Error(newest.detail);
    regions.server("cn").truncate("LOG_cn", head - 2);
    regions.server("cn").damageSnapshot(newest.name);
    await regions.stopNode("cn");
    await regions.startNode("cn");
    await until("cn is ready", () => regions.node("cn").presence.ready());
    expect(regions.online("cn")).toBe(USERS.length + MORE.length);
    const details = regions.logged("snapshotting").map(({ detail }) => String(detail));
    expect(details.some((detail) => detail.includes("is damaged"))).toBe(true);
  });

  it("gets a snapshot from a peer where those here are damaged and a copy is not held from its beginning", async () => {
    await twoRegions();
    await regions.stopNode("us");
    const head = regions.node("cn").presence.applied().get("cn")?.position ?? 0;
    regions.server("us").truncate("COPY_cn", head);
    const { snapshots } = regions.server("us");
    for (const name of snapshots.keys()) regions.server("us").damageSnapshot(name);
    await regions.startNode("us");
    await until("us is ready", () => regions.node("us").presence.ready());
    expect(regions.online("us")).toBe(USERS.length);
    expect(regions.logged("snapshot-here")).toMatchObject([{ at: "us", origin: "cn" }]);
  });

  it("gets one from a peer where its own log is truncated and every snapshot of it here is damaged", async () => {
    await twoRegions();
    const folded = regions.node("us").presence.applied().get("cn")?.position ?? 0;
    await regions.node("us").engine.housekeeping.take();
    await regions.stopNode("cn");
    const { snapshots } = regions.server("cn");
    for (const name of snapshots.keys()) regions.server("cn").damageSnapshot(name);
    regions.server("cn").truncate("LOG_cn", folded);
    await regions.startNode("cn");
    await until("cn is ready", () => regions.node("cn").presence.ready());
    expect(regions.online("cn")).toBe(USERS.length);
    expect(regions.logged("snapshot-here")).toMatchObject([{ at: "cn", origin: "cn" }]);
  });

  it("starts from the logs alone where these are whole and every snapshot is damaged", async () => {
    await twoRegions();
    const taken = await regions.node("cn").engine.housekeeping.take();
    if (!taken.ok) throw new Error(taken.detail);
    await regions.stopNode("cn");
    for (const name of regions.server("cn").snapshots.keys()) regions.server("cn").damageSnapshot(name);
    await regions.startNode("cn");
    await until("cn is ready", () => regions.node("cn").presence.ready());
    expect(regions.online("cn")).toBe(USERS.length);
  });

  it("names the user whose record changed without a command, and repairs it from snapshot and log", async () => {
    await twoRegions();
    const { presence, engine } = regions.node("us");
    await until("all records are hashed", () => engine.trust.stats.compared > 2);
    const record = presence.node.replica.fold("cn")?.homed("user7");
    if (record === undefined) throw new Error("user7 is homed in cn");
    record.sessions = record.sessions.map((session) => ({ ...session, status: "busy" as const }));
    await until("it is named", () => regions.logged("record-corrupt").length > 0);
    await until("it is repaired", () => engine.trust.stats.resyncs > 0);
    expect(regions.logged("record-corrupt")).toMatchObject([{ log: "cn", user: "user7" }]);
    expect(regions.logged("record-differs")).toMatchObject([{ region: "cn", user: "user7" }]);
    expect(presence.presence("user7").status).toBe("online");
  });

  it("that took a snapshot of such a record, written since and thus unnoticed, is not made anew from that one", async () => {
    await twoRegions();
    const { presence, engine } = regions.node("us");
    await engine.housekeeping.take();
    const { compared } = engine.trust.stats;
    await until("another node says the same", () => engine.trust.stats.compared > compared + 2);
    const fold = presence.node.replica.fold("cn");
    const record = fold?.homed("user7");
    if (fold === undefined || record === undefined) throw new Error("user7 is homed in cn");
    record.sessions = record.sessions.map((session) => ({ ...session, status: "busy" as const }));
    fold.digest.touch(record);
    const taken = await engine.housekeeping.take();
    if (!taken.ok) throw new Error(taken.detail);
    await until("it is repaired", () => presence.presence("user7").status === "online");
    expect(regions.logged("record-differs")).toMatchObject([{ region: "cn", user: "user7" }]);
    await until("nobody can begin with it", () => !regions.server("us").snapshots.has(taken.name));
    expect(regions.logged("snapshots-removed")).toMatchObject([{ names: [taken.name] }]);
  });

  it("verifies itself at one position of each log, though frames go on coming", async () => {
    await twoRegions();
    const operations = operationsOf(regions.node("us").engine, NOTHING);
    const ending = new AbortController();
    const opened = (async () => {
      for (let number = 0; !ending.signal.aborted; number++) await regions.open("cn", `meanwhile${number}`);
    })();
    const verified = [];
    for (let times = 0; times < 10; times++) verified.push(await operations.verify({ repair: false }));
    ending.abort();
    await opened;
    for (const each of verified) expect(each).toMatchObject({ value: { compared: 2, differences: [] } });
  });

  it("verifies itself when asked: finds nothing in a sound replica, and repairs only when told to", async () => {
    await twoRegions();
    const { presence, engine } = regions.node("us");
    const operations = operationsOf(engine, NOTHING);
    expect(await operations.verify({ repair: false })).toMatchObject({
      ok: true,
      value: { compared: 2, differences: [], repaired: false },
    });
    const record = presence.node.replica.fold("cn")?.homed("user7");
    if (record === undefined) throw new Error("user7 is homed in cn");
    record.preferred = "busy";
    expect(await operations.verify({ origin: "cn", repair: false })).toMatchObject({
      ok: true,
      value: { differences: [{ region: "cn", user: "user7" }], repaired: false },
    });
    expect(record).toBe(presence.node.replica.fold("cn")?.homed("user7"));
    await operations.verify({ repair: true });
    expect(presence.node.replica.fold("cn")?.homed("user7")?.preferred).toBe("automatic");
  });

  it("verifies what users say of each other too", async () => {
    await twoRegions();
    const { presence, engine } = regions.node("us");
    const operations = operationsOf(engine, NOTHING);
    presence.node.replica.restoreFact("cn", { kind: "read", user: "user7", other: "user8", round: 1 });
    expect(await operations.verify({ repair: true })).toMatchObject({
      ok: true,
      value: { differences: [{ region: "cn", user: "user7" }] },
    });
    expect(presence.node.replica.friends.readOf("user7", "user8")).toBe(0);
  });
});

describe("a write with ack=peer", { timeout: 60_000 }, () => {
  it("is confirmed when a peer has copied it, and not while none can", async () => {
    await twoRegions();
    const { presence, engine } = regions.node("cn");
    const operations = operationsOf(engine, NOTHING);
    const there = await presence.openSession({ user: "ann" });
    if (!there.ok) throw new Error(there.problem.detail);
    expect(await operations.confirm(there.value.token)).toEqual({ ok: true, value: undefined });
    await regions.stopReplicator("us");
    const alone = await presence.openSession({ user: "bob" });
    if (!alone.ok) throw new Error(alone.problem.detail);
    expect(await operations.confirm(alone.value.token)).toMatchObject({
      ok: false,
      problem: { name: "not-copied" },
    });
    regions.startReplicator("us");
    await until(
      "us has it",
      () => presence.applied().size > 0 && engine.retention.copiedBySome(regions.identity("cn", "cn")) > 0,
    );
    expect(await operations.confirm(alone.value.token)).toEqual({ ok: true, value: undefined });
  });
});
