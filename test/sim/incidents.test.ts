/** What befalls logs and snapshots leaves whoever has nothing else a way to fold each log: no node can mend what is nowhere any more. */
import { describe, expect, it } from "vitest";
import type { Command, Position, Region } from "../../replicator/core/commands.ts";
import { formatLabel } from "../../replicator/runtime/snapshot-label.ts";
import { encodeFrame } from "../../replicator/wire/codec.ts";
import { frame } from "../core/samples.ts";
import { Incidents } from "./incidents.ts";
import { NodeHost } from "./node-host.ts";
import { FAULTS, draw } from "./settings.ts";
import type { Incident } from "./settings.ts";
import { ReplicatorHost, World } from "./world.ts";

const LONG_MS = 600_000;
const WATERMARK: Command = { kind: "watermark", peers: [] };
let world: World;

/** The world when for a long time nothing but that has happened in it. */
async function befallen(kind: Incident, prepare: () => void): Promise<void> {
  world = new World(draw({ seed: 1, events: 0, without: FAULTS, also: [kind] }));
  prepare();
  // It may befall them, but none of them runs: nothing is mended.
  world.nodes.push(new NodeHost(world, "cn", "cn-1", true), new NodeHost(world, "cn", "cn-2", false));
  world.replicators.push(new ReplicatorHost(world, "cn", "cn-r1"));
  expect(new Incidents(world)).toBeDefined();
  await world.machine.run(LONG_MS);
  expect(world.machine.failure).toBeUndefined();
}

function append(...commands: Command[]): void {
  const { log } = world.server("cn");
  const bytes = encodeFrame({ ...frame("cn", ...commands), logId: log.logId });
  log.append({ position: log.last + 1, logId: log.logId, bytes }, 0);
}

/** A snapshot in `region` that has cn's log up to there. */
function shelve(region: Region, position: Position, logId = "log-cn"): void {
  const label = formatLabel({ region, node: "1", atMs: 0, vector: new Map([["cn", { logId, position }]]) });
  world.server(region).snapshots.put(`${region}-${position}`, label, Buffer.from("a snapshot".repeat(50)));
}

function soundOnes(): string[] {
  return world.servers.flatMap(({ snapshots }) => snapshots.sound().map(({ name }) => name));
}

function tenFrames(): void {
  for (let position = 1; position <= 10; position++) append(WATERMARK);
}

describe("snapshots are torn", () => {
  it("but for one that leads to a log that was truncated, in whichever region", async () => {
    await befallen("snapshot-torn", () => {
      tenFrames();
      world.server("cn").log.truncate(7);
      shelve("cn", 5);
      shelve("cn", 6);
      shelve("eu", 8);
    });
    expect(soundOnes()).toHaveLength(1);
    expect(soundOnes()).not.toContain("cn-5");
  });

  it("but for one of where a log goes on from another", async () => {
    await befallen("snapshot-torn", () => {
      append({ kind: "renewed", logId: "before", position: 4, checksum: 1 });
      shelve("cn", 3, "before");
      shelve("cn", 4, "before");
    });
    expect(soundOnes()).toEqual(["cn-4"]);
  });

  it("all, where the log is whole", async () => {
    await befallen("snapshot-torn", () => {
      tenFrames();
      shelve("cn", 6);
      shelve("eu", 8);
    });
    expect(soundOnes()).toEqual([]);
  });
});

describe("a log is overrun", () => {
  it("by what the newest snapshot has of it", async () => {
    await befallen("overrun", () => {
      tenFrames();
      shelve("cn", 2);
      shelve("cn", 4);
    });
    expect(world.server("cn").log.first).toBe(4);
  });

  it("not where what it would lose is in no sound one", async () => {
    await befallen("overrun", () => {
      tenFrames();
      shelve("cn", 4);
      shelve("cn", 8);
      const { snapshots } = world.server("cn");
      while (snapshots.sound().length > 0) snapshots.tear(world.nodeRandom);
    });
    expect(world.server("cn").log.first).toBe(1);
  });
});
