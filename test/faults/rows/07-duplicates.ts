/**
 * Row 7: frames come twice and out of turn. Two replicators per region carry every log, they are killed and lose their connections in
 * turns, so that readers replay; and every so often frames that are in cn's log already are sent to it again, the newest first, with their
 * message ids, as a node does that never got its answer. Last, old frames are stored again at new positions, as no server should.
 * Rule: what came twice is applied once, and whatever a log holds, all replicas make the same of it.
 */
import { waitFor } from "../../../infra/demo/wait.ts";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { appendRaw, copyFaults, readLog, sendAgain } from "../logs.ts";
import { soundness } from "../operator.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";

const ROUNDS = { quick: 6, full: 40 };
const ROUND_MS = 700;
const SENT_AGAIN = 100;
const STORED_AGAIN = 30;
const PATIENCE_MS = 60_000;

export const row: Row = { row: 7, fault: "duplicated and reordered frames", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: 40, replicators: 2 });
  const cn = stage.region("cn");
  const clients = startClients(stage, { perSecond: 40 });
  const rounds = ROUNDS[quick ? "quick" : "full"];
  let [sent, storedTwice] = [0, 0];
  for (let i = 0; i < rounds; i++) {
    await pause(ROUND_MS, stage.signal);
    const region = stage.regions[i % stage.regions.length];
    const [one, other] = region?.replicators ?? [];
    await (i % 2 === 0 ? one : other)?.restart();
    stage.wan("cn", "us").link.dropConnections();
    const again = await sendAgain(cn.nats.url, "cn", SENT_AGAIN);
    sent += again.sent;
    storedTwice += again.stored;
  }
  await clients.quiet();
  const verdict = await judge(clients);
  for (const example of verdict.examples) say(example);
  const sound = await soundness(stage);
  const pairs = stage.regions.flatMap((origin) =>
    stage.regions.filter((replica) => replica !== origin).map((replica) => copyFaults(origin, replica)),
  );
  const copies = await Promise.all(pairs);
  const faults = copies.reduce((sum, { gaps, duplicates }) => sum + gaps + duplicates, 0);
  const hostile = await storeAgain(stage);
  return [
    exactly("rounds", rounds, ROUNDS[quick ? "quick" : "full"]),
    atLeast("frames sent again", sent, rounds * 10),
    exactly("of these stored again", storedTwice, 0),
    exactly("gaps and duplicates in copies", faults, 0),
    ...sound,
    ...figuresOf(verdict),
    ...hostile,
  ];
}

/** Old frames of cn's log at new positions, the newest first: no state is right then, but it must be one. */
async function storeAgain(stage: Stage): Promise<Figure[]> {
  const { nats } = stage.region("cn");
  const old = (await readLog(nats.url, "cn"))
    .filter(({ bytes }) => bytes.length > 200)
    .slice(0, STORED_AGAIN);
  let last = 0;
  for (const { bytes } of old.toReversed()) last = await appendRaw(nats.url, "cn", bytes);
  const waiting = { what: "all regions to fold what was stored again", timeoutMs: PATIENCE_MS, everyMs: 50 };
  await waitFor(waiting, async () => {
    const answers = await Promise.all(stage.regions.map(({ api }) => api.send("GET", "/v1/token")));
    const behind = answers.filter((answer) => !answer.ok || positionOfCn(answer.body) < last).length;
    return behind === 0 ? { done: true, value: undefined } : { done: false, seen: `${behind} have not` };
  });
  const sound = await soundness(stage);
  return [
    atLeast("old frames stored at new positions", old.length, 10),
    ...sound.map((figure) => ({ ...figure, name: `then ${figure.name}` })),
  ];
}

function positionOfCn(body: unknown): number {
  if (typeof body !== "object" || body === null || !("applied" in body)) return 0;
  const { applied } = body;
  const isPositions = typeof applied === "object" && applied !== null && "cn" in applied;
  return isPositions ? Number(applied.cn) : 0;
}
