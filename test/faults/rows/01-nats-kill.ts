/**
 * Row 1: nats-server kill -9 under load, 20 times. Each region's server in turn is killed while clients write, and started again on
 * its store; acknowledgements that were on their way are lost with it. Rule: a frame whose answer was lost is sent again with the same message id, so nothing acknowledged is lost and nothing
 * stands twice in a log.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { startClients } from "../clients.ts";
import { figuresOf, judge } from "../judge.ts";
import { atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const KILLS = 20;
const BACK_MS_MAX = 5_000;
/** Between a server's return and the next kill: the load goes on. */
const LOAD_MS = { quick: 200, full: 3_000 };
/** An acknowledgement is on its way for half of it, and is lost when the server is killed meanwhile. */
const LOCAL_RTT_MS = 20;
/** How long to wait for a return before the row is given up. */
const BACK_PATIENCE_MS = 60_000;

export const row: Row = { row: 1, fault: "nats-server kill -9 under load, 20 times", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 5_000, heartbeatMs: 1_000, rttMs: 40, localRttMs: LOCAL_RTT_MS });
  const clients = startClients(stage);
  const back: number[] = [];
  /** Of those milliseconds, how many the server itself took. */
  const serving: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    const region = stage.regions[i % stage.regions.length];
    if (region === undefined) break;
    await clients.untilAcknowledged(region.name, performance.now(), BACK_PATIENCE_MS);
    await sleep(Math.random() * LOAD_MS[quick ? "quick" : "full"], undefined, { signal: stage.signal });
    await region.nats.kill9();
    for (const local of region.locals) local.dropConnections();
    const startedMs = performance.now();
    await region.nats.start();
    const greeting = region.nats.untilReady().then(() => performance.now() - startedMs);
    back.push((await clients.untilAcknowledged(region.name, startedMs, BACK_PATIENCE_MS)) - startedMs);
    serving.push(await greeting);
  }
  const healedMs = performance.now();
  await clients.quiet();
  say(`an acknowledgement came ${back.map(Math.round).join(", ")} ms after each start`);
  say(`of which nats-server itself took ${serving.map(Math.round).join(", ")} ms`);
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    exactly("kills", back.length, KILLS),
    atMost("acknowledged again after ms, slowest", Math.round(Math.max(...back)), BACK_MS_MAX),
    ...figuresOf(verdict),
  ];
}
