/** Nodes of all regions follow the log of an heir for the region that it succeeded, across restarts, snapshots and repairs. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writerOf } from "../../../replicator/core/deputy.ts";
import { systemClock } from "../../../replicator/runtime/clock.ts";
import { operationsOf } from "../../../services/presence/operations.ts";
import { until } from "./regions.ts";
import { Lost, USERS } from "./succeeded.ts";

const NOTHING = { report: async () => undefined };
let lost = new Lost();

beforeEach(async () => {
  lost = new Lost();
  await lost.lose();
});

afterEach(() => lost.stop());

async function sound(at: string): Promise<void> {
  const verified = await operationsOf(lost.node(at).engine, NOTHING).verify({ repair: false });
  expect(verified).toMatchObject({ value: { compared: 3, differences: [] } });
  expect(lost.node(at).engine.trust.stats.mismatches).toBe(0);
}

/** Replicas made anew without being asked for. */
function resynced(): unknown[] {
  return lost.regions.logged("resync").filter(({ why }) => why !== "asked for");
}

describe("where us goes on with the log of cn", { timeout: 60_000 }, () => {
  it("us and eu follow there, what is asked of cn is decided, and equal positions are equal states", async () => {
    await lost.succeed();
    for (const at of ["us", "eu"]) await lost.follows(at);
    const opened = await lost.node("eu").presence.openSession({ user: "user3", device: "eu" });
    expect(opened.ok).toBe(true);
    await until("it is decided", () => lost.fold("eu").homed("user3")?.sessions.length === 2);
    for (const at of ["us", "eu"]) {
      await sound(at);
      expect(lost.regions.online(at)).toBe(USERS.length);
      const row = (): { verifiedMs: number | null } | undefined =>
        lost
          .node(at)
          .presence.replication()
          .links.find((one) => one.origin === "cn" && one.replica === at);
      const { version } = lost.fold(at);
      await until("the digest of cn is compared", () => (row()?.verifiedMs ?? 0) > 0);
      expect(lost.fold(at).version).toBeGreaterThanOrEqual(version);
      expect(row()).toMatchObject({ eventsBehind: null });
      expect(row()).not.toMatchObject({ state: "live" });
      const heard = (): string[] => lost.node(at).presence.tally.nodes("cn", systemClock().monoMs);
      await until("no node is heard in the place of cn", () => heard().length === 0);
    }
    expect(resynced()).toEqual([]);
  });

  it("a node that starts again goes on in the heir's log from a snapshot, or from the beginnings of the logs", async () => {
    await lost.succeed();
    for (const at of ["us", "eu"]) await lost.follows(at);
    await lost.node("eu").engine.housekeeping.take();
    await lost.restart("eu");
    await lost.follows("eu");
    await lost.regions.stopNode("eu");
    lost.regions.server("eu").snapshots.clear();
    await lost.regions.startNode("eu");
    await until("eu is ready", () => lost.node("eu").presence.ready());
    await lost.follows("eu");
    expect(lost.regions.online("eu")).toBe(USERS.length);
    await lost.restart("us");
    for (const at of ["us", "eu"]) await lost.follows(at);
    for (const at of ["us", "eu"]) await sound(at);
    expect(lost.regions.logged("log-trouble").filter(({ log }) => log === "us")).toEqual([]);
  });

  it("a node that starts between two decisions, or after both, is led to the same", async () => {
    await lost.node("eu").engine.housekeeping.take();
    await lost.regions.stopNode("eu");
    const base = lost.fold("us");
    const { logId, position, checksum } = base;
    await lost.decide("fence 1");
    await lost.decide(`succeed 1 of ${logId} at ${position} sum ${checksum.toString(16)}`);
    await lost.follows("us");
    await lost.regions.startNode("eu");
    await until("eu is ready", () => lost.node("eu").presence.ready());
    expect(writerOf(lost.fold("eu"))).toBe("us");
    await lost.follows("eu");
    await sound("eu");
  });

  it("a record of cn that changed by itself is repaired there", async () => {
    await lost.succeed();
    for (const at of ["us", "eu"]) await lost.follows(at);
    const record = lost.fold("eu").homed("user7");
    if (record === undefined) throw new Error("user7 is homed in cn");
    record.preferred = "busy";
    await operationsOf(lost.node("eu").engine, NOTHING).verify({ repair: true });
    expect(lost.fold("eu").homed("user7")?.preferred).toBe("automatic");
    await lost.follows("eu");
    await sound("eu");
  });

  it("who has folded more of cn's log than counts is made anew, from a snapshot of before or of a peer", async () => {
    await lost.succeed();
    await lost.follows("us");
    const { regions } = lost;
    regions.server("cn").start();
    await regions.startNode("cn");
    regions.startReplicator("cn");
    await until("cn is made anew", () => writerOf(lost.fold("cn")) === "us");
    await lost.follows("cn");
    await until("cn is ready", () => lost.node("cn").presence.ready());
    expect(regions.online("cn")).toBe(USERS.length);
    expect(lost.fold("cn").homed("unheard1")).toBeUndefined();
    await sound("cn");
  });
});

describe("once us has yielded", { timeout: 60_000 }, () => {
  it("the old log is waited on, and the one followed that goes on from the heir's", async () => {
    await lost.succeed();
    for (const at of ["us", "eu"]) await lost.follows(at);
    lost.regions.server("cn").start();
    await lost.decide("yield 1");
    for (const at of ["us", "eu"]) await until("it has yielded", () => writerOf(lost.fold(at)) === "cn");
    const ended = lost.fold("us").position;
    expect(lost.fold("us").logId).toBe(lost.fold("us", "us").logId);
    await lost.node("eu").engine.housekeeping.take();
    await lost.restart("eu");
    expect(lost.fold("eu")).toMatchObject({ logId: lost.fold("us").logId, position: ended });
    await until("eu says so", () => lost.node("eu").engine.troubles.get("cn")?.includes("is over") === true);
    expect(resynced()).toEqual([]);
    const begun = await lost.beginAnew();
    for (const at of ["us", "eu"]) {
      await until(`${at} follows`, () => lost.fold(at).logId === begun);
      expect(lost.fold(at).position).toBe(2);
      expect(lost.regions.online(at)).toBe(USERS.length);
    }
    for (const at of ["us", "eu"]) {
      await lost.node(at).engine.housekeeping.take();
      await lost.restart(at);
      expect(lost.fold(at)).toMatchObject({ logId: begun, position: 2 });
      await sound(at);
    }
  });
});
