/** Room for sessions: what a full node refuses, what it goes on serving, and that the heap is watched by what is live. */
import { expect, it, vi } from "vitest";

import { LIMITS } from "../../../replicator/core/limits.ts";
import { Capacity, watchHeap } from "../../../services/presence/capacity.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";

const heapAt = (share: number) => ({ share: () => share, stop: () => undefined });

it("a session beyond the bound is refused, and told when to come back", () => {
  const capacity = new Capacity(10);
  expect(capacity.full(9, true)).toBeUndefined();
  expect(capacity.full(10, true)).toMatchObject({
    problem: { name: "overloaded", retryAfterSeconds: LIMITS.fullRetrySeconds },
  });
  expect(capacity.refused).toEqual({ sessions: 1, heap: 0 });
});

it.each([
  [0.5, false, false],
  [0.8, true, false],
  [0.9, true, true],
])("at %d of the heap: new users refused %s, known ones refused %s", (share, newOnes, knownOnes) => {
  const capacity = new Capacity(10, heapAt(share));
  expect([capacity.full(0, false) !== undefined, capacity.full(0, true) !== undefined]).toEqual([
    newOnes,
    knownOnes,
  ]);
});

it("a full node opens no session, and renews, closes and answers all the same", async () => {
  const bench = new Bench();
  bench.start(new Capacity(1));
  bench.caughtUp();
  await bench.settle();
  const { session } = await bench.open("ann", "web");
  expect(await bench.presence.openSession({ user: "bob" })).toMatchObject({
    problem: { name: "overloaded" },
  });
  expect(await bench.presence.touch("bob", "web")).toMatchObject({ problem: { name: "overloaded" } });
  expect(bench.presence.touch("ann", "web")).toBeUndefined();
  expect(bench.presence.heartbeat(session)).toBeUndefined();
  expect([bench.status("ann"), bench.status("bob"), bench.presence.bounds().refused.sessions]).toEqual([
    "online",
    "offline",
    2,
  ]);
  const closing = bench.presence.closeSession(session);
  await bench.settle();
  valueOf(await closing);
  bench.fold();
  expect(await bench.open("bob")).toMatchObject({ user: "bob" });
});

it("the heap's share is of live data: garbage does not count", async () => {
  const heap = watchHeap();
  try {
    await vi.waitFor(
      () => {
        // Garbage enough for major collections.
        Array.from({ length: 2_000_000 }, (_, i) => ({ i }));
        expect(heap.share()).toBeGreaterThan(0);
      },
      { timeout: 15_000, interval: 1 },
    );
    expect(heap.share()).toBeLessThan(LIMITS.heapShareNewUsers);
  } finally {
    heap.stop();
  }
});
