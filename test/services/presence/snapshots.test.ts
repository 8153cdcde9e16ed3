/** Which of a region's snapshots are kept, and which of them a node goes on from. */
import { describe, expect, it } from "vitest";
import { Snapshots } from "../../../services/presence/snapshots.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { formatLabel } from "../../../replicator/runtime/snapshot-label.ts";
import { SIM_CODEC } from "../../sim/snapshot-codec.ts";

const LATER = LIMITS.digestMs;

/** The snapshots of a region that holds some by name: who took them and when, newest first. */
class Shelf {
  readonly names: string[];
  readonly snapshots: Snapshots;

  constructor(taken: Readonly<Record<string, { region?: string; atMs: number; vector?: Token }>>) {
    this.names = Object.keys(taken);
    const stored = this.names.map((name) => ({
      name,
      bytes: 1,
      label: formatLabel({ region: "cn", node: "cn-1", vector: new Map(), atMs: 0, ...taken[name] }),
    }));
    this.snapshots = new Snapshots({
      region: "cn",
      regions: ["cn", "us"],
      node: "cn-1",
      codec: SIM_CODEC,
      clock: () => ({ monoMs: 0, wallMs: 0 }),
      store: {
        list: async () => ({ ok: true, snapshots: stored.filter(({ name }) => this.names.includes(name)) }),
        write: async () => ({ ok: true, bytes: 1 }),
        read: async () => ({ ok: true }),
        remove: async (name) => {
          this.names.splice(this.names.indexOf(name), 1);
          return { ok: true };
        },
      },
    });
  }

  async pruned(): Promise<string[]> {
    await this.snapshots.prune();
    return this.names;
  }

  async chosen(suspect: boolean): Promise<string | undefined> {
    return this.snapshots.fitting((await this.snapshots.list()) ?? [], new Map(), suspect)?.stored.name;
  }
}

const logs = (goesOn: boolean) => new Map([["us", { logId: "us-2", first: 1, head: 9, goesOn }]]);

describe("a log that goes on from another", () => {
  it("is followed on only from a snapshot that has it; one that begins by itself also from one that has nothing of it", async () => {
    const shelf = new Shelf({ without: { atMs: 1 } });
    const all = (await shelf.snapshots.list()) ?? [];
    expect(shelf.snapshots.fitting(all, logs(true), true)).toBeUndefined();
    expect(shelf.snapshots.fitting(all, logs(false), true)?.stored.name).toBe("without");
  });

  it("is followed on from its first frame on", async () => {
    const shelf = new Shelf({
      having: { atMs: 1, vector: new Map([["us", { logId: "us-2", position: 1 }]]) },
    });
    const all = (await shelf.snapshots.list()) ?? [];
    expect(shelf.snapshots.fitting(all, logs(true), false)?.stored.name).toBe("having");
  });
});

describe("of a region's snapshots", () => {
  it("the two newest are kept, and the newest from before a digest could show what is wrong with these", async () => {
    const shelf = new Shelf({
      newest: { atMs: 3 * LATER },
      before: { atMs: 3 * LATER - 1 },
      between: { atMs: 2 * LATER + 1 },
      older: { atMs: 2 * LATER },
      oldest: { atMs: LATER },
      peers: { atMs: 0, region: "us" },
    });
    expect(await shelf.pruned()).toEqual(["newest", "before", "older", "peers"]);
  });

  it("the oldest is kept while none is as old as that", async () => {
    const shelf = new Shelf({ c: { atMs: 3 }, b: { atMs: 2 }, between: { atMs: 1 }, a: { atMs: 0 } });
    expect(await shelf.pruned()).toEqual(["c", "b", "a"]);
    expect(await new Shelf({ b: { atMs: 2 }, a: { atMs: 1 } }).pruned()).toEqual(["b", "a"]);
  });

  it("a node goes on from the newest, and from the oldest where its replica was found wrong", async () => {
    const shelf = new Shelf({ c: { atMs: 3 }, b: { atMs: 2 }, a: { atMs: 1 } });
    expect([await shelf.chosen(false), await shelf.chosen(true)]).toEqual(["c", "a"]);
  });

  it("those in doubt are left out, unless all are; the oldest may be sound", async () => {
    const shelf = new Shelf({ c: { atMs: 3 }, b: { atMs: 2 }, a: { atMs: 1 } });
    const { doubts } = shelf.snapshots;
    const replica = new Replica(["cn", "us"]);
    for (const name of ["c", "a"]) doubts.taken(name, replica);
    doubts.contradicted("cn");
    expect([await shelf.chosen(false), await shelf.chosen(true)]).toEqual(["b", "b"]);
    doubts.taken("b", replica);
    doubts.contradicted("cn");
    expect([await shelf.chosen(false), await shelf.chosen(true)]).toEqual(["a", "a"]);
    expect(await shelf.snapshots.removeDoubted()).toEqual(["c", "b", "a"]);
    expect(shelf.names).toEqual([]);
  });
});
