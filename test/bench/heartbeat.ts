/**
 * `heartbeat`: how close the hot path of a presence node comes to a web server that does nothing.
 * Rule: the answers count only if all were 204 and the node's own counter moved by as many.
 */
import type { Benchmark, Report, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { pinServers } from "./support/cores.ts";
import { httpLoad, medianOf, type LoadResult } from "./support/http-load.ts";
import type { NodeClient } from "./support/node-client.ts";
import type { Stage } from "./support/stage.ts";
import { random32, round, shuffle, total } from "./support/stats.ts";
import type { BareFastifyCalls } from "./workers/bare-fastify.ts";

const USERS = 10_000;
const CONNECTIONS = 64;
const ROUNDS = 5;
const WARMUP_SECONDS = 3;
const RATIO_MIN = 0.75;
const RENEWED = { status: 204 };

export const heartbeat: Benchmark = {
  name: "heartbeat",
  summary: "PUT /v1/users/{user}/heartbeat, one at a time, against bare Fastify",
  description: [
    `A presence node process with its nats-server; ${USERS} users who are online, each beating in turn over ${CONNECTIONS} connections.`,
    "Yardstick: the same route on Fastify alone, in its own process, which answers 204 and does nothing.",
    "Server and load generator have a core each on a machine with two.",
  ],
  secondsDefault: 4,
  run,
};

async function run(stage: Stage, { seconds, say }: RunOptions): Promise<Report> {
  if (!pinServers()) say("cannot pin processes to cores here: the ratio depends on the scheduler");
  const nats = await stage.natsServer("nats-cn");
  const node = await stage.node("cn", nats.url);
  const bareUrl = await stage.worker<BareFastifyCalls>("bare-fastify").call("listen", undefined);
  const users = Array.from({ length: USERS }, (_, index) => `user-${10_000 + index}`);
  const requests = shuffle(users, random32(1)).map((user) => ({
    method: "PUT" as const,
    path: `/v1/users/${user}/heartbeat?device=web`,
  }));
  const load = httpLoad(stage, "heartbeat", requests, CONNECTIONS);

  say("warming up: every answer is checked to be 204");
  for (const url of [bareUrl, node.url]) {
    const { errors } = await load.run(url, { seconds: WARMUP_SECONDS, expected: RENEWED });
    mustHold(errors === 0, `${errors} answers of ${url} were not 204`);
  }
  const { sessions } = await heartbeatsOf(node);
  mustHold(sessions === USERS, `${sessions} users are online, not ${USERS}`);

  const bare: LoadResult[] = [];
  const subject: LoadResult[] = [];
  for (let index = 1; index <= ROUNDS; index++) {
    bare.push(await load.run(bareUrl, { seconds }));
    const before = await heartbeatsOf(node);
    const result = await load.run(node.url, { seconds });
    const after = await heartbeatsOf(node);
    mustHold(after.sessions === USERS, `${after.sessions} users are online after the round, not ${USERS}`);
    checkCounted(result, after.beats - before.beats);
    subject.push(result);
    say(`round ${index} of ${ROUNDS} done`);
  }
  return report(load.generator, bare, subject);
}

/** Requests under way when the generator stops are counted by the node alone. */
function checkCounted({ requests, errors }: LoadResult, counted: number): void {
  mustHold(errors === 0, `${errors} errors`);
  mustHold(
    counted >= requests && counted <= requests + CONNECTIONS,
    `${requests} answers, but the node counts ${counted} heartbeats`,
  );
}

async function heartbeatsOf(node: NodeClient): Promise<{ beats: number; sessions: number }> {
  const metrics = await node.metrics();
  return { beats: metrics.value("rollcall_heartbeats_total"), sessions: metrics.value("rollcall_sessions") };
}

function perSecond(results: readonly LoadResult[]): number[] {
  return results.map((one) => one.requestsPerSecond);
}

function report(generator: string, bare: readonly LoadResult[], subject: readonly LoadResult[]): Report {
  const yardstick = medianOf(bare);
  const own = medianOf(subject);
  const ratio = own.requestsPerSecond / yardstick.requestsPerSecond;
  return {
    rows: [
      {
        what: "presence node, PUT heartbeat",
        value: own.requestsPerSecond,
        unit: "requests/s",
        rounds: perSecond(subject),
      },
      {
        what: "bare Fastify, same route",
        value: yardstick.requestsPerSecond,
        unit: "requests/s",
        rounds: perSecond(bare),
      },
      { what: "node ÷ bare", value: ratio, unit: "", digits: 2, bar: { atLeast: RATIO_MIN } },
      { what: "node, response time p50", value: own.p50Ms, unit: "ms", digits: 2 },
      { what: "node, response time p99", value: own.p99Ms, unit: "ms", digits: 2 },
      { what: "bare, response time p99", value: yardstick.p99Ms, unit: "ms", digits: 2 },
    ],
    notes: [
      `${USERS} users online, ${CONNECTIONS} connections, generator ${generator}; every answer 204, counted by the node too.`,
    ],
    figures: {
      requestsPerSecond: round(own.requestsPerSecond),
      p50Ms: own.p50Ms,
      p99Ms: own.p99Ms,
      yardstick: {
        what: "bare Fastify",
        requestsPerSecond: round(yardstick.requestsPerSecond),
        p50Ms: yardstick.p50Ms,
        p99Ms: yardstick.p99Ms,
      },
      ratio: round(ratio, 3),
      errors: total([...bare, ...subject].map((one) => one.errors)),
      users: USERS,
      requests: total(subject.map((one) => one.requests)),
      generator,
    },
  };
}
