/** Leases on a fake clock: they end within a second after their TTL, never early, and not because this process stood still. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Leases } from "../../../services/presence/leases.ts";
import { holds } from "../../core/property.ts";
import { sessionOf } from "../../core/samples.ts";

const TTL = LIMITS.ttlMs;
const STEP = LIMITS.leaseStepMs;

/** Advances in ticks of 50 ms up to `untilMs`; returns when each session expired. */
function run(
  leases: Leases,
  fromMs: number,
  untilMs: number,
  each?: (ms: number) => void,
): Map<string, number> {
  const expired = new Map<string, number>();
  for (let ms = fromMs + LIMITS.tickMs; ms <= untilMs; ms += LIMITS.tickMs) {
    for (const { session } of leases.advance(ms)) expired.set(session.session, ms);
    each?.(ms);
  }
  return expired;
}

describe("expiry", () => {
  it("comes within TTL and TTL + 1 s, to the tick, whenever the lease began", () => {
    holds(
      fc.property(
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        fc.integer({ min: 100, max: 20_000 }),
        (startMs, ttlMs) => {
          const leases = new Leases(startMs, ttlMs);
          leases.open("ann", sessionOf("s1"));
          const at = run(leases, startMs, startMs + ttlMs + 2_000).get("s1") ?? Number.NaN;
          expect(at - startMs).toBeGreaterThanOrEqual(ttlMs);
          expect(at - startMs).toBeLessThanOrEqual(ttlMs + 1_000 + LIMITS.tickMs);
        },
      ),
      100,
    );
  });

  it("counts from the last renewal", () => {
    const leases = new Leases(0);
    const lease = leases.open("ann", sessionOf("s1"));
    const expired = run(leases, 0, 300_000, (ms) => {
      if (ms === 60_000 || ms === 110_000) leases.renew(lease);
    });
    expect(expired.get("s1")).toBeGreaterThanOrEqual(110_000 + TTL);
    expect(expired.get("s1")).toBeLessThanOrEqual(110_000 + TTL + 1_050);
  });

  it("never comes while heartbeats do", () => {
    const leases = new Leases(0);
    const lease = leases.open("ann", sessionOf("s1"));
    const expired = run(leases, 0, 1_000_000, (ms) => {
      if (ms % LIMITS.heartbeatMs === 0) leases.renew(lease);
    });
    expect(expired.size).toBe(0);
    expect(leases.size).toBe(1);
  });

  it("is told once, and the lease is gone then", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1", "cn", "phone"));
    expect([...run(leases, 0, 200_000).keys()]).toEqual(["s1"]);
    expect(leases.get("s1")).toBeUndefined();
    expect(leases.ofDevice("ann", "phone")).toBeUndefined();
    expect(run(leases, 200_000, 400_000).size).toBe(0);
  });

  it("is not told of a lease that was removed", () => {
    const leases = new Leases(0);
    const lease = leases.open("ann", sessionOf("s1"));
    expect(leases.remove("s1")).toBe(lease);
    expect(leases.remove("s1")).toBeUndefined();
    expect(run(leases, 0, 200_000).size).toBe(0);
    expect(lease.removed).toBe(true);
  });

  it("each of many leases ends at its own time", () => {
    const leases = new Leases(0);
    const began = new Map<string, number>();
    const expired = run(leases, 0, 300_000, (ms) => {
      if (ms > 90_000 || ms % 350 !== 0) return;
      began.set(`s${ms}`, ms);
      leases.open("ann", sessionOf(`s${ms}`));
    });
    expect(expired.size).toBe(began.size);
    for (const [session, ms] of began) {
      const livedMs = (expired.get(session) ?? Number.NaN) - ms;
      expect(livedMs).toBeGreaterThanOrEqual(TTL);
      expect(livedMs).toBeLessThanOrEqual(TTL + 1_050);
    }
  });
});

describe("a stall", () => {
  it("does not expire anybody: time in which nobody could be heard does not count", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1"));
    run(leases, 0, 10_000);
    expect(leases.advance(10_000 + 600_000)).toEqual([]);
    expect([leases.stalls, leases.stalledMs]).toEqual([1, 600_000 - STEP]);
    const at = run(leases, 610_000, 900_000).get("s1");
    expect(at).toBeGreaterThanOrEqual(600_000 - STEP + TTL);
    expect(at).toBeLessThanOrEqual(600_000 - STEP + TTL + 1_050);
  });

  it("a slow tick of up to half a second is no stall", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1"));
    let ms = 0;
    while (leases.size > 0 && ms < 200_000) leases.advance((ms += STEP));
    expect(ms).toBeLessThanOrEqual(TTL + 1_000);
    expect([leases.stalls, leases.stalledMs]).toEqual([0, 0]);
  });

  it("one after another never expire who is heard between them, and a dead session outlives its TTL by their length at most", () => {
    holds(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 60 }),
        (gapsMs) => {
          const leases = new Leases(0);
          const beating = leases.open("ann", sessionOf("s1"));
          leases.open("bob", sessionOf("s2"));
          let ms = 0;
          let bobEndedAtMs: number | undefined;
          for (const gapMs of [...gapsMs, ...Array.from({ length: 2_000 }, () => LIMITS.tickMs)]) {
            const over = leases.advance((ms += gapMs)).map(({ id }) => id);
            expect(over).not.toContain("s1");
            leases.renew(beating);
            if (over.includes("s2")) bobEndedAtMs ??= ms;
          }
          const outlivedMs = (bobEndedAtMs ?? Number.NaN) - TTL;
          expect(outlivedMs).toBeGreaterThanOrEqual(0);
          expect(outlivedMs).toBeLessThanOrEqual(leases.stalledMs + 1_000 + STEP);
        },
      ),
      50,
    );
  });

  it("time in which heartbeats are refused counts for nobody", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1"));
    for (let ms = 50; ms <= 500_000; ms += 50) expect(leases.advance(ms, false)).toEqual([]);
    expect([leases.stalls, leases.stalledMs]).toEqual([0, 500_000]);
    expect(run(leases, 500_000, 500_000 + TTL - 50).size).toBe(0);
    expect([...run(leases, 500_000 + TTL - 50, 500_000 + TTL + 1_050).keys()]).toEqual(["s1"]);
  });
});

describe("opening", () => {
  it("again gives the same lease a full TTL and the new state", () => {
    const leases = new Leases(0);
    const lease = leases.open("ann", sessionOf("s1"));
    run(leases, 0, 70_000);
    const again = leases.open("ann", { ...sessionOf("s1"), status: "busy" });
    expect(again).toBe(lease);
    expect([lease.session.status, leases.size]).toEqual(["busy", 1]);
    expect(run(leases, 70_000, 70_000 + TTL - 50).size).toBe(0);
  });

  it("a device finds its newest lease, of its own user alone", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1", "cn", "phone"));
    const newest = leases.open("ann", sessionOf("s2", "cn", "phone"));
    expect(leases.ofDevice("ann", "phone")).toBe(newest);
    expect(leases.ofDevice("bob", "phone")).toBeUndefined();
    leases.remove("s1");
    expect(leases.ofDevice("ann", "phone")).toBe(newest);
    leases.remove("s2");
    expect(leases.ofDevice("ann", "phone")).toBeUndefined();
  });

  it("a session without a device is found by no device", () => {
    const leases = new Leases(0);
    leases.open("ann", sessionOf("s1"));
    expect(leases.ofDevice("ann", "")).toBeUndefined();
  });
});
