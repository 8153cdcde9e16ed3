/** What the service promises an overloaded or stalled node, and an operator: nobody expires because we slept; a decision is in force when folded. */
import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../replicator/core/limits.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";

async function ready(): Promise<Bench> {
  const bench = new Bench().caughtUp();
  await bench.settle();
  return bench;
}

describe("a process that stood still", () => {
  it("for 60 s, just before the end of a lease, expires nobody: what waits in the sockets renews it", async () => {
    const bench = await ready();
    const { session } = await bench.open("ann");
    await bench.pass(LIMITS.ttlMs - 1_000);
    bench.ms += 60_000;
    bench.presence.tick();
    expect(bench.presence.heartbeat(session)).toBeUndefined();
    expect(await bench.pass(LIMITS.ttlMs - 1_000)).toEqual([]);
    expect(bench.status("ann")).toBe("online");
    expect(bench.presence.bounds()).toMatchObject({ stalls: 1, stalledMs: 60_000 - LIMITS.leaseStepMs });
  });

  it("again and again, a little shorter than the TTL, expires nobody either", async () => {
    const bench = await ready();
    const { session } = await bench.open("ann");
    for (let i = 0; i < 20; i++) {
      bench.ms += LIMITS.ttlMs - 1;
      expect(await bench.pass(LIMITS.tickMs)).toEqual([]);
      expect(bench.presence.heartbeat(session)).toBeUndefined();
    }
  });

  it("lets a session that is dead live longer by the length of the stall, and no more", async () => {
    const bench = await ready();
    const { session } = await bench.open("ann");
    bench.ms += 60_000;
    expect(await bench.pass(LIMITS.ttlMs - LIMITS.leaseStepMs - 100)).toEqual([]);
    expect(await bench.pass(LIMITS.leaseStepMs + 1_250)).toMatchObject([{ kind: "close", session }]);
  });
});

it("while heartbeats are refused no lease runs down, and afterwards it goes on where it was", async () => {
  const bench = await ready();
  const { session } = await bench.open("ann");
  await bench.pass(LIMITS.ttlMs - 10_000);
  bench.presence.hearing(false);
  expect(await bench.pass(3 * LIMITS.ttlMs)).toEqual([]);
  bench.presence.hearing(true);
  expect(await bench.pass(9_000)).toEqual([]);
  expect(await bench.pass(2_500)).toMatchObject([{ kind: "close", session }]);
});

describe("an operator's decision", () => {
  it("is appended to the region's own log, in force when folded, and there after a restart", async () => {
    const bench = await ready();
    const deciding = bench.presence.decide("switch:reads", "off", "operator", "drill");
    const command = { kind: "set", key: "switch:reads", value: "off", by: "operator", reason: "drill" };
    expect(await bench.settle()).toEqual([command]);
    expect(valueOf(await deciding).token.get("cn")).toMatchObject({ position: bench.log.length });
    expect(bench.presence.settings().size).toBe(0);
    bench.fold();
    const { kind: _kind, ...decided } = command;
    expect(bench.presence.settings().get("switch:reads")).toMatchObject(decided);
    expect(bench.presence.audit()).toMatchObject([decided]);
    bench.start();
    expect(bench.caughtUp().presence.settings().get("switch:reads")).toMatchObject(decided);
  });

  it("of a peer region decides nothing here", async () => {
    const bench = await ready();
    bench.peer("us", { kind: "set", key: "switch:reads", value: "off", by: "operator", reason: "drill" });
    expect([bench.presence.settings().size, bench.presence.audit()]).toEqual([0, []]);
  });

  it("that cannot be appended is a failure, and so it is before the node has caught up", async () => {
    const bench = await ready();
    const deciding = bench.presence.decide("switch:reads", "off", "operator", "drill");
    await bench.settle("lost");
    expect(await deciding).toMatchObject({ problem: { name: "log-unavailable" } });
    expect(await new Bench().presence.decide("a", "b", "c", "d")).toMatchObject({
      problem: { name: "not-ready" },
    });
  });
});
