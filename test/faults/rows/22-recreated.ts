/**
 * Row 22: the stream of cn's log is deleted, once while everything runs and once while cn's node is down. Rule: the log that takes its
 * place has an identity of its own; the other regions notice within 5 s that it is another one, take a snapshot of it, and no session is
 * lost.
 */
import { performance } from "node:perf_hooks";
import { waitFor } from "../../../infra/demo/wait.ts";
import { logStream } from "../../../replicator/wire/subjects.ts";
import { startClients } from "../clients.ts";
import { linkAt, pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { deleteStream } from "../logs.ts";
import { eventsOf, logIds, soundness } from "../operator.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { StageRegion } from "../stage-region.ts";
import type { Stage } from "../stage.ts";

const BEFORE_MS = { quick: 1_000, full: 20_000 };
const DETECTED_MS_MAX = 5_000;
const RESYNCED_MS_MAX = 60_000;
const PATIENCE_MS = 60_000;

export const row: Row = { row: 22, fault: "origin stream deleted and recreated", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 30_000, heartbeatMs: 1_000, rttMs: 40 });
  const clients = startClients(stage, { perSecond: 10 });
  const beforeMs = BEFORE_MS[quick ? "quick" : "full"];
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  await pause(beforeMs, stage.signal);
  const live = await recreate(stage, () => Promise.resolve());
  await clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);

  await pause(beforeMs, stage.signal);
  // What is in no snapshot and in no node is gone with the log.
  const release = await clients.hold();
  const taken = await cn.api.send("POST", "/v1/snapshots", {});
  if (!taken.ok || taken.status >= 300) throw new Error(`no snapshot: ${JSON.stringify(taken)}`);
  await node.kill9();
  const down = await recreate(stage, () => node.restart());
  release();
  await clients.untilAcknowledged("cn", performance.now(), PATIENCE_MS);
  const healedMs = performance.now();
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  for (const each of [live, down]) say(`us was told: ${each.reason}`);
  const resyncs = stage.regions
    .filter(({ name }) => name !== "cn")
    .flatMap(({ nodes }) => nodes.flatMap(eventsOf).filter(({ event }) => event === "resynced"));
  return [
    exactly("identities of cn's log", new Set([live.before, live.after, down.after]).size, 3),
    atMost("detected after ms", live.detectedMs, DETECTED_MS_MAX),
    atMost("resynced after ms", live.resyncedMs, RESYNCED_MS_MAX),
    atMost("node down: detected after ms", down.detectedMs, DETECTED_MS_MAX),
    atMost("node down: resynced after ms, its start included", down.resyncedMs, RESYNCED_MS_MAX),
    atLeast("replicas made anew from a snapshot", resyncs.length, 2),
    exactly("live sessions refused", clients.counts().refusedHeartbeats, 0),
    ...(await soundness(stage)),
    ...figuresOf(verdict),
  ];
}

interface Recreated {
  readonly before: string;
  readonly after: string;
  readonly reason: string;
  readonly detectedMs: number;
  readonly resyncedMs: number;
}

/** Deletes cn's log; `then` is done at once afterwards. */
async function recreate(stage: Stage, then: () => Promise<void>): Promise<Recreated> {
  const [cn, us] = [stage.region("cn"), stage.region("us")];
  const before = (await logIds(us.api)).get("cn") ?? "";
  const deletedMs = performance.now();
  await deleteStream(cn.nats.url, logStream("cn"));
  const [reason] = await Promise.all([untilTold(us, before), then()]);
  const detectedMs = Math.round(reason.atMs - deletedMs);
  const waiting = {
    what: "one log of cn everywhere",
    timeoutMs: PATIENCE_MS,
    everyMs: 50,
    signal: stage.signal,
  };
  const { value: after } = await waitFor(waiting, async () => {
    const ids = await Promise.all(stage.regions.map(async ({ api }) => (await logIds(api)).get("cn") ?? ""));
    const [first = ""] = ids;
    const agreed = first !== before && new Set(ids).size === 1;
    return agreed ? { done: true, value: first } : { done: false, seen: ids.join(", ") };
  });
  await stage.linksLive(PATIENCE_MS);
  return {
    before,
    after,
    reason: reason.text,
    detectedMs,
    resyncedMs: Math.round(performance.now() - deletedMs),
  };
}

/** When the region says of its link from cn why it is not live, or has folded another log. */
async function untilTold(us: StageRegion, before: string): Promise<{ atMs: number; text: string }> {
  const waiting = { what: "us to notice that cn's log is gone", timeoutMs: PATIENCE_MS, everyMs: 10 };
  const { value } = await waitFor(waiting, async () => {
    const [link, ids] = await Promise.all([linkAt(us, "cn", us.name), logIds(us.api)]);
    const atMs = performance.now();
    const reason = link?.reason ?? "";
    if (link !== undefined && link.state !== "live" && reason !== "")
      return { done: true, value: { atMs, text: `${link.state}: ${reason}` } };
    const now = ids.get("cn") ?? "";
    if (now !== before) return { done: true, value: { atMs, text: `its log is ${now}` } };
    return { done: false, seen: link?.state ?? "no answer" };
  });
  return value;
}
