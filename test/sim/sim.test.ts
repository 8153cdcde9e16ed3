/** The simulation itself: a few seeds hold every invariant, equal seeds give equal traces, and every planted bug is caught. */
import { describe, expect, it } from "vitest";
import { hunt } from "./hunt.ts";
import { PLANTS } from "./planted.ts";
import { runSeed } from "./run.ts";
import { CLOCKS, INCIDENTS, MISHAPS } from "./settings.ts";
import { addVerdict, judge, noTotals } from "./sweep.ts";

const EVENTS = 3_000;
const FIRST_SEED = 1;
const SEEDS = 40;
/** What catches a bug must not be luck: this many seeds suffice for each. */
const HUNT_SEEDS = 60;

describe("simulation", () => {
  it(`holds every invariant on seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}, and every fault fires`, async () => {
    const totals = noTotals();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      addVerdict(totals, await judge({ seed, events: EVENTS, unhealed: [] }), EVENTS);
    }
    expect(totals.violations).toEqual([]);
    const fired = [...totals.faults.keys()].toSorted();
    expect(fired).toEqual([...INCIDENTS, ...MISHAPS, ...CLOCKS].toSorted());
  });

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
});

describe("planted bugs", () => {
  it.each(PLANTS)("$name is caught", async (plant) => {
    const { seed } = await hunt(plant, FIRST_SEED, HUNT_SEEDS, EVENTS);
    expect(seed, `caught by no seed of ${HUNT_SEEDS}`).toBeDefined();
  });
});
