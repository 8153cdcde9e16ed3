/**
 * A replica that lags behind the log that carried a session on, and has heard already what became of it: a double claim by eu, of which
 * cn is the home.
 */
import { describe, expect, it } from "vitest";
import { Ahead } from "../../replicator/core/ahead.ts";
import type { Claim, Command, Frame, Region } from "../../replicator/core/commands.ts";
import { rank } from "../../replicator/core/homing.ts";
import { composed } from "../../replicator/core/compose.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { exportReplica } from "../../replicator/core/transfer.ts";
import { imported, observed } from "./observed.ts";
import { REGIONS, accept, close, drop, forward, frame, open, sessionOf } from "./samples.ts";

const USER = ["ann", "bob", "cleo", "dan", "eve"].find((user) => rank(user, "cn") > rank(user, "eu")) ?? "";
const OTHERS = ["ann", "bob", "cleo", "dan", "eve"];

/** us logs s1 in at eu, which claims the user as cn does; eu gives the user up, and us ends s1 at cn. s2 is of eu itself. */
const LOGS: Readonly<Record<Region, readonly Command[]>> = {
  us: [forward("eu", open(USER, "s1", "us")), forward("cn", close(USER, "s1"))],
  eu: [accept("us", 0, 1, open(USER, "s1", "us")), open(USER, "s2", "eu"), drop(USER, "cn")],
  cn: [
    open(USER, "s3"),
    accept("eu", 0, 1, open(USER, "s1", "us")),
    accept("us", 0, 1, close(USER, "s1")),
    accept("eu", 1, 2, open(USER, "s2", "eu")),
    close(USER, "s2"),
  ],
};

function frames(region: Region): Frame[] {
  return (LOGS[region] ?? []).map((command) => frame(region, command));
}

/** In this order: regions, each with how many frames of its log. */
function folded(...order: readonly (readonly [Region, number])[]): Replica {
  return goOn(new Replica(REGIONS), ...order);
}

function goOn(replica: Replica, ...order: readonly (readonly [Region, number])[]): Replica {
  for (const [region, to] of order) {
    const from = replica.fold(region)?.position ?? 0;
    for (const [index, one] of frames(region).slice(from, to).entries())
      expect(replica.apply(region, from + index + 1, one)).toBe("applied");
  }
  return replica;
}

function shown(replica: Replica): string[] {
  return (replica.view(USER)?.sessions ?? []).map(({ session }) => session.session).toSorted();
}

const ENDED = [
  ["us", 2],
  ["cn", 3],
] as const;

describe("a session that a log carried on to the home, where it ended,", () => {
  it("is not shown out of that log's record, heard of later", () => {
    expect(shown(folded(...ENDED, ["eu", 1]))).toEqual(["s3"]);
    expect(shown(folded(["us", 2], ["eu", 1], ["cn", 3]))).toEqual(["s3"]);
  });

  it("is shown out of it as long as the home is not known to have it", () => {
    expect(shown(folded(["us", 1], ["eu", 1], ["cn", 1]))).toEqual(["s1", "s3"]);
  });

  it("is forgotten with the sending, and nothing else of the log is hidden", () => {
    const replica = folded(...ENDED, ["eu", 2]);
    expect(shown(replica)).toEqual(["s2", "s3"]);
    expect(replica.provisional.ahead.export()).toMatchObject([
      { from: "eu", to: "cn", ordinal: 1, position: 0 },
    ]);
    goOn(replica, ["eu", 3]);
    expect(replica.provisional.ahead.export()).toEqual([]);
    expect(shown(replica)).toEqual(["s2", "s3"]);
    expect(shown(goOn(replica, ["cn", 5]))).toEqual(["s3"]);
  });

  it("stays in the record while it is of that log's own region: its end is awaited with the log", () => {
    const replica = folded(["us", 2], ["cn", 5], ["eu", 2]);
    expect(shown(replica)).toEqual(["s2", "s3"]);
    expect(replica.provisional.ahead.export()).toHaveLength(1);
  });
});

function claim(user: string, ...ids: string[]): Claim {
  const sessions = ids.map((id) => sessionOf(id, "eu"));
  return {
    kind: "claim",
    user,
    epoch: { generation: 0, count: 2 },
    sessions,
    preferred: "automatic",
    untilMs: 0,
  };
}

describe("what was accepted ahead", () => {
  it("is forgotten as far as the sending is heard of, and a claim tells of all that it hands over", () => {
    const ahead = new Ahead();
    ahead.add("eu", "cn", 1, claim("ann", "s1", "s2"));
    ahead.add("eu", "cn", 2, claim("bob", "s3"));
    ahead.add("eu", "us", 1, claim("ann", "s1"));
    ahead.add("eu", "cn", 3, claim("cleo"));
    expect(ahead.export().map(({ to, ordinal }) => `${to} ${ordinal}`)).toEqual(["cn 1", "cn 2", "us 1"]);
    expect(ahead.heard("eu", "cn", 1)).toEqual(["ann"]);
    expect(["s1", "s2"].map((id) => ahead.has("eu", "ann", id))).toEqual([true, false]);
    expect(["eu", "us"].map((from) => ahead.has(from, "bob", "s3"))).toEqual([true, false]);
    expect([ahead.heard("eu", "us", 1), ahead.heard("eu", "us", 2)]).toEqual([["ann"], []]);
    expect(ahead.heard("eu", "cn", 9)).toEqual(["bob"]);
    expect(ahead.export()).toEqual([]);
  });

  it("is in a snapshot, and what is made of that goes on alike", () => {
    for (const eu of [0, 1]) {
      const replica = folded(...ENDED, ["eu", eu]);
      const made = imported([...exportReplica(replica)], REGIONS);
      expect(observed(made, OTHERS)).toBe(observed(replica, OTHERS));
      expect(observed(goOn(made, ["eu", 3]), OTHERS)).toBe(observed(goOn(replica, ["eu", 3]), OTHERS));
    }
  });

  it("comes into a composed replica with the fold that accepted it, unless the sender's has it", () => {
    const [ahead, behind, whole] = [folded(...ENDED), folded(["eu", 1]), folded(["eu", 3])];
    const [one, other] = [behind, whole].map((eu) => {
      const sources = new Map([
        ["cn", ahead],
        ["eu", eu],
        ["us", ahead],
      ]);
      return imported([...composed(sources)], REGIONS);
    });
    expect(one && [shown(one), one.provisional.ahead.export().length]).toEqual([["s3"], 1]);
    expect(other?.provisional.ahead.export()).toEqual([]);
  });
});
