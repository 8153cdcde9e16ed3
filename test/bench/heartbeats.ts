/**
 * `heartbeats`: how many leases one node renews when frontends send their heartbeats in batches.
 * Rule: every batch's ids lie anywhere in a million live sessions, so no cache helps; a renewal counts only if it was answered as
 * renewed and the node's own counter says so too.
 */
import type { Benchmark, Report, Row, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { httpLoad, medianOf, type HttpLoad, type LoadResult } from "./support/http-load.ts";
import type { NodeClient } from "./support/node-client.ts";
import { prefillSessions } from "./support/prefill.ts";
import { startRedis } from "./support/redis.ts";
import type { Stage } from "./support/stage.ts";
import { median, random32, round, shuffle, total } from "./support/stats.ts";

const SESSIONS = 1_000_000;
const BATCH = 1_000;
const CONNECTIONS = 8;
const REDIS_CONNECTIONS = 4;
const TTL_SECONDS = 75;
const ROUNDS = 3;
const WARMUP_SECONDS = 3;
const PER_SECOND_MIN = 1_000_000;
const RENEWED = { status: 200, bodyPart: `{"renewed":${BATCH},"ended":[]}` };

export const heartbeats: Benchmark = {
  name: "heartbeats",
  summary: "POST /v1/heartbeats, 1,000 of a million live sessions at a time, against pipelined Redis",
  description: [
    `A presence node process that finds ${SESSIONS} sessions in its log and gives each a lease; batches of ${BATCH} ids over ${CONNECTIONS} connections.`,
    "The ids of a batch are spread over the whole million, and every session is renewed again and again, at the default TTL.",
    `Yardstick: redis-server with the same keys, pipelines of ${BATCH} times SET key 1 EX ${TTL_SECONDS}; left out where Redis is not installed.`,
  ],
  secondsDefault: 5,
  run,
};

interface Redis {
  setsPerSecond(seconds: number): Promise<number>;
}

async function run(stage: Stage, { seconds, say }: RunOptions): Promise<Report> {
  const nats = await stage.natsServer("nats-cn");
  say(`writing ${SESSIONS} opened sessions to the log`);
  const sessions = shuffle(await prefillSessions("cn", nats.url, SESSIONS), random32(2));
  const redis = await redisWith(stage, sessions);
  const load = httpLoad(stage, "heartbeats", batchesOf(sessions), CONNECTIONS);
  say("starting the node, which folds them");
  const node = await stage.node("cn", nats.url);
  await load.run(node.url, { seconds: WARMUP_SECONDS, expected: RENEWED });
  const startedWith = await countsOf(node);
  mustHold(startedWith.live === SESSIONS, `${startedWith.live} sessions are live, not ${SESSIONS}`);

  const subject: LoadResult[] = [];
  const sets: number[] = [];
  for (let index = 1; index <= ROUNDS; index++) {
    if (redis !== undefined) sets.push(await redis.setsPerSecond(seconds));
    subject.push(await measure(load, node, seconds));
    say(`round ${index} of ${ROUNDS} done`);
  }
  const { live, ended } = await countsOf(node);
  mustHold(live === SESSIONS && ended === 0, `${live} sessions are live, ${ended} have ended`);
  return report(load.generator, subject, sets, live, ended);
}

function batchesOf(sessions: readonly string[]) {
  return Array.from({ length: Math.floor(sessions.length / BATCH) }, (_, index) => ({
    method: "POST" as const,
    path: "/v1/heartbeats",
    body: JSON.stringify({ sessions: sessions.slice(index * BATCH, (index + 1) * BATCH) }),
  }));
}

async function redisWith(stage: Stage, keys: readonly string[]): Promise<Redis | undefined> {
  const options = { keys, pipeline: BATCH, ttlSeconds: TTL_SECONDS, connections: REDIS_CONNECTIONS };
  const worker = await startRedis(stage, options);
  if (worker === undefined) return undefined;
  return {
    setsPerSecond: async (seconds) => {
      const result = await worker.call("run", { seconds });
      return result.sets / result.seconds;
    },
  };
}

async function measure(load: HttpLoad, node: NodeClient, seconds: number): Promise<LoadResult> {
  const before = await countsOf(node);
  const result = await load.run(node.url, { seconds, expected: RENEWED });
  const after = await countsOf(node);
  const counted = after.beats - before.beats;
  mustHold(result.errors === 0, `${result.errors} batches were not answered as renewed`);
  mustHold(
    counted >= result.requests * BATCH && counted <= (result.requests + CONNECTIONS) * BATCH,
    `${result.requests} batches, but the node counts ${counted} heartbeats`,
  );
  return result;
}

async function countsOf(node: NodeClient): Promise<{ beats: number; live: number; ended: number }> {
  const metrics = await node.metrics();
  return {
    beats: metrics.value("rollcall_heartbeats_total"),
    live: metrics.value("rollcall_sessions"),
    ended: metrics.sum("rollcall_sessions_ended_total"),
  };
}

function report(
  generator: string,
  subject: readonly LoadResult[],
  sets: readonly number[],
  liveSessions: number,
  ended: number,
): Report {
  const { requestsPerSecond, p50Ms, p99Ms } = medianOf(subject);
  const sessionsPerSecond = requestsPerSecond * BATCH;
  const setsPerSecond = sets.length === 0 ? undefined : median(sets);
  const ratio = setsPerSecond === undefined ? undefined : sessionsPerSecond / setsPerSecond;
  return {
    rows: [
      {
        what: "presence node, sessions renewed",
        value: sessionsPerSecond,
        unit: "sessions/s",
        bar: { atLeast: PER_SECOND_MIN },
        rounds: subject.map((one) => one.requestsPerSecond * BATCH),
      },
      { what: "batches", value: requestsPerSecond, unit: "requests/s" },
      { what: "response time p50", value: p50Ms, unit: "ms", digits: 2 },
      { what: "response time p99", value: p99Ms, unit: "ms", digits: 2 },
      ...redisRows(setsPerSecond, ratio, sets),
    ],
    notes: [
      `${liveSessions} live sessions, ${ended} ended, ${BATCH} a batch, ${CONNECTIONS} connections, generator ${generator}; every answer checked.`,
      ...(setsPerSecond === undefined ? ["redis-server is not installed: no yardstick."] : []),
    ],
    figures: {
      sessionsPerSecond: round(sessionsPerSecond),
      liveSessions,
      batchesPerSecond: round(requestsPerSecond),
      p50Ms,
      p99Ms,
      ended,
      redis: setsPerSecond === undefined ? null : { setsPerSecond: round(setsPerSecond), pipeline: BATCH },
      ratio: ratio === undefined ? null : round(ratio, 3),
      errors: total(subject.map((one) => one.errors)),
      generator,
    },
  };
}

function redisRows(setsPerSecond = 0, ratio = 0, sets: readonly number[] = []): Row[] {
  if (sets.length === 0) return [];
  return [
    { what: "redis, pipelined SET … EX", value: setsPerSecond, unit: "keys/s", rounds: sets },
    { what: "node ÷ redis", value: ratio, unit: "", digits: 2 },
  ];
}
