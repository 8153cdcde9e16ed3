/**
 * `visible-lag`: how long after it was handed to the origin's appender a change is visible in another region, 200 ms of round trip away.
 * Rule: every change is one sample, stamped before batching and again when the replica has folded it, by the clock all processes share.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type NatsConnection } from "nats";
import { connectLogStore } from "../../replicator/log/nats.ts";
import type { Entry } from "../../replicator/log/port.ts";
import { createLogger } from "../../replicator/runtime/logger.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import { startNode } from "../../services/presence/node.ts";
import type { Presence } from "../../services/presence/presence.ts";
import type { Benchmark, Report, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { Latency } from "./support/latency.ts";
import { sharedNowMs } from "./support/now.ts";
import { observed } from "./support/observed.ts";
import type { Worker } from "./support/rpc.ts";
import type { Stage } from "./support/stage.ts";
import { stampOf } from "./support/stamp.ts";
import { round, total } from "./support/stats.ts";
import type { LagOriginCalls, LagSent } from "./workers/lag-origin.ts";
import type { WanCalls } from "./workers/wan.ts";

const RTT_MS = 200;
const PER_SECOND = 5_000;
const USERS = 20_000;
const ROUNDS = 3;
const BARE_SECONDS = 3;
const WARMUP_SECONDS = 3;
const ARRIVAL_MS_MAX = 10_000;
const LOOK_EVERY_MS = 20;
const SUBJECT = "bench.bare";
const P50_MS_MAX = 120;
const P99_MS_MAX = 160;

export const visibleLag: Benchmark = {
  name: "visible-lag",
  summary: `commit to visible at ${RTT_MS} ms round trip, against a bare NATS message`,
  description: [
    `${PER_SECOND} changes a second, handed one by one to the appender of cn → LOG_cn → link with ${RTT_MS} ms round trip → replicator process of us`,
    "→ COPY_cn → presence node of us, folding, in this process. One sample per change, from before batching until folded.",
    `Yardstick: as many bare NATS messages a second from a publisher in cn to a subscriber in this process, over the same link.`,
  ],
  secondsDefault: 10,
  run,
};

/** What has arrived in this process. */
interface Arrivals {
  readonly changes: Latency;
  readonly messages: Latency;
  /** False while warming up: arrivals are counted, but are no samples. */
  measuring: boolean;
  changesSeen: number;
  messagesSeen: number;
}

async function run(stage: Stage, { seconds, say }: RunOptions): Promise<Report> {
  const [cn, us] = [await stage.natsServer("nats-cn"), await stage.natsServer("nats-us")];
  const port = await stage.worker<WanCalls>("wan").call("open", { rttMs: RTT_MS, port: cn.port });
  const farUrl = `nats://127.0.0.1:${port}`;
  const origin = stage.worker<LagOriginCalls>("lag-origin");
  await origin.call("open", { region: "cn", natsUrl: cn.url, users: USERS, subject: SUBJECT });
  await stage.replicator("us", us.url, { cn: farUrl });
  const arrivals: Arrivals = {
    changes: new Latency(),
    messages: new Latency(),
    measuring: false,
    changesSeen: 0,
    messagesSeen: 0,
  };
  const presence = await startReplica(stage, us.url, arrivals);
  await subscribe(stage, farUrl, arrivals);

  say("warming up");
  const sent = { changes: 0, messages: 0 };
  sent.messages += (await messages(origin, arrivals, sent.messages, WARMUP_SECONDS)).sent;
  sent.changes += (await changes(origin, arrivals, sent.changes, WARMUP_SECONDS)).sent;
  arrivals.measuring = true;
  const rounds: LagSent[] = [];
  for (let index = 1; index <= ROUNDS; index++) {
    sent.messages += (await messages(origin, arrivals, sent.messages, BARE_SECONDS)).sent;
    const result = await changes(origin, arrivals, sent.changes, seconds);
    sent.changes += result.sent;
    rounds.push(result);
    say(`round ${index} of ${ROUNDS} done`);
  }
  const { users } = presence.occupancy().byRegion["cn"] ?? { users: 0 };
  mustHold(users === Math.min(USERS, sent.changes), `${users} users are online at the replica`);
  mustHold(arrivals.changes.count === total(rounds.map((one) => one.sent)), "every change is one sample");
  return report(rounds, arrivals);
}

