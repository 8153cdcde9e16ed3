/** Which of a region's snapshots are kept, and which of them a node goes on from. */
import { describe, expect, it } from "vitest";
import { Snapshots } from "../../../services/presence/snapshots.ts";
import type { Held } from "../../../services/presence/snapshots.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { LogPosition } from "../../../replicator/core/token.ts";
import { formatLabel } from "../../../replicator/runtime/snapshot-label.ts";
import { SIM_CODEC } from "../../sim/snapshot-codec.ts";

const LATER = LIMITS.digestMs;

interface Taken {
  readonly region?: string;
  readonly atMs: number;
  readonly at?: Readonly<Record<string, LogPosition>>;
}

/** The snapshots of a region that holds some by name: who took them and when, and where their folds stand; newest first. */
class Shelf {
  readonly names: string[];
  readonly snapshots: Snapshots;

  constructor(taken: Readonly<Record<string, Taken>>) {
    this.names = Object.keys(taken);
    const stored = Object.entries(taken).map(([name, { region = "cn", atMs, at = {} }]) => ({
      name,
      bytes: 1,
      label: formatLabel({ region, node: "cn-1", vector: new Map(Object.entries(at)), atMs }),
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

  async chosen(suspect: boolean, logs: ReadonlyMap<string, Held> = new Map()): Promise<string | undefined> {
    return this.snapshots.fitting((await this.snapshots.list()) ?? [], logs, suspect)?.stored.name;
  }

  /** For each log the one it is followed on from; nothing where one of them has none. */
  async chosenEach(
    suspect: boolean,
    logs: ReadonlyMap<string, Held>,
  ): Promise<Record<string, string> | undefined> {
    const each = this.snapshots.fittingEach((await this.snapshots.list()) ?? [], logs, suspect);
    return (
      each && Object.fromEntries([...each].map(([region, { stored }]) => [region, stored.name] as const))
    );
  }
}

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

function held(logs: Readonly<Record<string, Partial<Held>>>): Map<string, Held> {
  return new Map(
    Object.entries(logs).map(([region, one]) => [
      region,
      { logId: `${region}-1`, first: 1, head: 9, bytes: 0, ...one },
    ]),
  );
}

function point(logId: string, position: number): LogPosition {
  return { logId, position };
}

/** cn and us have begun their logs again while they were cut off: each has a snapshot of its own new log and of the other's old one. */
const CROSSED = {
  ours: { atMs: 3, at: { cn: point("cn-2", 1), us: point("us-1", 9) } },
  theirs: { atMs: 2, region: "us", at: { cn: point("cn-1", 9), us: point("us-2", 1) } },
  older: { atMs: 1, region: "us", at: { cn: point("cn-1", 8), us: point("us-2", 1) } },
};
const BOTH_NEW = held({ cn: { logId: "cn-2" }, us: { logId: "us-2" } });

describe("where logs were begun again", () => {
  it("at the same time, none leads to all of them, but each is followed on from the newest that leads to it", async () => {
    const shelf = new Shelf(CROSSED);
    expect(await shelf.chosen(false, BOTH_NEW)).toBeUndefined();
    expect(await shelf.chosenEach(false, BOTH_NEW)).toEqual({ cn: "ours", us: "theirs" });
    expect(await shelf.chosenEach(true, BOTH_NEW)).toEqual({ cn: "ours", us: "older" });
  });

  it("and one of them is led to by none, there is nothing to put together", async () => {
    const { ours } = CROSSED;
    expect(await new Shelf({ ours }).chosenEach(false, BOTH_NEW)).toBeUndefined();
    const beyond = held({ cn: { logId: "cn-2", first: 3 }, us: { logId: "us-2" } });
    expect(await new Shelf(CROSSED).chosenEach(false, beyond)).toBeUndefined();
  });

  it("of several the one that is furthest in its log is taken, not the newest; whoever is suspect begins with the oldest", async () => {
    const shelf = new Shelf({
      ours: { atMs: 3, at: { cn: point("cn-2", 1), eu: point("eu-1", 1), us: point("us-1", 9) } },
      theirs: {
        atMs: 2,
        region: "us",
        at: { cn: point("cn-1", 9), eu: point("eu-1", 5), us: point("us-2", 1) },
      },
      oldest: {
        atMs: 1,
        region: "us",
        at: { cn: point("cn-1", 8), eu: point("eu-1", 2), us: point("us-2", 1) },
      },
    });
    const logs = held({ cn: { logId: "cn-2" }, eu: { head: 1 }, us: { logId: "us-2" } });
    expect(await shelf.chosenEach(false, logs)).toEqual({ cn: "ours", eu: "theirs", us: "theirs" });
    expect(await shelf.chosenEach(true, logs)).toEqual({ cn: "ours", eu: "oldest", us: "oldest" });
  });

  it("a copy that is not there is followed on from the furthest as well: of the log that this region's newest names, or else the newest", async () => {
    const taken = {
      peers: { atMs: 3, region: "us", at: { eu: point("eu-1", 9), us: point("us-1", 2) } },
      own: { atMs: 2, at: { cn: point("cn-1", 8), us: point("us-1", 7) } },
      before: { atMs: 1, at: { cn: point("cn-1", 7), us: point("us-1", 6) } },
    };
    const lost = held({ cn: { first: 8 }, eu: { first: 8 }, us: { logId: "", head: 0 } });
    const each = { cn: "own", eu: "peers", us: "own" };
    expect(await new Shelf(taken).chosen(false, lost)).toBeUndefined();
    expect(await new Shelf(taken).chosenEach(false, lost)).toEqual(each);
    const elsewhere = { ...taken.peers, at: { ...taken.peers.at, us: point("us-2", 8) } };
    expect(await new Shelf({ ...taken, peers: elsewhere }).chosenEach(false, lost)).toEqual(each);
    const unnamed = { ...taken.own, at: { cn: point("cn-1", 8) } };
    expect(await new Shelf({ peers: taken.peers, own: unnamed }).chosenEach(false, lost)).toEqual({
      ...each,
      us: "peers",
    });
    const none = { ...taken.peers, at: { eu: point("eu-1", 9) } };
    expect(await new Shelf({ peers: none, own: unnamed }).chosenEach(false, lost)).toEqual({
      ...each,
      us: "peers",
    });
  });

  it("those in doubt are left out for each log by itself, unless no other leads to it", async () => {
    const shelf = new Shelf(CROSSED);
    const { doubts } = shelf.snapshots;
    for (const name of ["ours", "theirs"]) doubts.taken(name, new Replica(["cn", "us"]));
    doubts.contradicted("cn");
    expect(await shelf.chosenEach(false, BOTH_NEW)).toEqual({ cn: "ours", us: "older" });
  });

  it("the region's own goes before a newer one of a peer while its own log has no frames: it knows most of what was there", async () => {
    const taken = {
      peers: { atMs: 3, region: "us", at: { cn: point("cn-1", 5), us: point("us-1", 9) } },
      own: { atMs: 2, at: { cn: point("cn-1", 8), us: point("us-1", 7) } },
      before: { atMs: 1, at: { cn: point("cn-1", 6), us: point("us-1", 7) } },
    };
    const shelf = new Shelf(taken);
    const empty = held({ cn: { logId: "cn-2", head: 0 }, us: {} });
    expect(await shelf.chosen(false, empty)).toBe("own");
    expect(await shelf.chosenEach(false, empty)).toEqual({ cn: "own", us: "peers" });
    const { peers } = taken;
    expect(await new Shelf({ peers }).chosen(false, empty)).toBe("peers");
  });

  it("any other log is followed on from the newest, whoever took it", async () => {
    const taken = {
      peers: { atMs: 3, region: "us", at: { cn: point("cn-1", 5), us: point("us-1", 9) } },
      own: { atMs: 2, at: { cn: point("cn-1", 8), us: point("us-1", 7) } },
    };
    expect(await new Shelf(taken).chosen(false, held({ cn: {}, us: {} }))).toBe("peers");
    expect(await new Shelf(taken).chosen(false, held({ cn: {}, us: { logId: "", head: 0 } }))).toBe("peers");
    const foreign = held({ cn: {}, us: { logId: "us-2", head: 0 } });
    expect(await new Shelf(taken).chosen(false, foreign)).toBeUndefined();
  });
});
