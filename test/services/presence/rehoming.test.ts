/** Planned re-homing: who may give a user over, when, and what becomes of the sessions. */
import { describe, expect, it, vi } from "vitest";
import type { Region, UserCommand } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { accept, close, drop, forward, open, prefer, progress } from "../../core/samples.ts";
import { Regions, until } from "./regions.ts";

/** Both peers have folded this region's log as it is, and say so. */
function heard(bench: Bench): Bench {
  const position = bench.log.length;
  const peers = (other: Region) => [progress("cn", { position }), progress(other)];
  return bench
    .peer("us", { kind: "watermark", peers: peers("eu") })
    .peer("eu", { kind: "watermark", peers: peers("us") });
}

async function withAnn(): Promise<Bench> {
  const bench = new Bench().caughtUp();
  await bench.settle();
  await bench.open("ann", "phone");
  return bench;
}

describe("the home", () => {
  it("appends the release, and answers with its place", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    expect(await bench.settle()).toEqual([{ kind: "release", user: "ann", to: "us" }]);
    bench.fold();
    expect(valueOf(await moving).token.get("cn")?.position).toBe(bench.log.length);
    expect(bench.presence.presence("ann")).toMatchObject({ home: "us", sessions: [{ session: "s1" }] });
  });

  it("sends what follows to the new one", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    await bench.settle();
    bench.fold();
    valueOf(await moving);
    const busy = bench.presence.prefer("ann", "busy", 0);
    expect(await bench.settle()).toEqual([forward("us", prefer("ann", "busy"))]);
    valueOf(await busy);
  });

  it("asks to come again while a region has not said that it knows the home", async () => {
    const bench = await withAnn();
    expect(await bench.presence.rehome("ann", "us")).toMatchObject({
      problem: { name: "home-unsettled", retryAfterSeconds: 1 },
    });
    expect(await bench.settle()).toEqual([]);
  });

  it("says that nothing was written when the log does not take it", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    await bench.settle("lost");
    expect(await moving).toMatchObject({ problem: { name: "log-unavailable" } });
    expect(bench.presence.presence("ann").home).toBe("cn");
  });

  it("says where the user is when another command that stands before the release gave them up elsewhere", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    bench.log.push([drop("ann", "eu")]);
    await bench.settle();
    bench.fold();
    expect(await moving).toMatchObject({ problem: { name: "not-home", members: { home: "eu" } } });
    expect(bench.presence.node.replica.refusals.get("not-homed")).toBe(1);
  });

  it("is content when that command gave them up to the same region", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    bench.log.push([drop("ann", "us")]);
    await bench.settle();
    bench.fold();
    expect(await moving).toMatchObject({ ok: true });
  });

  it("is content when the user has come back since", async () => {
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    await bench.settle();
    const epoch = { generation: 0, count: 3 };
    const claim: UserCommand = {
      kind: "claim",
      user: "ann",
      epoch,
      sessions: [],
      preferred: "automatic",
      untilMs: 0,
    };
    bench.log.push([accept("us", 0, 1, claim)]);
    bench.fold();
    valueOf(await moving);
    expect(bench.presence.node.replica.view("ann")).toMatchObject({ home: "cn", epoch });
  });

  it("cannot say what came of it while the release is not folded", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const bench = heard(await withAnn());
    const moving = bench.presence.rehome("ann", "us");
    await bench.settle();
    vi.advanceTimersByTime(LIMITS.appendTimeoutMs);
    vi.useRealTimers();
    expect(await moving).toMatchObject({ problem: { name: "not-ready", retryAfterSeconds: 1 } });
  });

  it("has nothing to do for a user who is to stay", async () => {
    const bench = await withAnn();
    expect(valueOf(await bench.presence.rehome("ann", "cn")).token).toEqual(bench.presence.applied());
    expect(await bench.settle()).toEqual([]);
  });
});

describe("a region that is not the home", () => {
  it("has nothing to do for a user who lives there already, in view or not", async () => {
    const bench = new Bench().caughtUp().peer("us", open("bob", "x", "us"), close("bob", "x"));
    await bench.settle();
    expect(bench.presence.presence("bob").home).toBeUndefined();
    expect(valueOf(await bench.presence.rehome("bob", "us")).token).toEqual(bench.presence.applied());
    expect(await bench.settle()).toEqual([]);
  });

  it("says that of what it has folded: a claim that it had not heard of may take the user elsewhere", async () => {
    const bench = new Bench().caughtUp().peer("us", open("ann", "x", "us"));
    valueOf(await bench.presence.rehome("ann", "us"));
    bench.peer("eu", open("ann", "y", "eu"));
    expect(bench.presence.presence("ann")).toMatchObject({ home: "eu", epoch: { count: 1 } });
    expect(await bench.presence.rehome("ann", "us")).toMatchObject({ problem: { name: "not-home" } });
  });
});

describe("refused, and nothing written, is a move", () => {
  it.each([
    ["by a region that is not the home, which names the home", "bob", "eu", "not-home", { home: "us" }],
    ["of a user of whom nobody has heard", "cleo", "us", "unknown-user", undefined],
    ["to an unknown region", "ann", "mars", "unknown-region", undefined],
  ])("%s", async (_what, user, to, name, members) => {
    const bench = heard((await withAnn()).peer("us", open("bob", "x", "us")));
    expect(await bench.presence.rehome(user, to)).toMatchObject({
      ok: false,
      problem: { name, ...(members === undefined ? {} : { members }) },
    });
    expect(await bench.settle()).toEqual([]);
  });

  it("before the node has caught up", async () => {
    expect(await new Bench().presence.rehome("ann", "us")).toMatchObject({ problem: { name: "not-ready" } });
  });
});

it("in three regions the user is online everywhere throughout, and the new home may give them back", async () => {
  const regions = new Regions(["cn", "eu", "us"]);
  await regions.start("cn", "eu", "us");
  await regions.open("cn", "ann");
  await until("all know ann", () => regions.names.every((name) => regions.online(name) === 1));
  const online: number[] = [];
  const moved = async (from: Region, to: Region): Promise<void> => {
    const { presence } = regions.node(from);
    for (let asked = await presence.rehome("ann", to); !asked.ok; asked = await presence.rehome("ann", to)) {
      expect(asked.problem.name).toBe("home-unsettled");
      const before = presence.applied().get(to)?.position ?? 0;
      await until(`${to} says more`, () => (presence.applied().get(to)?.position ?? 0) > before);
    }
    await until(`${to} has ann`, () =>
      regions.names.every((name) => {
        online.push(regions.online(name));
        return regions.node(name).presence.node.replica.winner("ann") === to;
      }),
    );
  };
  await moved("cn", "us");
  await moved("us", "cn");
  expect(new Set(online)).toEqual(new Set([1]));
  expect(regions.node("eu").presence.presence("ann")).toMatchObject({ home: "cn", epoch: { count: 3 } });
  await regions.stop();
});
