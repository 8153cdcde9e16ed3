/**
 * The scripted scenario: what Rollcall promises, asked for over HTTP while links are cut and processes are killed.
 * Rule: every figure in the report was measured in this run; what was not reached is not printed; it cannot hang.
 */
import { Checker } from "./checker.ts";
import { HttpClient } from "./http.ts";
import type { DemoOptions } from "./options.ts";
import { SmokeFailure, SmokeRun, type SmokeReport } from "./smoke-run.ts";
import { cutAndHeal, killNatsServer, killNode, measureVisibility, settle, travel } from "./smoke-steps.ts";
import { Traffic } from "./traffic.ts";
import type { World } from "./world.ts";

const DEADLINE_MS = 180_000;
const HTTP = { timeoutMs: 10_000, socketsMax: 128 };
/** A verdict over fewer reads or heartbeats would say nothing. */
const JUDGED_MIN = 100;

export async function runSmoke(
  world: World,
  controlUrl: string,
  options: DemoOptions,
  ended: AbortSignal,
): Promise<SmokeReport> {
  const http = new HttpClient(HTTP);
  const run = new SmokeRun({
    world,
    controlUrl,
    http,
    checker: new Checker(world.apis),
    traffic: new Traffic(world.apis, options.traffic),
    signal: AbortSignal.any([ended, AbortSignal.timeout(DEADLINE_MS)]),
  });
  run.checker.start();
  try {
    await scenario(run, options);
  } catch (error) {
    // A step that could not go on, or the deadline: the report says so and has what was measured until then.
    run.fail(error instanceof SmokeFailure ? error.message : String(error));
  }
  await run.traffic.stop();
  await run.checker.stop();
  judge(run);
  http.close();
  return run.report();
}

async function scenario(run: SmokeRun, options: DemoOptions): Promise<void> {
  await run.countServers();
  run.traffic.start();
  await measureVisibility(run);
  await travel(run);
  await cutAndHeal(run);
  await settle(run, "after the cut");
  if (!options.embedded) {
    run.traffic.start();
    await killNatsServer(run, "us");
    await killNode(run, "eu");
    await settle(run, "after the kills");
  }
}

function judge(run: SmokeRun): void {
  const counts = run.checker.counts();
  run.set(counts);
  run.set({ traffic: run.traffic.counts() });
  if (counts.staleOffline > 0)
    run.say(
      `${counts.staleOffline} reads as offline by replicas not in touch: ${run.checker.staleExamples.join("; ")}`,
    );
  run.expect(counts.falseOffline === 0, `false offline: ${run.checker.examples.join("; ")}`);
  run.expect(
    counts.refusedHeartbeats === 0,
    `live sessions told to be over: ${run.checker.refusalExamples.join("; ")}`,
  );
  run.expect(counts.judgedReads >= JUDGED_MIN, `only ${counts.judgedReads} reads could be judged`);
  run.expect(
    counts.acceptedHeartbeats >= JUDGED_MIN,
    `only ${counts.acceptedHeartbeats} heartbeats were accepted`,
  );
}
