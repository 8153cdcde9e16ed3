import { it } from "vitest";
import { Checks } from "./checks.ts";
import { run } from "./script.ts";
import { World } from "./world.ts";
it("dbg", () => {
  const { nodes, steps } = JSON.parse(process.env["CE"] ?? "");
  const world = new World(nodes);
  const checks = new Checks(world);
  try { for (const step of steps) run(world, step); world.quiesce(); checks.atRest(); } catch (e) {
    console.log(String((e as Error).stack).slice(0, 3000));
  }
  for (const [r, log] of world.logs) log.forEach((f, i) => { for (const c of f.commands) if (c.kind !== "watermark") console.log(r, i + 1, f.node, JSON.stringify(c)); });
  for (const m of world.members) { console.log(m.name, m.node.replica.folds.map((f) => f.position).join(), JSON.stringify(["ann","bob"].map((u) => m.node.replica.provisional.of(u).map((p) => [p.from, p.to, p.ordinal, p.command.kind])))); console.log("   ", JSON.stringify(m.node.replica.view("ann"))); }
});
