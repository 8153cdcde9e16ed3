/**
 * Row 3: cn is cut off from both other regions for 10 min (30 s quick). Rule: every region goes on serving its own clients, every
 * write and heartbeat; a write that asks for a peer's word (`ack=peer`) is told that it has none; after healing all regions say the same
 * within 30 s, that write included, and nothing is lost.
 */
import { performance } from "node:perf_hooks";
import { startClients, type Clients } from "../clients.ts";
import { linkAt, pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import type { Entry } from "../ledger.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const CUT_MS = { quick: 30_000, full: 600_000 };
const CONVERGED_MS_MAX = 30_000;
const BEFORE_MS = 2_000;
const WAIT_MS = 5_000;

export const row: Row = { row: 3, fault: "WAN cut (10 min full, 30 s quick)", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: 80 });
  const clients = startClients(stage, { perSecond: 10 });
  await pause(BEFORE_MS, stage.signal);
  const before = clients.counts();

  const peers = ["eu", "us"];
  for (const peer of peers) stage.wan("cn", peer).cut();
  const [alone] = await Promise.all([
    clients.loginWithPeer("cn"),
    pause(CUT_MS[quick ? "quick" : "full"], stage.signal),
  ]);
  const crossed = await crossing(clients, peers);
  const during = clients.counts();
  const live = await Promise.all(peers.map((peer) => linkAt(stage.region(peer), "cn", peer)));

  const healedMs = performance.now();
  for (const peer of peers) stage.wan("cn", peer).heal();
  await clients.quiet();
  const satisfied = await Promise.all(peers.map((peer) => isSatisfied(clients, peer, alone?.entry)));
  const verdict = await judge(clients, { healedMs });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  const served = during.acknowledged - before.acknowledged;
  const failed = sum(during.failed) - sum(before.failed);
  return [
    exactly("cut links that claim to be live", live.filter((link) => link?.state === "live").length, 0),
    exactly("users seen across the cut", crossed, 0),
    atLeast("writes served during the cut", served, 100),
    exactly("local success, percent", served === 0 ? 0 : (100 * served) / (served + failed), 100),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    exactly("ack=peer while cut: refused as not copied", alone?.copied === false ? 1 : 0, 1),
    exactly("its token satisfied at peers after healing", satisfied.filter(Boolean).length, peers.length),
    atMost("converged after ms", verdict.convergedMs, CONVERGED_MS_MAX),
    ...figuresOf(verdict),
  ];
}

/** Logs in somebody at cn; how many of the peers show them, which none can. */
async function crossing(clients: Clients, peers: readonly string[]): Promise<number> {
  const entry = await clients.login("cn");
  if (entry === undefined) throw new Error("nobody can log in at cn while it is cut off");
  const seen = await Promise.all(peers.map((peer) => clients.api(peer).presence(entry.user)));
  return seen.filter((answer) => answer.ok && answer.value.status !== "offline").length;
}

/** Whether the region has what the entry's token speaks of, within one wait, and shows it. */
async function isSatisfied(clients: Clients, peer: string, entry: Entry | undefined): Promise<boolean> {
  if (entry === undefined) return false;
  const query = `consistency=token&waitMs=${WAIT_MS}&token=${encodeURIComponent(entry.token)}`;
  const answer = await clients.api(peer).send("GET", `/v1/users/${entry.user}/presence?${query}`);
  const text = answer.ok ? JSON.stringify(answer.body) : "";
  return text.includes('"satisfied":true') && text.includes(entry.session);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
