/**
 * Row 32: a node capped at 256 MB is sent heartbeats of 1,000,000 invented users (120,000 quick). Rule: it takes as many as fit, refuses
 * the rest with 503 `overloaded` and a time to come back, stays below the cap, and serves those it took all along.
 */
import { connect } from "node:net";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { Caller, inParallel } from "./support/caller.ts";
import { pidOf, watchRss } from "./support/process-facts.ts";

const INVENTED = { quick: 120_000, full: 1_000_000 };
const CAP_MIB = 256;
/** What V8 may use for what stays; the rest of the cap is for code, young objects and buffers. */
const OLD_SPACE_MIB = 112;
const SOCKETS = 64;
const FIRST = 1_000;
/** The first were taken surely; of them it must never lose one. */
const TAKEN_MIN = 10_000;

interface Answers {
  taken: number;
  refused: number;
  /** Refusals without a time to come back, and answers that are neither. */
  other: number;
}

export const row: Row = { row: 32, fault: "memory cap 256 MB, 1 M invented users", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({
    regions: ["cn"],
    nodeArgs: { node: [`--max-old-space-size=${OLD_SPACE_MIB}`] },
  });
  const cn = stage.region("cn");
  const [node] = cn.nodes;
  if (node === undefined) throw new Error("cn has no node");
  const pid = pidOf(node);
  const most = watchRss(node);
  const count = INVENTED[quick ? "quick" : "full"];
  const answers: Answers = { taken: 0, refused: 0, other: 0 };
  let next = 0;
  const port = Number(new URL(cn.url).port);
  await Promise.all(
    Array.from({ length: SOCKETS }, () => lane(port, () => (next < count ? next++ : undefined), answers)),
  );
  const first = new Caller(cn.url);
  const statuses: number[] = [];
  await inParallel(FIRST, 16, async (i) => {
    statuses.push((await first.send({ method: "PUT", path: `/v1/users/invented-${i}/heartbeat` })).status);
  });
  const read = await first.send({ method: "GET", path: "/v1/users/invented-1/presence" });
  first.close();
  const { taken, refused, other } = answers;
  say(`${taken} taken, ${refused} refused, ${other} otherwise; ${most()} MiB at most`);
  return [
    atLeast("users taken", taken, TAKEN_MIN),
    atLeast("users refused with 503", refused, 1),
    exactly("other answers", other, 0),
    atMost("MiB of the node", most(), CAP_MIB),
    exactly("of those taken first, still served", statuses.filter((status) => status === 204).length, FIRST),
    exactly("reads answered", read.status, 200),
    exactly("restarts of the node", node.pid === pid ? 0 : 1, 0),
  ];
}

/** One connection that sends one heartbeat after the other, each of the next invented user, until there are none. */
function lane(port: number, nextUser: () => number | undefined, answers: Answers): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const send = (): void => {
      const user = nextUser();
      if (user === undefined) socket.end();
      else socket.write(`PUT /v1/users/invented-${user}/heartbeat HTTP/1.1\r\nHost: x\r\n\r\n`);
    };
    socket.setEncoding("latin1");
    socket.setNoDelay(true);
    socket.on("connect", send);
    socket.on("data", (chunk: string) => {
      text += chunk;
      const answer = wholeAnswer(text);
      if (answer === undefined) return;
      text = "";
      if (answer.startsWith("HTTP/1.1 204 ")) answers.taken += 1;
      else if (answer.startsWith("HTTP/1.1 503 ") && /\r\nretry-after: \d+\r\n/i.test(answer))
        answers.refused += 1;
      else answers.other += 1;
      send();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve());
  });
}

/** The text, if it is a whole answer. */
function wholeAnswer(text: string): string | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1] ?? 0);
  return text.length >= end + 4 + length ? text : undefined;
}
