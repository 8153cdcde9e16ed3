/**
 * The simulation itself: equal seeds give equal traces, every planted bug is caught, and made small. That seeds hold every invariant is
 * shown by `npm run sim`, which `npm test` runs too.
 */
import { describe, expect, it } from "vitest";
import { NO_BUGS } from "./bugs.ts";
import { hunt } from "./hunt.ts";
import { PLANTS, isNamed } from "./planted.ts";
import { runSeed } from "./run.ts";
import { FAULTS } from "./settings.ts";
import { argumentsOf, shrink } from "./shrink.ts";
import { judgeOnce } from "./sweep.ts";

const EVENTS = 3_000;
const FIRST_SEED = 1;
/** What catches a bug must not be luck: this many seeds suffice for each. */
const HUNT_SEEDS = 60;
/** Far more than is needed: the machine may be busy. */
const PATIENCE_MS = 300_000;

describe("simulation", () => {
  it("gives the same trace for the same seed, and another for another", async () => {
    const hashes = new Set<string>();
    for (const seed of [1, 2, 3]) {
      const first = await runSeed({ seed, events: 1_500 });
      const again = await runSeed({ seed, events: 1_500, trace: true });
      expect(again.hash).toBe(first.hash);
      expect(again.counts).toEqual(first.counts);
      hashes.add(first.hash);
    }
    expect(hashes.size).toBe(3);
  });

  it("fires no fault that is switched off", async () => {
    const { fired, violation } = await judgeOnce({ seed: 1, events: 1_000, without: FAULTS });
    expect([...fired.keys()]).toEqual([]);
    expect(violation).toBeUndefined();
  });

  it(
    "makes a failing run small, and names what runs it again",
    async () => {
      const failing = { seed: 2, events: EVENTS };
      const bugs = { ...NO_BUGS, dropFencing: true };
      const { violation = "" } = await judgeOnce({ ...failing, bugs });
      const { scenario, verdict } = await shrink(failing, violation, PATIENCE_MS / 2, { bugs });
      expect(verdict.violation).toMatch(/^invariant 1: COPY_/);
      expect(scenario.events).toBeLessThan(EVENTS / 2);
      expect(scenario.users).toBeLessThan(5);
      expect((await judgeOnce({ ...scenario, bugs })).violation).toBe(verdict.violation);
      expect(argumentsOf(scenario)).toMatch(/^--seed 2 --events \d+ --without [a-z,-]+ --users \d$/);
    },
    PATIENCE_MS,
  );
});

describe("planted bugs", () => {
  it.each(PLANTS)(
    "$name is caught",
    async (plant) => {
      const { seed } = await hunt(plant, plant.shownBy ?? FIRST_SEED, HUNT_SEEDS, EVENTS);
      expect(seed, `caught by no seed of ${HUNT_SEEDS}`).toBeDefined();
    },
    PATIENCE_MS,
  );

  it("are the twelve of the design, and others", () => {
    const names = PLANTS.map(({ name }) => name);
    expect(names.filter(isNamed)).toHaveLength(12);
    expect(new Set(names).size).toBe(names.length);
  });
});
