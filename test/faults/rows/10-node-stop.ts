/**
 * Row 10: a node SIGSTOP for 60 s (8 s quick), longer than the TTL. Users connected to it and homed elsewhere are logged out by
 * force at their home just before it wakes, and their clients' writes lie at its door. Rule: on waking the node looks again before it accepts a write: none for a session that is over, and nobody
 * who could not be heard meanwhile is declared offline.
 */
import { performance } from "node:perf_hooks";
import { RegionApi } from "../../../infra/demo/api.ts";
import type { Answer } from "../../../infra/demo/http.ts";
import { waitFor } from "../../../infra/demo/wait.ts";
import { startClients, type Clients } from "../clients.ts";
import { pause, untilReadyz } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import type { Entry } from "../ledger.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const STOP_MS = { quick: 8_000, full: 60_000 };
const TTL_MS = 6_000;
const TRAVELLERS = 20;
/** What happens in us meanwhile: more than one window of the node's reader, so that it has to ask for the rest. */
const BACKLOG_BYTES = 500_000;
const BACKLOG_CLIENTS = 32;
const STATE = { note: "x".repeat(240) };
const PATIENCE_MS = 60_000;
/** Between the stale writes, which then lie at the node's door, and its waking. */
const KNOCK_BEFORE_MS = 300;

export const row: Row = { row: 10, fault: "node SIGSTOP 60 s", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: TTL_MS, heartbeatMs: 1_000, rttMs: 80 });
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  const clients = startClients(stage, { perSecond: 10 });
  const knocking = new RegionApi(cn.url, stage.client(PATIENCE_MS));
  const travellers = await logInTravellers(clients);
  await connections(knocking);

  node.pause();
  await pause(STOP_MS[quick ? "quick" : "full"], stage.signal);
  await backlog(clients);
  await forceOut(clients, travellers);
  const writes = travellers.map((entry) => change(knocking, entry));
  await pause(KNOCK_BEFORE_MS, stage.signal);
  node.resume();
  const healedMs = performance.now();
  const answers = await Promise.all(writes);
  await untilReadyz(cn, 200, { sinceMs: healedMs, timeoutMs: PATIENCE_MS });
  await clients.untilAcknowledged("cn", healedMs, PATIENCE_MS);
  await clients.quiet();
  say(`stale writes were answered ${[...new Set(answers.map(describe))].join(", ")}`);
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    atLeast("stale writes sent", answers.length, TRAVELLERS),
    exactly("stale writes accepted", answers.filter((answer) => answer.ok && answer.status < 300).length, 0),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    ...figuresOf(verdict),
  ];
}

/** Connected to cn, homed in us, which shows them all. */
async function logInTravellers(clients: Clients): Promise<Entry[]> {
  const logins = await Promise.all(Array.from({ length: TRAVELLERS }, () => clients.login("cn", "us")));
  const entries = logins.filter((entry) => entry !== undefined);
  for (const { user } of entries) await untilStatus(clients.api("us"), user, (status) => status === "online");
  return entries;
}

/** Opens one for each stale write: what comes on a new one would be heard later. */
async function connections(knocking: RegionApi): Promise<void> {
  await Promise.all(Array.from({ length: TRAVELLERS }, () => knocking.send("GET", "/livez")));
}

/** Somebody in us changes a session again and again. */
async function backlog(clients: Clients): Promise<void> {
  const entry = await clients.login("us");
  if (entry === undefined) throw new Error("nobody can log in at us");
  entry.busy = true;
  let left = Math.ceil(BACKLOG_BYTES / JSON.stringify(STATE).length);
  const client = async (): Promise<void> => {
    while ((left -= 1) >= 0)
      await clients.api("us").send("PATCH", `/v1/sessions/${entry.session}`, { state: STATE });
  };
  await Promise.all(Array.from({ length: BACKLOG_CLIENTS }, client));
  entry.busy = false;
}

/** At their home, and until another region has heard of it: then cn's nats-server has it, too. */
async function forceOut(clients: Clients, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    clients.ledger.leaving(entry);
    const forced = await clients.api("us").send("DELETE", `/v1/users/${entry.user}/sessions`);
    if (!forced.ok || forced.status !== 200) throw new Error(`us does not log ${entry.user} out`);
  }
  for (const { user } of entries)
    await untilStatus(clients.api("eu"), user, (status) => status === "offline");
}

async function untilStatus(api: RegionApi, user: string, suits: (status: string) => boolean): Promise<void> {
  await waitFor({ what: `the status of ${user}`, timeoutMs: PATIENCE_MS, everyMs: 20 }, async () => {
    const answer = await api.presence(user);
    const seen = answer.ok ? answer.value.status : answer.reason;
    return suits(seen) ? { done: true, value: undefined } : { done: false, seen };
  });
}

function change(api: RegionApi, { session }: Entry): Promise<Answer> {
  return api.send("PATCH", `/v1/sessions/${session}`, { status: "busy" });
}

function describe(answer: Answer): string {
  return answer.ok ? `${answer.status}` : answer.reason;
}
