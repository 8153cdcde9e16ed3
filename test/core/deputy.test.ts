/** What a node does for a lost region that its own one stands for: here cn is the heir of us. */
import { describe, expect, it } from "vitest";
import type { Command, DeputedCommand } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Duty } from "../../replicator/core/node-events.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { imported, partsOf } from "./observed.ts";
import { Bench } from "./node-bench.ts";
import { REGIONS, accept, close, drop, forward, frame, open, prefer } from "./samples.ts";
import { say } from "./succeeded.ts";

const DUTY: Duty = { kind: "accept", from: "eu", of: "us" };
const EXPIRE: Duty = { kind: "expire", of: "us" };

function forUs(command: DeputedCommand): Command {
  return { kind: "deputed", region: "us", command };
}

/** A frame of cn's log comes to its fold, and to the one of us. */
function both(bench: Bench, ...commands: Command[]): Bench {
  const position = (bench.node.replica.fold("cn")?.position ?? 0) + 1;
  bench.fold("cn", ...commands);
  return bench.give({ kind: "frame", region: "us", position, frame: frame("cn", ...commands) });
}

/** us is lost after its first frames: cn stands for it. */
function heir(...before: Command[]): Bench {
  const bench = new Bench().fold("us", open("ann", "s1", "us"), ...before);
  both(bench, say("fence 1", "us"));
  return both(bench, say("succeed 1 of log-us at 1 sum 0", "us"));
}

function taken(bench: Bench, kind: Duty["kind"]): Command[] {
  return bench.take(kind).flat();
}

