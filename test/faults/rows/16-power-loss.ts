/**
 * Row 16: power loss: cn's nats-server comes back with an older copy of its store. First with its peers in reach; then with all links of cn
 * cut, so that nobody can put the lost end back, and clients that write meanwhile; last with the node gone as well, so that nobody is left
 * who knows of the lost end. Rule: with peers in reach the end is put back; cut off, a node that knows more than the log goes on with that,
 * and one that knows nothing appends nothing before a peer was heard. No live session is lost, nor anything that was acknowledged with
 * ack=peer. The log goes on as a new one each time: the node was still when the server stopped, so nobody vouches for the end.
 */
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { waitFor } from "../../../infra/demo/wait.ts";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge, type Verdict } from "../judge.ts";
import type { Entry } from "../ledger.ts";
import { eventsOf, logIds, soundness } from "../operator.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { NodeProcess } from "../stage-process.ts";
import { ask, lostRequests } from "./support/friend-requests.ts";
import { restoreStore, saveStore } from "../store.ts";
import type { Stage } from "../stage.ts";

/** Between the copy of the store and the loss. */
const LOST_MS = { quick: 2_000, full: 5_000 };
/** From when the node is still until the peers have all of its log, and it vouches for nothing any more: a few round trips, and more. */
const COPIED_MS = 1_000;
/** How long a node that knows nothing is left alone with the older state. */
const ALONE_MS = 5_000;
/** Logins, and as many friend requests. */
const CONFIRMED = 10;
const MENDED_MS_MAX = 60_000;
const PATIENCE_MS = 60_000;
const PEERS = ["eu", "us"];

type Case = "peers in reach" | "cut off" | "nobody left";
const CASES: { quick: readonly Case[]; full: readonly Case[] } = {
  quick: ["peers in reach", "cut off"],
  full: ["peers in reach", "cut off", "nobody left"],
};

export const row: Row = {
  row: 16,
  fault: "power loss: an older copy of the store restored",
  quick: true,
  run,
};

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const size = quick ? "quick" : "full";
  const losses = CASES[size].map(async (name) => {
    const stage = await begin({ ttlMs: 30_000, heartbeatMs: 1_000, rttMs: 40 });
    return lose({ stage, name, lostMs: LOST_MS[size], say: (line) => say(`${name}: ${line}`) });
  });
  const outcomes = await Promise.all(losses);
  return [
    ...outcomes.flatMap(({ figures }) => figures),
    ...figuresOf(...outcomes.map(({ verdict }) => verdict)),
  ];
}

interface Loss {
  readonly stage: Stage;
  readonly name: Case;
  readonly lostMs: number;
  readonly say: (line: string) => void;
}

interface Outcome {
  readonly figures: readonly Figure[];
  readonly verdict: Verdict;
}

async function lose({ stage, name, lostMs, say }: Loss): Promise<Outcome> {
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  const clients = startClients(stage, { perSecond: 10 });
  const copy = join(stage.folder, "cn-store-before");
  await pause(lostMs, stage.signal);
  await cn.nats.kill9();
  saveStore(cn.nats, copy);
  await cn.nats.restart();
  await clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);

  const [logins, asked] = await Promise.all([
    Promise.all(Array.from({ length: CONFIRMED }, () => clients.loginWithPeer("cn"))),
    Promise.all(Array.from({ length: CONFIRMED }, () => ask(cn.api))),
  ]);
  const requests = asked.filter((request) => request !== undefined);
  const confirmed = logins.flatMap((login) => (login?.copied === true ? [login.entry] : []));
  await pause(lostMs, stage.signal);
  const before = (await logIds(cn.api)).get("cn");
  const release = await clients.hold();
  const restoredMs = await losePower(stage, { node, name, copy });
  release();
  const early = name === "nobody left" ? await clients.loginWithPeer("cn") : undefined;
  const written = (): Promise<number> => clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);
  const cutOffWrittenMs = name === "nobody left" ? undefined : (await written()) - restoredMs;
  const healedMs = performance.now();
  for (const peer of PEERS) stage.wan("cn", peer).heal();
  const writtenMs = cutOffWrittenMs ?? (await written()) - healedMs;
  await untilAgreed(stage);
  const mendedMs = performance.now() - (name === "peers in reach" ? restoredMs : healedMs);
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  const after = (await logIds(cn.api)).get("cn");
  const apis = stage.regions.map(({ api }) => api);
  const events = [node, ...cn.replicators].flatMap(eventsOf).map(({ event }) => event);
  const figures = [
    exactly("identities of the log", new Set([before, after]).size, 2),
    ...(name === "peers in reach" ? [atLeast("ends put back", count(events, "tail-put-back"), 1)] : []),
    atLeast("logs renewed", count(events, "log-renewed"), 1),
    exactly("acknowledged while nobody could tell", early === undefined ? 0 : 1, 0),
    atMost("writes acknowledged again after ms", Math.round(writtenMs), MENDED_MS_MAX),
    atMost("mended after ms", Math.round(mendedMs), MENDED_MS_MAX),
    atLeast("logins with ack=peer", confirmed.length, CONFIRMED),
    exactly("of these lost", await lostOf(stage, confirmed), 0),
    atLeast("friend requests with ack=peer", requests.length, CONFIRMED),
    exactly("friend requests lost", await lostRequests(apis, requests), 0),
    exactly("live sessions refused", clients.counts().refusedHeartbeats, 0),
    ...(await soundness(stage)),
  ];
  return { figures: figures.map((figure) => ({ ...figure, name: `${name}: ${figure.name}` })), verdict };
}

/** The server comes back on the older store; resolves with that moment. What it loses, the peers have all of. */
async function losePower(
  stage: Stage,
  { node, name, copy }: { readonly node: NodeProcess; readonly name: Case; readonly copy: string },
): Promise<number> {
  const { nats } = stage.region("cn");
  node.pause();
  await pause(COPIED_MS, stage.signal);
  if (name !== "peers in reach") for (const peer of PEERS) stage.wan("cn", peer).cut();
  if (name === "nobody left") await node.kill9();
  await nats.kill9();
  node.resume();
  restoreStore(nats, copy);
  const restoredMs = performance.now();
  await nats.restart();
  if (name === "nobody left") {
    await node.start();
    await pause(ALONE_MS, stage.signal);
  }
  return restoredMs;
}

/** Resolves when all regions have folded the same log of cn, and every link is live. */
async function untilAgreed(stage: Stage): Promise<void> {
  const what = "all regions to have one log of cn";
  const waiting = { what, timeoutMs: PATIENCE_MS, everyMs: 50, signal: stage.signal };
  await waitFor(waiting, async () => {
    const ids = await Promise.all(stage.regions.map(async ({ api }) => (await logIds(api)).get("cn")));
    return new Set(ids).size === 1 ? { done: true, value: undefined } : { done: false, seen: ids.join(", ") };
  });
  await stage.linksLive(PATIENCE_MS);
}

/** Of these sessions, how many are not shown somewhere. */
async function lostOf(stage: Stage, entries: readonly Entry[]): Promise<number> {
  const lost = await Promise.all(
    stage.regions.map(async ({ api }) => {
      const answer = await api.presences(entries.map(({ user }) => user));
      if (!answer.ok) return entries.map(({ session }) => session);
      const shown = new Set(answer.value.flatMap(({ sessions }) => sessions.map(({ session }) => session)));
      return entries.map(({ session }) => session).filter((session) => !shown.has(session));
    }),
  );
  return new Set(lost.flat()).size;
}

function count(events: readonly string[], name: string): number {
  return events.filter((event) => event === name).length;
}
