/**
 * Row 21: cn is cut off from both other regions while its clients go on writing; then it is killed whole, or goes on alone; an operator
 * evacuates it to another region, where users of cn go on; then it is started again, or healed. Rule: cn catches up before it serves writes,
 * and nothing that it said alone takes the place of what was decided since; all of that is listed, user by user; all regions say the same
 * within 60 s, and nothing is lost that was acknowledged with ack=peer.
 */
import { performance } from "node:perf_hooks";
import { startClients, type Clients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge, type Verdict } from "../judge.ts";
import { soundness } from "../operator.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { StageRegion } from "../stage-region.ts";
import type { Stage } from "../stage.ts";
import { LostRegion } from "./support/lost-region.ts";
import { Witnesses } from "./support/witnesses.ts";

const ALONE_MS = { quick: 2_000, full: 20_000 };
const GONE_ON_MS = { quick: 2_000, full: 60_000 };
/** cn hears the third region before its heir by so much: what it says there is of before the loss. */
const THIRD_FIRST_MS = 1_000;
const TTL_MS = 8_000;
const CONVERGED_MS_MAX = 60_000;
const PATIENCE_MS = 60_000;
const PEERS = ["eu", "us"];

type Case = "killed" | "cut off";
const CASES: readonly Case[] = ["killed", "cut off"];

export const row: Row = { row: 21, fault: "region lost, evacuated, and back", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const size = quick ? "quick" : "full";
  const outcomes = await Promise.all(
    CASES.map(async (name) => {
      const stage = await begin({ ttlMs: TTL_MS, heartbeatMs: 1_000, rttMs: 40 });
      const wait = { aloneMs: ALONE_MS[size], goneOnMs: GONE_ON_MS[size] };
      return lose({ stage, name, ...wait, say: (line) => say(`${name}: ${line}`) });
    }),
  );
  return [
    ...outcomes.flatMap(({ figures }) => figures),
    ...figuresOf(...outcomes.map(({ verdict }) => verdict)),
  ];
}

interface Loss {
  readonly stage: Stage;
  readonly name: Case;
  readonly aloneMs: number;
  readonly goneOnMs: number;
  readonly say: (line: string) => void;
}

interface Outcome {
  readonly figures: readonly Figure[];
  readonly verdict: Verdict;
}

async function lose({ stage, name, aloneMs, goneOnMs, say }: Loss): Promise<Outcome> {
  const cn = stage.region("cn");
  const clients = startClients(stage, { perSecond: 10 });
  const witnesses = new Witnesses(stage);
  stage.onStop(() => witnesses.stop());
  await witnesses.begin();

  for (const peer of PEERS) stage.wan("cn", peer).cut();
  const tail = await witnesses.sayAlone();
  await pause(aloneMs, stage.signal);
  if (name === "killed") await kill(cn, clients);
  const lost = new LostRegion(stage, "cn", PEERS);
  const lostMs = performance.now();
  const heir = await lost.evacuate();
  const succeededMs = performance.now() - lostMs;
  const held = await witnesses.confirmedAt(PEERS);
  await witnesses.decide(heir);
  await pause(goneOnMs, stage.signal);

  const release = name === "cut off" ? await clients.hold() : undefined;
  const backMs = performance.now();
  const writes = lost.watchWrites();
  for (const peer of PEERS) if (peer !== heir) stage.wan("cn", peer).heal();
  await pause(THIRD_FIRST_MS, stage.signal);
  stage.wan("cn", heir).heal();
  if (name === "killed") await start(cn);
  const writtenMs = (await writes) - backMs;
  release?.();
  const returned = await lost.returned();
  const listed = new Set(returned.users);
  const goneThroughMs = performance.now() - backMs;
  const overridden = await witnesses.overridden();
  await witnesses.stop();
  await clients.quiet();
  const verdict = await judge(clients, { healedMs: backMs, patienceMs: PATIENCE_MS });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples, ...overridden]) say(line);
  say(`heir ${heir}, tail of ${returned.frames} frames, counts ${returned.counts}`);
  const figures = [
    atMost("succeeded after ms", Math.round(succeededMs), CONVERGED_MS_MAX),
    atLeast("frames of the tail", returned.frames, 1),
    exactly("users of the tail that are not listed", tail.filter((user) => !listed.has(user)).length, 0),
    exactly("stale overrides", overridden.length, 0),
    exactly("writes accepted before it had caught up", lost.acceptedEarly, 0),
    atLeast("writes refused until then", lost.refused, 1),
    exactly("acknowledged with ack=peer: lost", held.lost + (await witnesses.requestsLost()), 0),
    atMost("writes accepted again after ms", Math.round(writtenMs), CONVERGED_MS_MAX),
    atMost("the tail gone through after ms", Math.round(goneThroughMs), CONVERGED_MS_MAX),
    atMost("converged after ms", verdict.convergedMs, CONVERGED_MS_MAX),
    ...(await soundness(stage)),
  ];
  return { figures: figures.map((figure) => ({ ...figure, name: `${name}: ${figure.name}` })), verdict };
}

/** All of the region at once, under traffic; its clients are gone with it. */
async function kill({ name, nats, nodes, replicators }: StageRegion, clients: Clients): Promise<void> {
  await Promise.all([...nodes, ...replicators, nats].map((process) => process.kill9()));
  const release = await clients.hold();
  clients.vanish(name, Number.POSITIVE_INFINITY);
  release();
}

/** Its nodes are ready later. */
async function start({ nats, nodes, replicators }: StageRegion): Promise<void> {
  await nats.restart();
  await Promise.all([...nodes, ...replicators].map((process) => process.start()));
}
