/**
 * Row 4: one direction of a link is cut, again and again, each direction in turn. Rule: a link that carries nothing any more is not
 * `live` on either side, 1 s after the watermark that should have come at the latest.
 */
import { performance } from "node:perf_hooks";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { startClients } from "../clients.ts";
import { pause, untilLink } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const CUTS = { quick: 4, full: 20 };
const RTT_MS = 80;
/** A watermark each 250 ms, and its way. */
const WATERMARK_BOUND_MS = LIMITS.watermarkMs + RTT_MS / 2;
const NOTICED_MS_MAX = WATERMARK_BOUND_MS + 1_000;
/** On at the cut for longer than it takes to be noticed, so that it is also acted upon. */
const CUT_MS = 2_000;
const PATIENCE_MS = 30_000;

export const row: Row = { row: 4, fault: "one-way cut", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: RTT_MS });
  const clients = startClients(stage, { perSecond: 5 });
  const atOrigin: number[] = [];
  const atReplica: number[] = [];
  let healedMs = performance.now();
  for (let i = 0; i < CUTS[quick ? "quick" : "full"]; i++) {
    const [origin, replica] = i % 2 === 0 ? (["cn", "us"] as const) : (["us", "cn"] as const);
    await stage.linksLive();
    await pause(Math.random() * LIMITS.watermarkMs, stage.signal);
    const sinceMs = performance.now();
    stage.wan(origin, replica).cutOneWay();
    const noticed = [stage.region(origin), stage.region(replica)].map((at) =>
      untilLink(at, [origin, replica], (state) => state !== "live", { sinceMs, timeoutMs: PATIENCE_MS }),
    );
    const [there = Number.NaN, here = Number.NaN] = await Promise.all(noticed);
    atOrigin.push(there);
    atReplica.push(here);
    await pause(CUT_MS - (performance.now() - sinceMs), stage.signal);
    healedMs = performance.now();
    stage.wan(origin, replica).heal();
  }
  await stage.linksLive();
  await clients.quiet();
  say(
    `noticed after ms at the origin ${atOrigin.map(Math.round).join(", ")}; at the replica ${atReplica.map(Math.round).join(", ")}`,
  );
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    exactly("one-way cuts", atOrigin.length, CUTS[quick ? "quick" : "full"]),
    atMost("not live at the replica after ms, slowest", Math.round(Math.max(...atReplica)), NOTICED_MS_MAX),
    atMost("not live at the origin after ms, slowest", Math.round(Math.max(...atOrigin)), NOTICED_MS_MAX),
    ...figuresOf(verdict),
  ];
}
