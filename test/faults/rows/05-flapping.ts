/**
 * Row 5: a link flaps, 2 s up and 2 s down, 100 times (4 quick); each time it goes down its connections are lost, so that
 * they have to be made anew. Rule: replicators do not storm the link, at most one attempt to connect
 * per second and link, and all regions say the same within 30 s after the last healing.
 */
import { performance } from "node:perf_hooks";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const FLAPS = { quick: 4, full: 100 };
const PHASE_MS = 2_000;
const CONVERGED_MS_MAX = 30_000;
/** A replicator at each end pulls through it. */
const LINKS_PER_WAN = 2;

export const row: Row = { row: 5, fault: "flapping link, 2 s up/down x 100", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: 80 });
  const clients = startClients(stage, { perSecond: 10 });
  const wan = stage.wan("cn", "us");
  const flaps = FLAPS[quick ? "quick" : "full"];
  const startedMs = performance.now();
  const before = wan.link.status().attempts;
  for (let i = 0; i < flaps; i++) {
    await pause(PHASE_MS, stage.signal);
    wan.cut();
    wan.link.dropConnections();
    await pause(PHASE_MS, stage.signal);
    wan.heal();
  }
  const healedMs = performance.now();
  const attempts = wan.link.status().attempts - before;
  const perSecond = attempts / LINKS_PER_WAN / ((healedMs - startedMs) / 1_000);
  await clients.quiet();
  say(`${attempts} attempts to connect during ${flaps} flaps`);
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    exactly("flaps", flaps, FLAPS[quick ? "quick" : "full"]),
    atLeast("attempts to connect: connections were lost", attempts, flaps),
    atMost("attempts per second and link", Math.round(perSecond * 100) / 100, 1),
    atMost("converged after ms", verdict.convergedMs, CONVERGED_MS_MAX),
    ...figuresOf(verdict),
  ];
}
