/**
 * Row 2: nats-server SIGSTOP for 30 s (10 s quick). The server stands still with its connections open. Rule: the node says within 5 s
 * that it is not ready and refuses writes instead of hanging on them; nobody whose heartbeats are accepted is shown offline.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { startClients } from "../clients.ts";
import { untilReadyz } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const STOP_MS = { quick: 10_000, full: 30_000 };
const NOT_READY_MS_MAX = 5_000;
const RECOVERED_MS_MAX = 30_000;
const PATIENCE_MS = 60_000;

export const row: Row = { row: 2, fault: "nats-server SIGSTOP 30 s", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 6_000, heartbeatMs: 1_000, rttMs: 40 });
  const cn = stage.region("cn");
  const clients = startClients(stage);
  await clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);
  await sleep(1_000, undefined, { signal: stage.signal });

  const stoppedMs = performance.now();
  cn.nats.pause();
  const notReadyMs = await untilReadyz(cn, 503, { sinceMs: stoppedMs, timeoutMs: PATIENCE_MS });
  const before = clients.counts();
  await sleep(STOP_MS[quick ? "quick" : "full"] - (performance.now() - stoppedMs), undefined, {
    signal: stage.signal,
  });
  const after = clients.counts();

  const healedMs = performance.now();
  cn.nats.resume();
  const recoveredMs = (await clients.untilAcknowledged("cn", healedMs, PATIENCE_MS)) - healedMs;
  await untilReadyz(cn, 200, { sinceMs: healedMs, timeoutMs: PATIENCE_MS });
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  const { reasons } = clients.counts();
  for (const line of [...reasons.keys(), ...verdict.examples]) say(line);
  return [
    atMost("/readyz 503 after ms", Math.round(notReadyMs), NOT_READY_MS_MAX),
    atLeast("writes refused while stopped", (after.failed["cn"] ?? 0) - (before.failed["cn"] ?? 0), 1),
    exactly("requests without an answer", unanswered(reasons), 0),
    atMost("acknowledged again after ms", Math.round(recoveredMs), RECOVERED_MS_MAX),
    ...figuresOf(verdict),
  ];
}

function unanswered(reasons: ReadonlyMap<string, number>): number {
  return [...reasons].reduce(
    (sum, [reason, count]) => sum + (reason.includes("no answer in time") ? count : 0),
    0,
  );
}
