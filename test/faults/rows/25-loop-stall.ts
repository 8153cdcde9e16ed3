/**
 * Row 25: the event loop of a node stalls for 2 s, again and again, while heartbeats come (SIGSTOP and SIGCONT: to timers and sockets it
 * is the same as code that does not return). Rule: the leases are shorter than a heartbeat interval and a stall together, so whoever
 * let time run on while nobody could be heard would show sessions offline; nobody is.
 */
import { performance } from "node:perf_hooks";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { Caller } from "./support/caller.ts";
import { metric } from "./support/metrics.ts";

const STALL_MS = 2_000;
const STALLS = { quick: 6, full: 40 };
/** Just less than the clients' interval: from one heartbeat that is heard to the next there is nearly always a stall. */
const BETWEEN_MS = 2_600;
const CLIENTS_HEARTBEAT_MS = 2_700;
const HEARTBEAT_MS = 1_000;
/** More than the interval; with the second of the timing wheel less than the interval and the stall. */
const TTL_MS = 3_500;

export const row: Row = { row: 25, fault: "event loop stalled 2 s", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: TTL_MS, heartbeatMs: HEARTBEAT_MS, rttMs: 40 });
  const [node] = stage.region("cn").nodes;
  if (node === undefined) throw new Error("cn has no node");
  const clients = startClients(stage, { heartbeatMs: CLIENTS_HEARTBEAT_MS });
  await clients.untilAcknowledged("cn", performance.now(), 60_000);
  await pause(3_000, stage.signal);
  const stalls = STALLS[quick ? "quick" : "full"];
  for (let i = 0; i < stalls; i++) {
    node.pause();
    await pause(STALL_MS, stage.signal);
    node.resume();
    await pause(BETWEEN_MS, stage.signal);
  }
  const healedMs = performance.now();
  await clients.quiet();
  const caller = new Caller(node.url);
  const { text } = await caller.send({ method: "GET", path: "/metrics" });
  caller.close();
  const verdict = await judge(clients, { healedMs });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  return [
    atLeast("stalls the node saw", metric(text, "rollcall_stalls_total"), stalls),
    exactly("sessions expired because the node stalled", clients.counts().refusedHeartbeats, 0),
    ...figuresOf(verdict),
  ];
}