/** A whole node of us in this process; each change of cn is timed when it is folded. */
async function startReplica(stage: Stage, natsUrl: string, arrivals: Arrivals): Promise<Presence> {
  const store = connectLogStore({ servers: natsUrl, name: "bench-replica" });
  stage.onEnd(() => store.close());
  const node = await startNode({
    region: "us",
    peers: ["cn"],
    name: "bench-replica",
    store: observed(store, (entry) => sample(entry, arrivals)),
    logger: createLogger({ level: "fatal", service: "bench", region: "us", node: "bench-replica" }),
    keys: [],
    http: { host: "127.0.0.1", port: 0 },
  });
  stage.onEnd(() => node.stop());
  return node.presence;
}

function sample(entry: Entry, arrivals: Arrivals): void {
  const foldedMs = sharedNowMs();
  const decoded = decodeFrame(entry.bytes);
  mustHold(decoded.ok, "a frame that was folded can be decoded");
  for (const command of decoded.frame.commands) {
    const state =
      command.kind === "open" ? command.session.state : command.kind === "update" ? command.state : "";
    if (state === "") continue;
    arrivals.changesSeen += 1;
    if (arrivals.measuring) arrivals.changes.add(foldedMs - stampOf(state));
  }
}

async function subscribe(stage: Stage, url: string, arrivals: Arrivals): Promise<void> {
  const client: NatsConnection = await connect({ servers: url });
  stage.onEnd(() => client.close());
  client.subscribe(SUBJECT, {
    callback: (error, message) => {
      const nowMs = sharedNowMs();
      if (error !== null) throw error;
      arrivals.messagesSeen += 1;
      if (arrivals.measuring) arrivals.messages.add(nowMs - stampOf(message.string()));
    },
  });
  await client.flush();
}

async function changes(
  origin: Worker<LagOriginCalls>,
  arrivals: Arrivals,
  before: number,
  seconds: number,
): Promise<LagSent> {
  const sent = await origin.call("changes", { perSecond: PER_SECOND, seconds });
  await arrived(() => arrivals.changesSeen, before + sent.sent, "changes");
  return sent;
}

async function messages(
  origin: Worker<LagOriginCalls>,
  arrivals: Arrivals,
  before: number,
  seconds: number,
): Promise<LagSent> {
  const sent = await origin.call("messages", { perSecond: PER_SECOND, seconds });
  await arrived(() => arrivals.messagesSeen, before + sent.sent, "messages");
  return sent;
}

async function arrived(seen: () => number, sent: number, what: string): Promise<void> {
  const giveUpMs = sharedNowMs() + ARRIVAL_MS_MAX;
  while (seen() < sent) {
    mustHold(sharedNowMs() < giveUpMs, `${seen()} of ${sent} ${what} have arrived`);
    await sleep(LOOK_EVERY_MS);
  }
  mustHold(seen() === sent, `${seen()} ${what} have arrived, ${sent} were sent`);
}

function ms(what: string, value: number) {
  return { what, value, unit: "ms", digits: 1 };
}

function report(rounds: readonly LagSent[], arrivals: Arrivals): Report {
  const own = arrivals.changes.figures();
  const bare = arrivals.messages.figures();
  const changesPerSecond = total(rounds.map((one) => one.sent)) / total(rounds.map((one) => one.seconds));
  const ratios = { p50: own.p50Ms / bare.p50Ms, p99: own.p99Ms / bare.p99Ms };
  return {
    rows: [
      { ...ms("change visible, p50", own.p50Ms), bar: { atMost: P50_MS_MAX } },
      { ...ms("change visible, p99", own.p99Ms), bar: { atMost: P99_MS_MAX } },
      ms("change visible, p99.9", own.p999Ms),
      ms("change visible, worst", own.maxMs),
      ms("bare NATS message, p50", bare.p50Ms),
      ms("bare NATS message, p99", bare.p99Ms),
      ms("bare NATS message, worst", bare.maxMs),
      { what: "visible ÷ bare, p50", value: ratios.p50, unit: "", digits: 2 },
      { what: "visible ÷ bare, p99", value: ratios.p99, unit: "", digits: 2 },
      { what: "changes handed over", value: changesPerSecond, unit: "changes/s" },
    ],
    notes: [
      `Percentiles over ${arrivals.changes.count} changes and ${arrivals.messages.count} messages of all rounds; ${RTT_MS} ms round trip, so ${RTT_MS / 2} ms is the least.`,
    ],
    figures: {
      ...own,
      changesPerSecond: round(changesPerSecond),
      samples: arrivals.changes.count,
      rttMs: RTT_MS,
      yardstick: { what: "bare NATS message, one way", ...bare, samples: arrivals.messages.count },
      ratios: { p50: round(ratios.p50, 3), p99: round(ratios.p99, 3) },
    },
  };
}
