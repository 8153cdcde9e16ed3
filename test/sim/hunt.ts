/**
 * Hunts each planted bug: seed after seed until one catches it. Rule: it is the bug that is caught, so the same seed without it
 * must hold; a bug that no given seed catches is a hole in the checkers.
 */
import { bugsOf } from "./planted.ts";
import type { Plant } from "./planting.ts";
import { judgeOnce } from "./sweep.ts";

export interface Catch {
  readonly name: string;
  /** The first seed that caught it. */
  readonly seed: number | undefined;
  readonly violation: string;
}

export async function hunt(plant: Plant, firstSeed: number, seeds: number, events: number): Promise<Catch> {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const pullOut = plant.plant();
    const length = Math.max(events, plant.eventsMin ?? 0);
    const scenario = { seed, events: length, also: plant.also ?? [] };
    const found = await judgeOnce({ ...scenario, bugs: bugsOf(plant) });
    pullOut();
    if (found.violation === undefined) continue;
    const [violation = ""] = found.violation.split("\n");
    const without = await judgeOnce(scenario);
    if (without.violation === undefined) return { name: plant.name, seed, violation };
  }
  return { name: plant.name, seed: undefined, violation: "" };
}
