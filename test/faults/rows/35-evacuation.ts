/**
 * Row 35: a region with 100,000 users online (5,000 quick) is evacuated, with 200 ms between any two regions, while all heartbeats go on and
 * some users are written about all the time, from the region and from its heir. Rule: nobody is shown offline anywhere, and no write
 * of a user waits longer than two round trips and a second.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../../infra/demo/wait.ts";
import { startClients, type Clients } from "../clients.ts";
import { figuresOf, judge } from "../judge.ts";
import type { Entry } from "../ledger.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { inParallel, percentile } from "./support/caller.ts";
import { decide, evacuationOf, untilState } from "./support/moves.ts";

const USERS = { quick: 5_000, full: 100_000 };
const RTT_MS = 200;
const PAUSE_MS_MAX = 2 * RTT_MS + 1_000;
/** A region's reader is round all of them within two minutes. */
const READ_MS = 500;
const WIDTH = 32;
/** Each connected to the region and to its heir. */
const WRITTEN = 50;
/** Longest between two writes of a user: a home waits for a moment in which all regions know the user's record. */
const BETWEEN_MS = 2_000;
const PATIENCE_MS = 600_000;
const SETTLE_MS_MAX = 120_000;
const FROM = "cn";
const HEIR = "us";

export const row: Row = {
  row: 35,
  fault: "planned evacuation of a region with 100,000 users online",
  quick: false,
  run,
};

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const count = USERS[quick ? "quick" : "full"];
  const stage = await begin({ ttlMs: 75_000, heartbeatMs: 10_000, rttMs: RTT_MS });
  const clients = startClients(stage, { perSecond: 0, heartbeatMs: 10_000, readMs: READ_MS });
  const written = await logIn(clients, count);
  say(`${count} users have logged in`);
  await untilAllJudged(clients);
  say("every region shows them");

  const before = clients.readers.judged;
  const writing = new AbortController();
  const writers = written.map((entries) => write(clients, entries, writing.signal));
  const startedMs = performance.now();
  await decide(stage, FROM, "evacuate", { to: HEIR, reason: "row 35" });
  await untilState(stage, FROM, "evacuated", PATIENCE_MS);
  const tookMs = performance.now() - startedMs;
  const judged = clients.readers.judged - before;
  writing.abort();
  const pauses = (await Promise.all(writers)).flat();
  const [left, away] = await Promise.all([evacuationOf(stage, FROM), evacuationOf(stage, HEIR)]);
  const verdict = await judge(clients, { patienceMs: SETTLE_MS_MAX });
  const longest = Math.round(Math.max(...pauses));
  say(`evacuated in ${Math.round(tookMs)} ms, ${Math.round((1_000 * count) / tookMs)} users/s`);
  const [p50, p99] = [0.5, 0.99].map((share) => Math.round(percentile(pauses, share)));
  say(`writes meanwhile: ${pauses.length}, p50 ${p50} ms, p99 ${p99} ms, longest ${longest} ms`);
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  return [
    exactly("users homed there at the end", left?.homes ?? Number.NaN, 0),
    atLeast("users with the heir", away?.homes ?? 0, count),
    atMost("evacuated after ms", Math.round(tookMs), PATIENCE_MS),
    atLeast("writes of users who were moved", pauses.length, WRITTEN),
    atMost("longest write pause of a user, ms", longest, PAUSE_MS_MAX),
    atLeast("reads judged meanwhile", judged, Math.min(count, 10_000)),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    exactly("false offline while out of touch", clients.readers.staleOffline, 0),
    ...figuresOf(verdict),
  ];
}

/** All of them at the region, and some at its heir, too: those are given back, with both sessions. */
async function logIn(clients: Clients, count: number): Promise<Entry[][]> {
  const entries: Entry[] = [];
  await inParallel(count, WIDTH, async () => {
    const entry = await clients.login(FROM);
    if (entry === undefined)
      throw new Error(`a login failed: ${[...clients.counts().reasons.keys()].join()}`);
    entries.push(entry);
  });
  const every = Math.floor(count / WRITTEN);
  const chosen = entries.filter((_, i) => i % every === 0);
  return Promise.all(
    chosen.map(async (entry) => {
      const other = await clients.login(HEIR, FROM, { user: entry.user, device: "tablet" });
      if (other === undefined) throw new Error("a login at the heir failed");
      return [entry, other];
    }),
  );
}

/** Resolves when every region's reader has judged as many as there are. */
async function untilAllJudged({ stage, ledger, readers }: Clients): Promise<void> {
  const sessions = ledger.open().length;
  const from = readers.judged;
  const waiting = { what: "all to be shown", timeoutMs: PATIENCE_MS, everyMs: 250, signal: stage.signal };
  await waitFor(waiting, () => {
    const judged = readers.judged - from;
    return judged >= stage.regions.length * sessions
      ? { done: true, value: undefined }
      : { done: false, seen: `${judged} of ${sessions} in each region were judged` };
  });
}

/** Changes the sessions in turns; milliseconds from each first try to its acknowledgement. */
async function write(clients: Clients, entries: readonly Entry[], over: AbortSignal): Promise<number[]> {
  const pauses: number[] = [];
  for (let i = 0; !over.aborted; i++) {
    const entry = entries[i % entries.length];
    if (entry === undefined) throw new Error("nobody to write about");
    const sinceMs = performance.now();
    while (!(await clients.change(entry))) clients.stage.signal.throwIfAborted();
    pauses.push(performance.now() - sinceMs);
    await sleep(BETWEEN_MS * Math.random());
  }
  return pauses;
}