describe("the heir of a lost region", () => {
  it("accepts what is forwarded to the region, from others and from itself", () => {
    const bench = heir().fold("eu", forward("us", open("bob", "s2", "eu")));
    expect(bench.take("accept")).toEqual([[forUs(accept("eu", 0, 1, open("bob", "s2", "eu")))]]);
    both(bench, forward("us", open("cleo", "s3")));
    expect(bench.take("accept")).toEqual([[forUs(accept("cn", 0, 1, open("cleo", "s3")))]]);
  });

  it("goes on when an append is settled, and begins again where it failed", () => {
    const bench = heir().fold("eu", forward("us", open("bob", "s2", "eu")));
    bench.fold("eu", forward("us", open("dan", "s4", "eu")));
    expect(bench.take("accept")).toHaveLength(1);
    const second = accept("eu", 1, 2, open("dan", "s4", "eu"));
    expect(bench.settle(DUTY, true).take("accept")).toEqual([[forUs(second)]]);
    bench.settle(DUTY, false);
    expect(taken(bench.tick(), "accept")).toHaveLength(2);
  });

  it("accepts nothing for it before the region's fold is in its log, nor what a fence alone says", () => {
    const bench = new Bench().fold("us", open("ann", "s1", "us"));
    both(bench, say("fence 1", "us")).fold("eu", forward("us", open("bob", "s2", "eu")));
    bench.fold("cn", say("succeed 1 of log-us at 1 sum 0", "us")).tick();
    expect(bench.take("accept")).toEqual([]);
    const first = frame("cn", say("succeed 1 of log-us at 1 sum 0", "us"));
    bench.give({ kind: "frame", region: "us", position: 2, frame: first }).tick();
    expect(bench.take("accept")).toHaveLength(1);
  });

  it("accepts what the region had forwarded to it", () => {
    const bench = heir(forward("cn", open("bob", "s2", "us")));
    expect(bench.take("accept")).toEqual([[accept("us", 0, 1, open("bob", "s2", "us"))]]);
  });

  it("gives up the claims that the region lost", () => {
    const names = Array.from({ length: 100 }, (_, n) => `user-${n}`);
    const bench = heir(...names.map((user, n) => open(user, `u${n}`, "us")));
    bench.fold("eu", ...names.map((user, n) => open(user, `e${n}`, "eu"))).tick();
    const lost = names.filter((user) => bench.node.replica.winner(user) === "eu");
    expect(lost.length).toBeGreaterThan(0);
    expect(taken(bench, "drop")).toEqual(lost.map((user) => forUs(drop(user, "eu"))));
  });

  it("ends the region's preferences, of before and of since", () => {
    const bench = heir(prefer("ann", "busy", 1_000_001));
    both(bench, forUs(prefer("bob", "away", 1_000_002)));
    expect(taken(bench.tick(60_000), "automatic")).toEqual(
      ["ann", "bob"].map((user) => forUs(prefer(user, "automatic"))),
    );
  });

  it("marks the region's fold beside its own, and states its digest", () => {
    const bench = heir();
    bench.settle({ kind: "watermark" }, true);
    const marks = taken(bench.tick(LIMITS.digestMs), "watermark").slice(1);
    expect(marks).toEqual([{ kind: "mark" }, forUs({ kind: "mark" })]);
    both(bench, ...marks);
    expect(taken(bench, "digest").map((one) => (one.kind === "deputed" ? one.region : "own"))).toEqual([
      "own",
      "us",
    ]);
    const watermarks = taken(
      bench.settle({ kind: "watermark" }, true).tick(LIMITS.digestMs - 1),
      "watermark",
    );
    expect(watermarks).toHaveLength(1);
    expect(watermarks.filter(({ kind }) => kind !== "watermark")).toEqual([]);
  });

  it("hears nothing of the region by what it says for it itself", () => {
    const bench = heir();
    const silentMs = (): number => bench.node.matrix.silentMs("us", { monoMs: bench.ms, wallMs: 0 });
    expect(silentMs()).toBe(Number.POSITIVE_INFINITY);
    both(bench, { kind: "watermark", peers: [] });
    expect(silentMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("is none before it has caught up", () => {
    const bench = new Bench(false).fold("us", open("ann", "s1", "us"));
    for (const value of ["fence 1", "succeed 1 of log-us at 1 sum 0"]) both(bench, say(value, "us"));
    bench.fold("eu", forward("us", open("bob", "s2", "eu")));
    expect(bench.take("accept")).toEqual([]);
    bench.give({ kind: "caught-up" });
    expect(bench.take("accept")).toHaveLength(1);
  });

  it("is one no more when it has yielded, as soon as it has folded that in its own log", () => {
    const bench = heir();
    bench.fold("cn", say("yield 1", "us")).fold("eu", forward("us", open("bob", "s2", "eu")));
    expect(bench.tick(LIMITS.ttlMs).take("accept")).toEqual([]);
    expect(bench.tick(LIMITS.ttlMs).settle(EXPIRE, true).take("expire")).toEqual([]);
  });

  it("goes on with a replica made of a snapshot", () => {
    const bench = heir().fold("eu", forward("us", open("bob", "s2", "eu")));
    bench.take("accept");
    const replica = imported(partsOf(bench.node.replica), REGIONS);
    bench.give({ kind: "adopt", replica });
    expect(bench.take("accept")).toHaveLength(1);
    bench.give({ kind: "adopt", replica: new Replica(REGIONS.toSorted()) }).settle(DUTY, true);
    expect(bench.tick(60_000).take("accept")).toEqual([]);
  });
});

describe("sessions connected to the lost region", () => {
  it("end one TTL after the heir stands for it, wherever their users are homed, and no others do", () => {
    const bench = heir(forward("eu", open("bob", "s2", "us"))).fold("cn", open("cleo", "s3"));
    bench.fold("us", forward("cn", open("dan", "s4", "us"))).tick();
    expect(bench.tick(LIMITS.ttlMs - 1).take("expire")).toEqual([]);
    bench.fold("eu", accept("us", 0, 1, open("bob", "s2", "us")));
    expect(taken(bench.tick(1), "expire")).toEqual([
      forUs({ kind: "forward", to: "eu", command: close("bob", "s2", "expired") }),
      forUs(close("ann", "s1", "expired")),
    ]);
  });

  it("are asked to end once, again only where that was not folded for 5 s, and one append at a time", () => {
    const bench = heir().tick();
    expect(taken(bench.tick(LIMITS.ttlMs), "expire")).toHaveLength(1);
    expect(taken(bench.tick(60_000), "expire")).toEqual([]);
    expect(taken(bench.settle(EXPIRE, true).tick(), "expire")).toHaveLength(1);
    expect(taken(bench.settle(EXPIRE, true).tick(5_000).tick(), "expire")).toEqual([]);
    expect(taken(bench.tick(1).tick(), "expire")).toHaveLength(1);
    both(bench.settle(EXPIRE, true), forUs(close("ann", "s1", "expired")));
    expect(taken(bench.tick(60_000).tick().tick(), "expire")).toEqual([]);
    expect(bench.node.replica.view("ann")?.sessions).toEqual([]);
  });

  it("of many users end bit by bit", () => {
    const bench = heir(...Array.from({ length: 2_500 }, (_, n) => open(`user-${n}`, `s-${n}`, "us"))).tick();
    const ended = [taken(bench.tick(LIMITS.ttlMs), "expire").length];
    for (let n = 0; n < 3; n++) ended.push(taken(bench.settle(EXPIRE, true).tick(), "expire").length);
    expect(ended).toEqual([1_000, 1_000, 501, 0]);
  });

  it("are looked at from the beginning in another replica, and not at all in one that was found wrong", () => {
    const bench = heir().tick();
    bench.tick(LIMITS.ttlMs).take("expire");
    const replica = imported(partsOf(bench.node.replica), REGIONS);
    bench.settle(EXPIRE, true).give({ kind: "adopt", replica });
    expect(taken(bench.tick(), "expire")).toHaveLength(1);
    const held = replica.fold("us")?.table.get("ann");
    if (held !== undefined) held.preferredUntilMs = 7;
    bench.settle(EXPIRE, true).tick(60_000).take("expire");
    expect(bench.told).toContainEqual({ kind: "corrupt", region: "us", user: "ann" });
    expect(taken(bench.tick(60_000), "expire")).toEqual([]);
  });
});
