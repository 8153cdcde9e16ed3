/**
 * Row 13: the disk under cn's JetStream is full: a tmpfs of its own, filled to the last byte under load. Rule: the node notices and
 * says that it is not ready; once there is space and nats-server has been started again, nothing acknowledged is lost.
 */
import { performance } from "node:perf_hooks";
import { startClients } from "../clients.ts";
import { pause, untilReadyz } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { SmallDisk } from "../small-disk.ts";
import { atLeast, atMost, type Figure, type Row, type RowContext } from "../row.ts";

const DISK_MB = 64;
const FULL_MS = { quick: 4_000, full: 30_000 };
const BEFORE_MS = 1_500;
const PATIENCE_MS = 60_000;
const NOTICED_MS_MAX = 5_000;

export const row: Row = { row: 13, fault: "disk full under JetStream", quick: false, run };

async function run(context: RowContext): Promise<readonly Figure[]> {
  const disk = await SmallDisk.make(DISK_MB);
  try {
    return await runOn(disk, context);
  } finally {
    await disk.end();
  }
}

async function runOn(disk: SmallDisk, { quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const onDisk = (region: string): SmallDisk | undefined => (region === "cn" ? disk : undefined);
  const stage = await begin({ ttlMs: 6_000, heartbeatMs: 1_000, rttMs: 40, disk: onDisk });
  const cn = stage.region("cn");
  const clients = startClients(stage);
  await clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);
  await pause(BEFORE_MS, stage.signal);

  const fullMs = performance.now();
  disk.fill();
  const before = clients.counts();
  const noticedMs = await untilReadyz(cn, 503, { sinceMs: fullMs, timeoutMs: PATIENCE_MS });
  await pause(FULL_MS[quick ? "quick" : "full"], stage.signal);
  const refused = (clients.counts().failed["cn"] ?? 0) - (before.failed["cn"] ?? 0);

  disk.free();
  const healedMs = performance.now();
  await cn.nats.restart();
  await clients.untilAcknowledged("cn", healedMs, PATIENCE_MS);
  await untilReadyz(cn, 200, { sinceMs: healedMs, timeoutMs: PATIENCE_MS });
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  return [
    atMost("/readyz 503 after ms", Math.round(noticedMs), NOTICED_MS_MAX),
    atLeast("writes refused while full", refused, 1),
    ...figuresOf(verdict),
  ];
}
