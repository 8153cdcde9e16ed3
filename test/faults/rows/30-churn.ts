/**
 * Row 30: 100,000 connections come and go (20,000 quick): with a whole request, with half of one, with nothing; closed politely or reset.
 * Rule: nothing is left of them: open files are back where they were, memory is within 10 %. What was before is measured after 20,000 of
 * the same, when the node has its working size.
 */
import { connect } from "node:net";
import { waitFor } from "../../../infra/demo/wait.ts";
import { pause } from "../health.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { StageProcess } from "../stage-process.ts";
import { inParallel } from "./support/caller.ts";
import { openFiles, pidOf, rssMiB } from "./support/process-facts.ts";

const CONNECTIONS = { quick: 20_000, full: 100_000 };
const WARM_UP = 20_000;
const WIDTH = 100;
/** Loopback addresses to come from: one has no ports for so many connections in so short a time. */
const SOURCES = 20;
const FILES_MORE_MAX = 2;
const RSS_PERCENT_MAX = 10;
const SETTLE_MS = 5_000;
const GONE_TIMEOUT_MS = 30_000;

/** In the node's process: collects what is garbage on a signal, so that what is measured is what is left. */
const COLLECT = `data:text/javascript,${encodeURIComponent('process.on("SIGWINCH",()=>globalThis.gc())')}`;

const WHOLE = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const HALF =
  "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
const TEXTS = [WHOLE, HALF, ""];

export const row: Row = { row: 30, fault: "100,000 connect/disconnect, many abrupt", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn"], nodeArgs: { node: ["--expose-gc", "--import", COLLECT] } });
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  const pid = pidOf(node);
  const port = Number(new URL(cn.url).port);
  const filesFirst = openFiles(node);
  await inParallel(WARM_UP, WIDTH, async (i) => void (await come(port, i)));
  await untilFiles(node, filesFirst);
  const before = await settledMiB(node, stage.signal);
  const count = CONNECTIONS[quick ? "quick" : "full"];
  let failed = 0;
  await inParallel(count, WIDTH, async (i) => {
    if (!(await come(port, i))) failed += 1;
  });
  await untilFiles(node, filesFirst);
  const after = await settledMiB(node, stage.signal);
  const files = openFiles(node);
  const answer = await cn.api.send("GET", "/livez");
  say(`${count} connections; ${filesFirst} files became ${files}, ${before} MiB became ${after} MiB`);
  return [
    atLeast("connections made", count - failed, count),
    atMost("open files more than before", files - filesFirst, FILES_MORE_MAX),
    atMost("memory grew by percent", Math.round((100 * (after - before)) / before), RSS_PERCENT_MAX),
    exactly("the node answers afterwards", answer.ok ? answer.status : 0, 200),
    exactly("restarts of the node", node.pid === pid ? 0 : 1, 0),
  ];
}

/** One connection, by its number: what it sends, and whether it ends with a reset. Says whether it was ever open. */
function come(port: number, i: number): Promise<boolean> {
  const text = TEXTS[i % TEXTS.length] ?? "";
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.1.${1 + (i % SOURCES)}` });
    let opened = false;
    const leave = (): void => {
      if (Math.floor(i / TEXTS.length) % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    };
    socket.once("connect", () => {
      opened = true;
      if (text === "") return leave();
      socket.write(text, () => {
        if (text === HALF) leave();
      });
    });
    socket.once("data", leave);
    // A reset is what was asked for; one that never opened is counted.
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(opened));
  });
}

async function settledMiB(node: StageProcess, signal: AbortSignal): Promise<number> {
  await pause(SETTLE_MS, signal);
  process.kill(pidOf(node), "SIGWINCH");
  await pause(SETTLE_MS, signal);
  return rssMiB(node);
}

async function untilFiles(node: StageProcess, atMostFiles: number): Promise<void> {
  const what = "the node to close what was left";
  await waitFor({ what, timeoutMs: GONE_TIMEOUT_MS, everyMs: 100 }, () => {
    const files = openFiles(node);
    return files <= atMostFiles + FILES_MORE_MAX
      ? { done: true, value: undefined }
      : { done: false, seen: `${files} open` };
  });
}
