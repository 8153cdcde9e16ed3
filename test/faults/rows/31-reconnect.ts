/**
 * Row 31: 5,000 clients reconnect at once: their node is killed while all of them are online, each on a connection of its own, and all
 * come back the moment it listens. Rule: whoever is refused is told when to come back, each something else; all are back within 60 s,
 * the node lives, and nobody was shown offline meanwhile.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { Caller, inParallel, percentile } from "./support/caller.ts";
import { pidOf, watchRss } from "./support/process-facts.ts";

const CLIENTS = 5_000;
const BACK_MS_MAX = 60_000;
const RSS_MIB_MAX = 512;
/** A client whose connection is refused tries again within this time, as the SDK's does. */
const RETRY_MS_MAX = 500;
const OPENING_WIDTH = 200;
const ASK = 1_000;
/** Refusals from which on their times must differ. */
const MANY = 100;

export const row: Row = { row: 31, fault: "5,000 reconnect at once", quick: false, run };

async function run({ say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn"] });
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  const opening = new Caller(cn.url, { socketsMax: OPENING_WIDTH });
  await inParallel(CLIENTS, OPENING_WIDTH, async (i) => void (await opening.send(beatOf(i))));
  opening.close();
  const onlineBefore = await onlineOf(stage);

  const clients = new Caller(cn.url, { socketsMax: CLIENTS, timeoutMs: BACK_MS_MAX });
  await node.kill9();
  const told: number[] = [];
  const statuses = new Map<number, number>();
  const killedMs = performance.now();
  const coming = Array.from({ length: CLIENTS }, (_, i) => comeBack(clients, i, told, statuses));
  await node.start();
  const startedMs = performance.now();
  const pid = pidOf(node);
  const most = watchRss(node);
  await node.untilReady();
  const readyMs = performance.now();
  const backMs = (await Promise.all(coming)).map((ms) => ms - startedMs);
  clients.close();
  const onlineAfter = await onlineOf(stage);
  const slowestMs = Math.round(Math.max(...backMs));
  const tries = [...statuses].map(([status, count]) => `${count} × ${status}`).join(", ");
  say(
    `killed, listening again after ${Math.round(startedMs - killedMs)} ms, ready after ${Math.round(readyMs - startedMs)} ms; ` +
      `half were back after ${Math.round(percentile(backMs, 0.5))} ms; answers ${tries}; told to wait ${[...new Set(told)].toSorted((a, b) => a - b).join(", ")} s`,
  );
  return [
    exactly("clients online before", onlineBefore, CLIENTS),
    exactly("clients back", backMs.length, CLIENTS),
    atMost("the last was back after ms", slowestMs, BACK_MS_MAX),
    exactly("clients told to wait forever, or not told", told.filter((seconds) => !(seconds >= 0)).length, 0),
    ...(told.length < MANY ? [] : [atLeast("different times told to the refused", new Set(told).size, 5)]),
    exactly("clients online after", onlineAfter, CLIENTS),
    atMost("MiB of the node", most(), RSS_MIB_MAX),
    exactly("restarts of the node", node.pid === pid ? 0 : 1, 0),
  ];
}

function beatOf(i: number) {
  return { method: "PUT", path: `/v1/users/client-${i}/heartbeat` } as const;
}

/** Tries until it is back; then says when. */
async function comeBack(
  clients: Caller,
  i: number,
  told: number[],
  statuses: Map<number, number>,
): Promise<number> {
  for (;;) {
    const { status, retryAfterSeconds } = await clients.send(beatOf(i));
    if (status !== 0) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status === 204) return performance.now();
    if (status === 503) told.push(retryAfterSeconds ?? Number.NaN);
    await sleep(status === 503 ? (retryAfterSeconds ?? 1) * 1_000 : Math.random() * RETRY_MS_MAX);
  }
}

/** How many of the clients the node shows online. */
async function onlineOf(stage: Stage): Promise<number> {
  let online = 0;
  for (let from = 0; from < CLIENTS; from += ASK) {
    const users = Array.from({ length: ASK }, (_, i) => `client-${from + i}`);
    const answer = await stage.region("cn").api.presences(users);
    if (answer.ok) online += answer.value.filter(({ status }) => status === "online").length;
  }
  return online;
}
