/**
 * Row 24: a node that is slow to consume: it runs 50 ms of every second (SIGSTOP in between) while a peer appends far more than its
 * memory may take. Rule: what waits for a slow node waits in the log, not in the node: its memory stays below the cap, its peers' and
 * its nats-server's too, and afterwards it catches up.
 */
import { performance } from "node:perf_hooks";
import { waitFor } from "../../../infra/demo/wait.ts";
import type { Command } from "../../../replicator/core/commands.ts";
import { openOrigin } from "../../bench/support/origin.ts";
import { pause } from "../health.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { pidOf, rssMiB, watchRss } from "./support/process-facts.ts";

/** Far more than the node's memory may grow by. */
const APPENDED_MIB = { quick: 160, full: 720 };
/** Appending ends by then, however slow the machine is. */
const APPENDING_MS_MAX = { quick: 120_000, full: 600_000 };
const STOPPED_MS = 950;
const RUNNING_MS = 50;
const APPEND_MIB_PER_SECOND = 16;
/** Over what the node had before. */
const GROWTH_MIB_MAX = 128;
const NATS_MIB_MAX = 512;
const CAUGHT_UP_MS_MAX = 60_000;
const MEBIBYTE = 1024 * 1024;
const COMMANDS = 200;

export const row: Row = { row: 24, fault: "slow consumer node", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn", "us"], rttMs: 20 });
  const us = stage.region("us");
  const [node] = us.nodes;
  if (node === undefined) throw new Error("us has no node");
  const pid = pidOf(node);
  const length = quick ? "quick" : "full";
  const beforeMiB = rssMiB(node);
  const nodeMost = watchRss(node);
  const natsMost = watchRss(us.nats);
  const appended = new AbortController();
  const appending = appendHard(stage, APPENDED_MIB[length], APPENDING_MS_MAX[length]).finally(() => {
    appended.abort();
  });
  while (!appended.signal.aborted) {
    node.pause();
    await pause(STOPPED_MS, stage.signal);
    node.resume();
    await pause(RUNNING_MS, stage.signal);
  }
  const healedMs = performance.now();
  const { appendedMiB, head } = await appending;
  await untilFolded(stage, head);
  const caughtUpMs = Math.round(performance.now() - healedMs);
  const growthMiB = nodeMost() - beforeMiB;
  say(
    `${appendedMiB} MiB appended; the node had ${beforeMiB} MiB, grew by ${growthMiB}, caught up after ${caughtUpMs} ms`,
  );
  return [
    atLeast("MiB appended", appendedMiB, APPENDED_MIB[length]),
    atMost("the node's memory grew by MiB", growthMiB, GROWTH_MIB_MAX),
    atMost("MiB of its nats-server", natsMost(), NATS_MIB_MAX),
    atMost("caught up after ms", caughtUpMs, CAUGHT_UP_MS_MAX),
    exactly("restarts of the node", node.pid === pid ? 0 : 1, 0),
  ];
}

/** Frames of updates of a session that is not there: bytes to carry and fold that leave no state. */
async function appendHard(
  stage: Stage,
  wantedMiB: number,
  withinMs: number,
): Promise<{ appendedMiB: number; head: number }> {
  const origin = await openOrigin("cn", stage.region("cn").nats.url);
  const update: Command = {
    kind: "update",
    user: "nobody",
    session: "nowhere",
    status: "online",
    state: JSON.stringify({ filler: "x".repeat(240) }),
  };
  const commands = Array.from({ length: COMMANDS }, () => update);
  const startMs = performance.now();
  let head = 0;
  while (origin.bytes() < wantedMiB * MEBIBYTE && performance.now() - startMs < withinMs) {
    const appended = await Promise.all([origin.appender.append(commands), origin.appender.append(commands)]);
    for (const outcome of appended) if (outcome.ok) head = Math.max(head, outcome.position);
    const aheadMs =
      (origin.bytes() / MEBIBYTE / APPEND_MIB_PER_SECOND) * 1_000 - (performance.now() - startMs);
    if (aheadMs > 0) await pause(aheadMs, stage.signal);
  }
  origin.appender.stop();
  await origin.store.close();
  return { appendedMiB: Math.round(origin.bytes() / MEBIBYTE), head };
}

async function untilFolded(stage: Stage, position: number): Promise<void> {
  const waiting = {
    what: `us to fold cn up to ${position}`,
    timeoutMs: 3 * CAUGHT_UP_MS_MAX,
    everyMs: 50,
    signal: stage.signal,
  };
  await waitFor(waiting, async () => {
    const answer = await stage.region("us").api.send("GET", "/v1/token");
    if (!answer.ok) return { done: false, seen: answer.reason };
    const at = appliedOf(answer.body, "cn");
    return at >= position ? { done: true, value: undefined } : { done: false, seen: `at ${at}` };
  });
}

function appliedOf(body: unknown, region: string): number {
  if (typeof body !== "object" || body === null || !("applied" in body)) return 0;
  const { applied } = body;
  if (typeof applied !== "object" || applied === null) return 0;
  const position: unknown = Reflect.get(applied, region);
  return typeof position === "number" ? position : 0;
}
