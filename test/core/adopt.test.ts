/** A node's digests, its scrub, and how another replica takes the place of its own. */
import { describe, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { BUCKETS, REST_BUCKET, bucketOf } from "../../replicator/core/digest.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { Duty } from "../../replicator/core/node-events.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { Bench } from "./node-bench.ts";
import { imported, partsOf } from "./observed.ts";
import { REGIONS, accept, close, drop, forward, frame, open, prefer, sessionOf } from "./samples.ts";

const MARK: Command = { kind: "mark" };
const WATERMARK: Duty = { kind: "watermark" };

/** Whether the watermarks that were appended since the last time carry a mark, one by one. */
function marks(bench: Bench): boolean[] {
  return bench.take("watermark").map((commands) => commands.some(({ kind }) => kind === "mark"));
}

function recordIn(bench: Bench, region: Region, user: string): UserRecord {
  const record = bench.node.replica.fold(region)?.homed(user);
  if (record === undefined) throw new Error(`no record of ${user}`);
  return record;
}

describe("marks", () => {
  it("go with the watermarks, one each 5 s", () => {
    const bench = new Bench().settle(WATERMARK, true);
    let count = 0;
    for (let ms = 0; ms < 20_000; ms += LIMITS.watermarkMs) {
      count += marks(bench.tick(LIMITS.watermarkMs)).filter(Boolean).length;
      bench.settle(WATERMARK, true);
    }
    expect(count).toBe(20_000 / LIMITS.digestMs);
  });

  it("the first goes with the first watermark of a node", () => {
    const node = new PresenceNode("cn", REGIONS);
    const [effect] = node.step({ kind: "caught-up" }, { monoMs: 1, wallMs: 1 });
    expect(effect?.kind === "append" && effect.commands.map(({ kind }) => kind)).toEqual([
      "watermark",
      "mark",
    ]);
  });

  it("of another node of the region are as good as its own", () => {
    const bench = new Bench().settle(WATERMARK, true).pass(4_000).fold("cn", MARK);
    expect(marks(bench.tick(4_900))).toEqual([false]);
    expect(marks(bench.settle(WATERMARK, true).tick(250))).toEqual([true]);
  });

  it("of other regions are none of its business", () => {
    const bench = new Bench().settle(WATERMARK, true).pass(4_900).fold("us", MARK);
    expect(marks(bench.tick(100))).toEqual([true]);
    expect(bench.take("digest")).toEqual([]);
  });
});

describe("digests", () => {
  it("at a mark of its own log a node appends the digest of its fold there", () => {
    const bench = new Bench().fold("cn", open("ann", "s1")).fold("cn", MARK, open("bob", "s2"));
    const other = new Replica(REGIONS);
    other.apply("cn", 1, frame("cn", open("ann", "s1")));
    expect(bench.take("digest")).toEqual([[{ kind: "digest", at: 2, sums: other.fold("cn")?.sums() }]]);
  });

  it("none is appended while the logs are folded at the start", () => {
    const bench = new Bench(false).fold("cn", MARK).give({ kind: "caught-up" }).fold("cn", open("ann", "s1"));
    expect(bench.take("digest")).toEqual([]);
  });

  it("that the log carries are compared in every region, and the buckets that differ are told", () => {
    const origin = new Replica(REGIONS);
    const bench = new Bench();
    for (const commands of [[open("ann", "s1", "us")], [MARK]]) {
      const position = (origin.fold("us")?.position ?? 0) + 1;
      origin.apply("us", position, frame("us", ...commands));
      bench.fold("us", ...commands);
    }
    const sums = origin.fold("us")?.sums() ?? new Uint8Array();
    const wrong = sums.map((byte, index) =>
      index === 16 * REST_BUCKET || index === 16 * 7 ? byte ^ 1 : byte,
    );
    for (const given of [sums, wrong]) bench.fold("us", { kind: "digest", at: 2, sums: given });
    expect(bench.told).toEqual([
      { kind: "compared", region: "us", node: "us-1", at: 2, buckets: [] },
      { kind: "compared", region: "us", node: "us-1", at: 2, buckets: [7, REST_BUCKET] },
    ]);
  });

  it("show a record that changed without a command, in its bucket", () => {
    const bench = new Bench().fold("us", open("ann", "s1", "us"), open("bob", "s2", "us"), MARK);
    const good = bench.node.replica.fold("us")?.sums() ?? new Uint8Array();
    Object.assign(recordIn(bench, "us", "ann"), { sessions: [] });
    bench.tick().fold("us", MARK);
    bench.fold("us", { kind: "digest", at: 2, sums: good });
    const buckets = [bucketOf("ann")];
    expect(buckets[0]).toBeLessThan(BUCKETS);
    expect(bench.told).toContainEqual({ kind: "compared", region: "us", node: "us-1", at: 2, buckets });
  });
});

describe("the scrub", () => {
  it("looks at every record within one round, and tells once of one that changed without a command", () => {
    const bench = new Bench();
    bench.fold("us", ...Array.from({ length: 2_500 }, (_, n) => open(`user-${n}`, `s${n}`, "us")));
    for (let ticks = 0; ticks < 4; ticks++) bench.tick(50);
    Object.assign(recordIn(bench, "us", "user-1777"), { preferred: "invisible" });
    for (let ticks = 0; ticks < 3; ticks++) bench.tick(50);
    expect(bench.told).toEqual([{ kind: "corrupt", region: "us", user: "user-1777" }]);
    for (let ticks = 0; ticks < 6; ticks++) bench.tick(50);
    expect(bench.told).toHaveLength(1);
  });

  it("says nothing of records that commands change meanwhile", () => {
    const bench = new Bench();
    for (let n = 0; n < 50; n++) bench.fold("cn", open(`user-${n % 7}`, `s${n}`)).tick(50);
    expect(bench.told.filter(({ kind }) => kind === "corrupt")).toEqual([]);
  });
});

it("a replica that nobody listens to folds on over a record that changed without a command", () => {
  const replica = replicaOf(["us", open("ann", "s1", "us")]);
  const record = defined(replica.fold("us")?.homed("ann"), "ann is homed there");
  replica.fold("us")?.sums();
  record.preferred = "invisible";
  expect(replica.apply("us", 2, frame("us", prefer("ann", "busy")))).toBe("applied");
  expect(replica.view("ann")?.preferred).toBe("busy");
});

/** A replica with these frames, as a snapshot brings it. */
function replicaOf(...frames: [Region, ...Command[]][]): Replica {
  const replica = new Replica(REGIONS);
  for (const [region, ...commands] of frames) {
    const position = (replica.fold(region)?.position ?? 0) + 1;
    expect(replica.apply(region, position, frame(region, ...commands))).toBe("applied");
  }
  return imported(partsOf(replica), REGIONS);
}

describe("adopting", () => {
  const here = sessionOf("s1", "cn");

  it("before it has caught up a node is told of nothing; after, of the live sessions of its region", () => {
    const replica = replicaOf(["us", open("ann", here), open("bob", "s2", "us")]);
    const early = new Bench(false).give({ kind: "adopt", replica });
    expect(early.told).toEqual([]);
    early.give({ kind: "caught-up" });
    const late = new Bench().give({ kind: "adopt", replica: replicaOf(["us", open("ann", here)]) });
    for (const bench of [early, late])
      expect(bench.told).toEqual([{ kind: "opened", user: "ann", session: here }]);
  });

  it("from then on the new replica folds, and tells this node", () => {
    const replica = replicaOf(["us", open("ann", here)]);
    const bench = new Bench().give({ kind: "adopt", replica });
    expect(bench.node.replica).toBe(replica);
    bench.fold("us", close("ann", "s1"));
    expect(bench.told.at(-1)).toMatchObject({ kind: "ended", user: "ann" });
    const progress = bench.node.matrix.progress({ monoMs: bench.ms, wallMs: 1 });
    expect(progress.find(({ region }) => region === "us")?.position).toBe(2);
  });

  it("accepts under way are begun again, and take effect once", () => {
    const command = open("ann", "s9", "us");
    const bench = new Bench().fold("us", forward("cn", command));
    const first = bench.take("accept");
    bench.give({ kind: "adopt", replica: replicaOf(["us", forward("cn", command)]) });
    const second = bench.take("accept");
    expect(second).toEqual([[accept("us", 0, 1, command)]]);
    bench.settle({ kind: "accept", from: "us" }, true);
    for (const commands of [...first, ...second]) bench.fold("cn", ...commands);
    expect(bench.node.replica.refusals.get("already-processed")).toBe(1);
    expect(bench.node.replica.view("ann")?.sessions).toHaveLength(1);
    expect(bench.tick(60_000).take("accept")).toEqual([]);
  });

  it("an outcome of before is that of nothing any more", () => {
    const bench = new Bench().fold("us", forward("cn", open("ann", "s9", "us")));
    bench.give({ kind: "adopt", replica: replicaOf() }).settle({ kind: "accept", from: "nowhere" }, true);
    expect(bench.take("accept")).toHaveLength(1);
    expect(bench.tick(60_000).take("accept")).toEqual([]);
  });

  it("a lost claim that was being given up is given up again at once", () => {
    for (let n = 0; n < 100; n++) {
      const frames: [Region, Command][] = [
        ["cn", open(`user-${n}`, "s1")],
        ["us", open(`user-${n}`, "s2", "us")],
      ];
      const bench = new Bench();
      for (const [region, command] of frames) bench.fold(region, command);
      if (bench.node.replica.winner(`user-${n}`) !== "us") continue;
      expect(bench.tick(50).take("drop")).toHaveLength(1);
      bench.give({ kind: "adopt", replica: replicaOf(...frames) });
      expect(bench.take("drop")).toEqual([[drop(`user-${n}`, "us")]]);
      return;
    }
    expect.unreachable("us wins nobody of a hundred");
  });

  it("preferences end at their time, though the command that says so was never folded here", () => {
    const untilMs = 1_000_000 + 12_000;
    const frames: [Region, Command][] = [
      ["cn", prefer("ann", "busy", untilMs)],
      ["cn", prefer("bob", "busy", untilMs)],
      ["cn", drop("bob", "us")],
      ["us", prefer("cleo", "busy", untilMs)],
      ["cn", prefer("dan", "busy")],
    ];
    const bench = new Bench().give({ kind: "adopt", replica: replicaOf(...frames) });
    expect(bench.tick(1_999).take("automatic")).toEqual([]);
    expect(bench.tick(1).take("automatic")).toEqual([[prefer("ann", "automatic")]]);
  });

  it("digests of the old replica are not appended any more", () => {
    const bench = new Bench();
    bench.node.replica.apply("cn", 1, frame("cn", MARK));
    bench.give({ kind: "adopt", replica: replicaOf(["cn", MARK]) }).fold("cn", open("ann", "s1"));
    expect(bench.take("digest")).toEqual([]);
  });
});
