/** Hunts each planted bug: seed after seed until one catches it. Rule: it is the bug that is caught, so the same seed without it
 * must hold; a bug that no given seed catches is a hole in the checkers. */
import type { Plant } from "./planted.ts";
import { bugsOf } from "./planted.ts";
import { runSeed } from "./run.ts";

export interface Catch {
  readonly name: string;
  /** The first seed that caught it. */
  readonly seed: number | undefined;
  readonly violation: string;
}

export async function hunt(plant: Plant, firstSeed: number, seeds: number, events: number): Promise<Catch> {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const unheard: string[] = [];
    const hear = (reason: unknown): void => void unheard.push(String(reason));
    process.on("unhandledRejection", hear);
    let found: string | undefined;
    const pullOut = plant.plant();
    try {
      const { violation } = await runSeed({ seed, events, bugs: bugsOf(plant) });
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      const caught = violation ?? unheard[0];
      if (caught !== undefined) found = caught.split("\n")[0];
    } finally {
      pullOut();
      process.off("unhandledRejection", hear);
    }
    if (found === undefined) continue;
    const { violation: without } = await runSeed({ seed, events });
    if (without === undefined) return { name: plant.name, seed, violation: found };
  }
  return { name: plant.name, seed: undefined, violation: "" };
}
