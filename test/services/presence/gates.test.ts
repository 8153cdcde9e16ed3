/** Admission by class: who is shed first, how a class comes back, and that operators' switches stand above the load. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../replicator/core/limits.ts";
import { buildGates, Gate, type Load, REQUEST_CLASSES } from "../../../services/presence/gates.ts";
import { holds } from "../../core/property.ts";

const IDLE: Load = { delayMs: 0, queueShare: 0 };
const late = (delayMs: number): Load => ({ delayMs, queueShare: 0 });

/** How many of `asked` requests in a row are let in. */
function letIn(gate: Gate, asked: number): number {
  return Array.from({ length: asked }, () => gate.refusal()).filter((refused) => refused === undefined)
    .length;
}

function admittedUnder(load: Load): Record<string, number> {
  const gates = buildGates();
  for (const gate of Object.values(gates)) gate.judge(load);
  return Object.fromEntries(REQUEST_CLASSES.map((name) => [name, gates[name].admitted]));
}

describe("overload", () => {
  it.each([
    [late(0), { lists: 1, reads: 1, heartbeats: 1, writes: 1 }],
    [late(150), { lists: 0, reads: 1, heartbeats: 1, writes: 1 }],
    [late(300), { lists: 0, reads: 0, heartbeats: 1, writes: 1 }],
    [late(1_500), { lists: 0, reads: 0, heartbeats: 0, writes: 1 }],
    [late(5_000), { lists: 0, reads: 0, heartbeats: 0, writes: 0 }],
    [
      { delayMs: 0, queueShare: 0.6 },
      { lists: 0, reads: 1, heartbeats: 1, writes: 1 },
    ],
    [
      { delayMs: 0, queueShare: 1 },
      { lists: 0, reads: 0, heartbeats: 1, writes: 1 },
    ],
  ])("of %j sheds the lowest classes first", (load, admitted) => {
    expect(admittedUnder(load)).toEqual(admitted);
  });

  it("whatever the loads were, no class is let in less than a lower one", () => {
    const load = fc.record({
      delayMs: fc.integer({ min: 0, max: 5_000 }),
      queueShare: fc.float({ min: 0, max: 1 }),
    });
    holds(
      fc.property(fc.array(load, { maxLength: 30 }), (loads) => {
        const gates = buildGates();
        for (const one of loads) {
          for (const gate of Object.values(gates)) gate.judge(one);
          const shares = REQUEST_CLASSES.map((name) => gates[name].admitted);
          expect(shares).toEqual(shares.toSorted((a, b) => a - b));
        }
      }),
      200,
    );
  });

  it("once over, lets a class in again step by step, as many requests as its share says", () => {
    const gate = new Gate("reads");
    gate.judge(late(LIMITS.shedReadsMs + 1));
    expect([gate.narrowed, letIn(gate, 80)]).toEqual([true, 0]);
    for (let step = 1; step <= 8; step++) {
      gate.judge(IDLE);
      expect(gate.narrowed).toBe(step < 8);
      expect(letIn(gate, 80)).toBe(10 * step);
    }
  });

  it("that has eased but is not over leaves everything as it is", () => {
    const gate = new Gate("reads");
    gate.judge(late(0.9 * LIMITS.shedReadsMs));
    expect(gate.admitted).toBe(1);
    gate.judge(late(2 * LIMITS.shedReadsMs));
    gate.judge(late(0.9 * LIMITS.shedReadsMs));
    expect(gate.admitted).toBe(0);
  });

  it("is counted, and says when to come back", () => {
    const gate = new Gate("lists");
    gate.judge(late(1_000));
    expect(gate.refusal()).toMatchObject({ name: "overloaded", retryAfterSeconds: 1 });
    expect(gate.refused).toEqual({ overloaded: 1, "switched-off": 0 });
  });
});

describe("a switch", () => {
  it("that is off refuses everything, with the operator's reason, until it is on", () => {
    const gate = new Gate("reads");
    gate.switch({ reason: "incident 7" });
    gate.judge(IDLE);
    expect([gate.narrowed, letIn(gate, 8)]).toEqual([true, 0]);
    expect(gate.refusal()).toMatchObject({
      name: "switched-off",
      detail: expect.stringContaining("incident 7"),
      retryAfterSeconds: LIMITS.switchedOffRetrySeconds,
    });
    expect(gate.refused).toEqual({ overloaded: 0, "switched-off": 9 });
    gate.switch(undefined);
    expect([gate.narrowed, letIn(gate, 8)]).toEqual([false, 8]);
  });

  it("with an end tells it", () => {
    const gate = new Gate("reads");
    gate.switch({ reason: "drill", untilMs: Date.UTC(2026, 0, 1) });
    expect(gate.refusal()).toMatchObject({ members: { until: "2026-01-01T00:00:00.000Z" } });
  });
});
