/**
 * `friend-request`: A of cn asks B, who looks in us: how long after the request was acknowledged in cn a read in us that claims to have it
 * has it, and whether any that claims so lacks it. Rule: each request is one sample of every kind of read, all begun at its acknowledgement.
 */
import { performance } from "node:perf_hooks";
import { connect } from "nats";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { Stage as Regions } from "../faults/stage.ts";
import type { StageRegion } from "../faults/stage-region.ts";
import type { Benchmark, Report, Row, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { Latency } from "./support/latency.ts";
import type { Stage } from "./support/stage.ts";
import { round } from "./support/stats.ts";

const RTT_MS = 200;
const REQUESTS = 300;
const WARMUP = 20;
const AT_ONCE = 4;
const WAIT_MS = 5_000;
const TOKEN_WAIT_MS_MAX = 260;
const LATEST_MS_MAX = 360;
const SUBJECT = "bench.bare";

const isAsked = Compile(Type.Object({ id: Type.String(), state: Type.String(), token: Type.String() }));
const isList = Compile(
  Type.Object({
    requests: Type.Array(Type.Object({ id: Type.String() })),
    consistency: Type.Object({ satisfied: Type.Boolean(), servedBy: Type.String() }),
  }),
);

export const friendRequest: Benchmark = {
  name: "friend-request",
  summary: `a friend request asked in cn and read in us, ${RTT_MS} ms of round trip apart`,
  description: [
    `Three whole regions, ${RTT_MS} ms round trip between any two. ${REQUESTS} users of cn each ask one of us (ack=local), ${AT_ONCE} at a time; at each acknowledgement three reads`,
    "of the recipient's inbox begin in us: by the token, by consistency=latest without it, and a naive one that asks for nothing. One sample each, from the acknowledgement.",
    "A read that is satisfied and lacks the request is false. Yardstick: a bare NATS message from cn to us over the same link, one with every request.",
  ],
  secondsDefault: 1,
  run,
};

interface Seen {
  readonly shown: boolean;
  readonly satisfied: boolean;
  readonly local: boolean;
  readonly ms: number;
}

/** What the reads of one kind came to. */
class Reads {
  readonly latency = new Latency();
  missed = 0;
  falseFresh = 0;
  unsatisfied = 0;
  elsewhere = 0;

  add({ shown, satisfied, local, ms }: Seen): void {
    this.latency.add(ms);
    if (!shown) this.missed += 1;
    if (satisfied && !shown) this.falseFresh += 1;
    if (!satisfied) this.unsatisfied += 1;
    if (!local) this.elsewhere += 1;
  }
}

interface Samples {
  readonly token: Reads;
  readonly latest: Reads;
  readonly naive: Reads;
  readonly acknowledged: Latency;
  readonly bare: Latency;
}

async function run(stage: Stage, { say }: RunOptions): Promise<Report> {
  const regions = await Regions.start({ rttMs: RTT_MS, ttlMs: 120_000, heartbeatMs: 30_000 }, stage.signal);
  stage.onEnd(() => regions.stop());
  const [cn, us] = [regions.region("cn"), regions.region("us")];
  const message = await bareMessages(stage, regions, cn);
  await Promise.all([logIn(cn, "asker"), logIn(us, "asked")]);
  const warm = newSamples();
  await askAll(WARMUP, 0, { cn, us, message }, warm);
  say("warm");
  const samples = newSamples();
  await askAll(REQUESTS, WARMUP, { cn, us, message }, samples);
  return report(samples);
}

function newSamples(): Samples {
  return {
    token: new Reads(),
    latest: new Reads(),
    naive: new Reads(),
    acknowledged: new Latency(),
    bare: new Latency(),
  };
}

async function logIn({ api }: StageRegion, prefix: string): Promise<void> {
  for (let index = 0; index < WARMUP + REQUESTS; index++) {
    const answer = await api.login({ user: `${prefix}-${index}` });
    mustHold(answer.ok, answer.ok ? "" : answer.reason);
  }
}

interface Place {
  readonly cn: StageRegion;
  readonly us: StageRegion;
  /** Sends a bare message; resolves with how long it took. */
  readonly message: () => Promise<number>;
}

async function askAll(count: number, first: number, place: Place, samples: Samples): Promise<void> {
  const indexes = Array.from({ length: count }, (_, index) => first + index);
  const work = Array.from({ length: AT_ONCE }, async () => {
    for (let index = indexes.shift(); index !== undefined; index = indexes.shift()) {
      const [bareMs] = await Promise.all([place.message(), askOne(index, place, samples)]);
      samples.bare.add(bareMs);
    }
  });
  await Promise.all(work);
}

async function askOne(index: number, { cn, us }: Place, samples: Samples): Promise<void> {
  const [from, to] = [`asker-${index}`, `asked-${index}`];
  const startedMs = performance.now();
  const asked = await cn.api.send("POST", "/v1/friend-requests", { from, to, ack: "local" });
  const ackedMs = performance.now();
  mustHold(
    asked.ok && asked.status === 201 && isAsked.Check(asked.body),
    `${from} asks: ${JSON.stringify(asked)}`,
  );
  const { id, token } = asked.body;
  samples.acknowledged.add(ackedMs - startedMs);
  const look = async (query: string): Promise<Seen> => {
    const answer = await us.api.send("GET", `/v1/users/${to}/friend-requests${query}`);
    const ms = performance.now() - ackedMs;
    mustHold(
      answer.ok && answer.status === 200 && isList.Check(answer.body),
      `${to} looks: ${JSON.stringify(answer)}`,
    );
    const { requests, consistency } = answer.body;
    const shown = requests.some((one) => one.id === id);
    return { shown, satisfied: consistency.satisfied, local: consistency.servedBy === "us", ms };
  };
  const [naive, byToken, latest] = await Promise.all([
    look(""),
    look(`?token=${token}&waitMs=${WAIT_MS}`),
    look(`?consistency=latest&waitMs=${WAIT_MS}`),
  ]);
  samples.naive.add(naive);
  samples.token.add(byToken);
  samples.latest.add(latest);
}

/** Two bare clients, one at cn's server, one that reaches it from us. */
async function bareMessages(stage: Stage, regions: Regions, cn: StageRegion): Promise<() => Promise<number>> {
  const port = Number(new URL(cn.nats.url).port);
  const far = await regions.wan("us", "cn").link.listen("us", { host: "127.0.0.1", port });
  const publisher = await connect({ servers: cn.nats.url });
  const subscriber = await connect({ servers: `nats://${far.host}:${far.port}` });
  stage.onEnd(async () => {
    await Promise.all([publisher.close(), subscriber.close()]);
  });
  const waiting = new Map<string, (nowMs: number) => void>();
  subscriber.subscribe(SUBJECT, {
    callback: (error, message) => {
      if (error !== null) throw error;
      waiting.get(message.string())?.(performance.now());
    },
  });
  await subscriber.flush();
  let sent = 0;
  return () => {
    const name = String((sent += 1));
    const startedMs = performance.now();
    return new Promise((resolve) => {
      waiting.set(name, (nowMs) => {
        waiting.delete(name);
        resolve(nowMs - startedMs);
      });
      publisher.publish(SUBJECT, name);
    });
  };
}

function inMs(what: string, value: number): Row {
  return { what, value, unit: "ms", digits: 1 };
}

function report({ token, latest, naive, acknowledged, bare }: Samples): Report {
  const counts = [token.latency, latest.latency, naive.latency, bare].map(({ count }) => count);
  mustHold(
    counts.every((count) => count === REQUESTS),
    `every request is one sample of each kind, not ${counts.join(", ")}`,
  );
  const [byToken, byLatest] = [token.latency.figures(), latest.latency.figures()];
  const [acked, message] = [acknowledged.figures(), bare.figures()];
  const falseFresh = token.falseFresh + latest.falseFresh;
  const unsatisfied = token.unsatisfied + latest.unsatisfied;
  const naiveMissRate = naive.missed / REQUESTS;
  return {
    rows: [
      inMs("request acknowledged in cn (ack=local), p50", acked.p50Ms),
      inMs("token read satisfied in us, p50", byToken.p50Ms),
      { ...inMs("token read satisfied in us, p99", byToken.p99Ms), bar: { atMost: TOKEN_WAIT_MS_MAX } },
      inMs("latest read satisfied in us, p50", byLatest.p50Ms),
      { ...inMs("latest read satisfied in us, p99", byLatest.p99Ms), bar: { atMost: LATEST_MS_MAX } },
      { what: "satisfied, and the request is not there", value: falseFresh, unit: "", bar: { atMost: 0 } },
      { what: "not satisfied", value: unsatisfied, unit: "", bar: { atMost: 0 } },
      { what: "naive reads that miss the request", value: 100 * naiveMissRate, unit: "%", digits: 1 },
      inMs("bare NATS message, p50", message.p50Ms),
      inMs("bare NATS message, p99", message.p99Ms),
    ],
    notes: [
      `${REQUESTS} requests, acknowledged by cn alone (ack=local); every time runs from that acknowledgement. ${RTT_MS / 2} ms is the least for a token, ${RTT_MS} ms for the latest.`,
    ],
    figures: {
      rttMs: RTT_MS,
      requests: REQUESTS,
      ack: "local",
      tokenWaitP50Ms: byToken.p50Ms,
      tokenWaitP99Ms: byToken.p99Ms,
      latestP50Ms: byLatest.p50Ms,
      latestP99Ms: byLatest.p99Ms,
      falseFresh,
      unsatisfied,
      answeredElsewhere: { token: token.elsewhere, latest: latest.elsewhere },
      naiveMissRate: round(naiveMissRate, 3),
      ackP50Ms: acked.p50Ms,
      yardstick: { what: "bare NATS message, one way", ...message },
      ratios: {
        p50: round(byToken.p50Ms / message.p50Ms, 3),
        p99: round(byToken.p99Ms / message.p99Ms, 3),
      },
    },
  };
}
