/**
 * The invariants of the core, held against a slow model in random worlds: three regions, cuts, lost and repeated appends, restarts,
 * snapshots, renewed logs with lost ends.
 * `RUNS` in the environment sets how many worlds, `SEED` which. Without it they are the same each time.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Checks } from "./checks.ts";
import { holds } from "./property.ts";
import { quiesce } from "./quiet.ts";
import { checkAtRest } from "./rest.ts";
import { run, scripts } from "./script.ts";
import { World } from "./world.ts";

const RUNS = Number(process.env["RUNS"] ?? 100);
const USUAL_SEED = 20_261_121;
const TIMEOUT_MS = 600_000 + 4_000 * RUNS;

describe("in any world", () => {
  it(
    "every replica keeps the invariants at every step and converges on what is true",
    { timeout: TIMEOUT_MS },
    () => {
      const seen: Record<string, number>[] = [];
      holds(
        fc.property(scripts(120), ({ nodes, steps }) => {
          const world = new World(nodes);
          const checks = new Checks(world);
          for (const step of steps) run(world, step);
          quiesce(world);
          checkAtRest(world);
          const { successions, yields, expiries } = world.heirs;
          const { renewals, lostEnds, compared, released, returned, evacuations, restores, evacuated } =
            world;
          seen.push({
            ...checks.counts,
            renewals,
            lostEnds,
            compared,
            released,
            returned,
            evacuations,
            restores,
            evacuated,
            successions,
            yields,
            expiries,
            adopted: world.snapshots.adopted,
          });
        }),
        RUNS,
        USUAL_SEED,
      );
      for (const what of Object.keys(seen[0] ?? {}))
        expect({ what, happened: seen.some((counts) => (counts[what] ?? 0) > 0) }).toEqual({
          what,
          happened: true,
        });
    },
  );
});
