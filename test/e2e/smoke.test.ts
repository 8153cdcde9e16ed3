/** The scripted scenario of the demo, with real processes and embedded: it holds, and its report is complete. */
import { Type } from "typebox";
import { Value } from "typebox/value";
import { afterEach, expect, test } from "vitest";
import { Demo } from "./demo-process.ts";

const demos: Demo[] = [];
const SMOKE_TIMEOUT_MS = 240_000;
const DIRECTIONS = ["cn→eu", "cn→us", "eu→cn", "eu→us", "us→cn", "us→eu"];

afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.dispose()));
});

/** Exit code, and the last line of stdout. */
async function smoke(...args: string[]): Promise<{ code: unknown; report: Record<string, unknown> }> {
  const demo = new Demo(["--smoke", ...args]);
  demos.push(demo);
  const code = await demo.ended;
  const last = demo.stdout.trimEnd().split("\n").at(-1) ?? "";
  if (last === "") throw new Error(`no report; the demo said: ${demo.stderr}`);
  return { code, report: Value.Parse(Type.Record(Type.String(), Type.Unknown()), JSON.parse(last)) };
}

test(
  "with real processes everything promised holds through a cut and two kills",
  { timeout: SMOKE_TIMEOUT_MS },
  async () => {
    const { code, report } = await smoke();
    expect(report["failures"]).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      regions: 3,
      natsServers: 3,
      converged: true,
      lostAcknowledged: 0,
      falseOffline: 0,
      refusedHeartbeats: 0,
    });
    expect(Object.keys(report["visibleMs"] ?? {}).toSorted()).toEqual(DIRECTIONS);
    for (const measured of ["cutHealedMs", "natsServerBackMs", "nodeBackMs", "judgedReads", "usersCompared"])
      expect(report[measured]).toBeGreaterThan(0);
    expect(code).toBe(0);
  },
);

test("embedded everything promised holds through a cut", { timeout: SMOKE_TIMEOUT_MS }, async () => {
  const { code, report } = await smoke("--embedded", "--traffic", "20");
  expect(report["failures"]).toEqual([]);
  expect(report).toMatchObject({
    ok: true,
    natsServers: 0,
    converged: true,
    lostAcknowledged: 0,
    falseOffline: 0,
  });
  expect(report).not.toHaveProperty("natsServerBackMs");
  expect(code).toBe(0);
});
