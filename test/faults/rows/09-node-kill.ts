/**
 * Row 9: a node is killed (SIGKILL) while its clients' heartbeats continue, and started again; some clients vanish meanwhile. Rule: the
 * node resumes from the logs, nobody whose heartbeats are accepted is shown offline, and whoever vanished is gone everywhere after one
 * fresh TTL and twice the propagation bound. Beside it, what an operator switched off in a region of two nodes stays off when both are
 * killed.
 */
import { performance } from "node:perf_hooks";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { switchOff } from "./support/switch-off.ts";

const KILLS = { quick: 2, full: 15 };
const TTL_MS = 6_000;
const DOWN_MS = 1_500;
const UP_MS = 1_000;
const VANISHING = 5;
/** A region that is in touch is at most this far behind: beyond, it is stale and says so. */
const PROPAGATION_BOUND_MS = LIMITS.staleAfterMs;
const GHOST_MS_MAX = TTL_MS + 2 * PROPAGATION_BOUND_MS;

export const row: Row = { row: 9, fault: "node kill -9 while heartbeats continue", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const switches = switchOff(await begin({ regions: ["cn"], nodes: 2 }));
  const stage = await begin({ ttlMs: TTL_MS, heartbeatMs: 1_000, rttMs: 80 });
  const clients = startClients(stage);
  const kills = KILLS[quick ? "quick" : "full"];
  const readyMs: number[] = [];
  for (let i = 0; i < kills; i++) {
    const region = stage.regions[i % stage.regions.length];
    const [node] = region?.nodes ?? [];
    if (region === undefined || node === undefined) throw new Error("no node to kill");
    await pause(UP_MS, stage.signal);
    await node.kill9();
    clients.vanish(region.name, VANISHING);
    await pause(DOWN_MS, stage.signal);
    const startedMs = performance.now();
    await node.restart();
    readyMs.push(performance.now() - startedMs);
  }
  const healedMs = performance.now();
  await clients.quiet();
  say(`ready again after ${readyMs.map(Math.round).join(", ")} ms`);
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    exactly("kills", readyMs.length, kills),
    atLeast("reads judged", clients.readers.judged, 100),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    atMost("no ghosts after ms", verdict.ghostFreeMs, GHOST_MS_MAX),
    ...(await switches),
    ...figuresOf(verdict),
  ];
}
