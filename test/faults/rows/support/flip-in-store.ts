/**
 * Bits that flip on disk: in a block of cn's log, in a frame that us has not copied yet, and in a block of us's copy of it, in a frame that
 * us's node needs to start. Rule: what nats-server finds damaged it does not serve, so nobody makes a state of it; where that is not
 * mended in time, whoever needs the frame says so, and an operator who removes the damaged stream gets a whole one back.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { copyStream, logStream } from "../../../../replicator/wire/subjects.ts";
import type { Clients } from "../../clients.ts";
import { pause } from "../../health.ts";
import { waitFor } from "../../../../infra/demo/wait.ts";
import { deleteStream, readCopy, readLog, type Stored } from "../../logs.ts";
import { atLeast, atMost, type Figure } from "../../row.ts";
import type { NatsProcess } from "../../stage-process.ts";
import type { StageRegion } from "../../stage-region.ts";
import type { Stage } from "../../stage.ts";
import { flipStored } from "../../store.ts";

const UNCOPIED_MS = 2_000;
const LOOK_EVERY_MS = 50;
const TOLD_MS_MAX = 5_000;
const HEALED_MS_MAX = 60_000;
/** Of the end of a copy: what a node that starts has in no snapshot. */
const NEWEST = 10;

export interface FlipInStore {
  readonly stage: Stage;
  readonly clients: Clients;
  /** For it to mend itself, before an operator does something. */
  readonly patienceMs: number;
  readonly say: (line: string) => void;
}

interface Damage {
  readonly what: string;
  /** What an operator does about it. */
  readonly remedy: () => Promise<void>;
  /** Says what us complains of, empty when all is well. */
  readonly complaint: () => Promise<string>;
}

/** In the block of a log. */
export async function flipInLog(options: FlipInStore): Promise<Figure[]> {
  const { stage, clients } = options;
  const [cn, us] = [stage.region("cn"), stage.region("us")];
  stage.wan("cn", "us").cut();
  await pause(UNCOPIED_MS, stage.signal);
  const release = await clients.hold();
  const copied = (await readCopy(us.nats.url, "cn")).at(-1)?.position ?? 0;
  const [frame] = (await readLog(cn.nats.url, "cn")).filter(({ position }) => position > copied);
  await damage(cn.nats, logStream("cn"), frame);
  stage.wan("cn", "us").heal();
  release();
  const complaint = async (): Promise<string> => (await complaintsOf(stage)).join("; ");
  const remedy = async (): Promise<void> => {
    await deleteStream(cn.nats.url, logStream("cn"));
  };
  return mend(options, { what: "a log's block", remedy, complaint });
}

/** In the block of a copy. */
export async function flipInCopy(options: FlipInStore): Promise<Figure[]> {
  const { stage, clients } = options;
  const us = stage.region("us");
  const [node] = us.nodes;
  if (node === undefined) throw new Error("us has no node");
  const release = await clients.hold();
  const [frame, ...later] = (await readCopy(us.nats.url, "cn")).slice(-NEWEST);
  const head = later.at(-1)?.position ?? 0;
  await node.kill9();
  await damage(us.nats, copyStream("cn"), frame);
  await node.start();
  release();
  const complaint = async (): Promise<string> => {
    const ready = await us.api.send("GET", "/readyz?verbose");
    if (!ready.ok) return "";
    if (ready.status !== 200) return JSON.stringify(ready.body);
    return (await complaintsOf(stage)).join("; ");
  };
  // A node that finds no copy at all takes that for a region that has nothing yet.
  const remedy = async (): Promise<void> => {
    await node.kill9();
    await deleteStream(us.nats.url, copyStream("cn"));
    await untilCopied(us, head);
    await node.start();
  };
  return mend(options, { what: "a copy's block", remedy, complaint });
}

async function untilCopied(us: StageRegion, head: number): Promise<void> {
  const waiting = { what: "us to have a copy of cn's log again", timeoutMs: HEALED_MS_MAX, everyMs: 100 };
  await waitFor(waiting, async () => {
    const stored = await readCopy(us.nats.url, "cn").catch(() => []);
    const position = stored.at(-1)?.position ?? 0;
    return position >= head ? { done: true, value: undefined } : { done: false, seen: `${position}` };
  });
}

async function damage(nats: NatsProcess, stream: string, frame: Stored | undefined): Promise<void> {
  if (frame === undefined) throw new Error(`${stream} has no frame to damage`);
  await nats.kill9();
  flipStored(nats, stream, frame.bytes);
  await nats.restart();
}

/** Waits a while for it to mend itself, then removes the stream as an operator would. */
async function mend(
  { stage, patienceMs, say }: FlipInStore,
  { what, remedy, complaint }: Damage,
): Promise<Figure[]> {
  const startedMs = performance.now();
  let toldMs = Number.POSITIVE_INFINITY;
  let complained = "";
  let left = "";
  do {
    left = await complaint();
    if (left !== "" && complained === "") toldMs = performance.now() - startedMs;
    complained = left === "" ? complained : left;
    await sleep(LOOK_EVERY_MS, undefined, { signal: stage.signal });
    const soon = performance.now() - startedMs < TOLD_MS_MAX && complained === "";
    if (!soon && left === "") break;
  } while (performance.now() - startedMs < patienceMs);
  say(`a bit flipped in ${what}: ${complained === "" ? "nobody complained" : complained}`);
  if (left !== "") {
    say("the damaged stream is removed, as by an operator");
    await remedy();
  }
  await stage.linksLive(HEALED_MS_MAX);
  const healedMs = Math.round(performance.now() - startedMs);
  return [
    atMost(`flipped in ${what}: told after ms`, Math.round(toldMs), TOLD_MS_MAX),
    atMost(`flipped in ${what}: all links live after ms`, healedMs, HEALED_MS_MAX),
    atLeast(`flipped in ${what}: words of the complaint`, complained.split(" ").length, 3),
  ];
}

/** What the regions say of links that are not live. */
async function complaintsOf(stage: Stage): Promise<string[]> {
  const answers = await Promise.all(
    stage.regions.map(async ({ name, api }) => {
      const links = await api.links();
      return links.ok ? links.value.filter(({ replica, state }) => replica === name && state !== "live") : [];
    }),
  );
  return answers
    .flat()
    .map(({ origin, replica, state, reason }) => `${origin}→${replica} ${state}: ${reason ?? ""}`);
}
