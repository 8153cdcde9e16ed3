/**
 * Row 15: us is cut off while the logs of the others are truncated beyond what it has copied: cn's because an operator wrote us off,
 * and, in the full form, all of them because they grew older than they may. Rule: what is missing is found and said of each link, and us
 * comes to the same state by a snapshot within 60 s.
 */
import { performance } from "node:perf_hooks";
import { waitFor } from "../../../infra/demo/wait.ts";
import { startClients } from "../clients.ts";
import { pause, watchLinks } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { extentOf, readCopy } from "../logs.ts";
import { soundness } from "../operator.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { StageRegion } from "../stage-region.ts";
import type { Stage } from "../stage.ts";

const BEFORE_MS = 2_000;
const CONVERGED_MS_MAX = 60_000;
const PATIENCE_MS = 120_000;
const LOOK_EVERY_MS = 200;
/** Snapshots as often as may be; logs of the full form 15 s at most. */
const KEEP = { ROLLCALL_SNAPSHOT_SECONDS: "5" };
const AGE = { ROLLCALL_LOG_SECONDS_MAX: "15" };

export const row: Row = { row: 15, fault: "retention overrun", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({
    ttlMs: 60_000,
    heartbeatMs: 1_000,
    rttMs: 40,
    env: { node: { ...KEEP, ...(!quick && AGE) } },
  });
  const [cn, eu, us] = [stage.region("cn"), stage.region("eu"), stage.region("us")];
  const clients = startClients(stage, { perSecond: 40 });
  await pause(BEFORE_MS, stage.signal);

  const overrun = quick ? [cn] : [cn, eu];
  for (const peer of [cn, eu]) stage.wan("us", peer.name).cut();
  if (quick) await writeOff(cn, "us", true);
  await untilTruncated(stage, overrun, us);
  const gaps = await gapsOf([cn, eu], us);
  const states = watchLinks(us);
  const healedMs = performance.now();
  for (const peer of [cn, eu]) stage.wan("us", peer.name).heal();
  await clients.quiet();
  const verdict = await judge(clients, { healedMs, patienceMs: PATIENCE_MS });
  await stage.linksLive();
  const told = await states();
  for (const example of verdict.examples) say(example);
  const found = gaps.filter(({ origin, missing }) => {
    const of = told.get(origin) ?? new Map<string, string>();
    say(`${origin}→us lacked ${missing} frames; it was ${[...of].map((one) => one.join(": ")).join("; ")}`);
    return of.has("overrun") || of.has("snapshotting");
  });
  if (quick) await writeOff(cn, "us", false);
  return [
    atLeast("logs truncated beyond what us has", gaps.length, overrun.length),
    exactly("gaps found, percent", Math.round((100 * found.length) / Math.max(1, gaps.length)), 100),
    atMost("converged after ms", verdict.convergedMs, CONVERGED_MS_MAX),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    ...(await soundness(stage)),
    ...figuresOf(verdict),
  ];
}

async function writeOff({ api, name }: StageRegion, peer: string, writtenOff: boolean): Promise<void> {
  const body = { writtenOff, reason: "row 15" };
  const answer = await api.send("PUT", `/v1/regions/${peer}/write-off`, body);
  if (!answer.ok || answer.status !== 200) throw new Error(`${name} does not take the decision on ${peer}`);
}

async function untilTruncated(stage: Stage, origins: readonly StageRegion[], us: StageRegion): Promise<void> {
  const what = "the logs to be truncated beyond what us has";
  const waiting = { what, timeoutMs: PATIENCE_MS, everyMs: LOOK_EVERY_MS, signal: stage.signal };
  await waitFor(waiting, async () => {
    const gaps = await gapsOf(origins, us);
    const seen = `${gaps.length} of ${origins.length}`;
    return gaps.length === origins.length ? { done: true, value: undefined } : { done: false, seen };
  });
}

/** Origins that do not hold any more what comes after the replica's copy of their logs. */
async function gapsOf(
  origins: readonly StageRegion[],
  replica: StageRegion,
): Promise<{ origin: string; missing: number }[]> {
  const gaps = await Promise.all(
    origins.map(async ({ name, nats }) => {
      const { first } = await extentOf(nats.url, name);
      const copied = (await readCopy(replica.nats.url, name)).at(-1)?.position ?? 0;
      return { origin: name, missing: first - copied - 1 };
    }),
  );
  return gaps.filter(({ missing }) => missing > 0);
}
