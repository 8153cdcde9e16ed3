/** The invariants of the core, held against a slow model in random worlds: three regions, cuts, lost and repeated appends, restarts. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Checks } from "./checks.ts";
import { holds } from "./property.ts";
import { run, scripts } from "./script.ts";
import { World } from "./world.ts";

describe("in any world", () => {
  it("every replica keeps the invariants at every step and converges on what is true", () => {
    const seen = { contested: 0, provisional: 0, tokens: 0, moved: 0, restarts: 0 };
    holds(
      fc.property(scripts(120), ({ nodes, steps }) => {
        const world = new World(nodes);
        const checks = new Checks(world);
        for (const step of steps) run(world, step);
        world.quiesce();
        checks.atRest();
        for (const what of Object.keys(seen) as (keyof typeof seen)[]) seen[what] += checks.counts[what];
      }),
      Number(process.env["RUNS"] ?? 200),
    );
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
  });
});
