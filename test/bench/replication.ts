/**
 * `replication`: how many changes a second go the whole way from one region's appender into another region's answers.
 * Rule: a change counts when the replica has folded it; what was folded is compared with what was sent, by number and by effect.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Benchmark, Report, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import type { NodeClient } from "./support/node-client.ts";
import { sharedNowMs } from "./support/now.ts";
import type { Worker } from "./support/rpc.ts";
import type { Stage } from "./support/stage.ts";
import { median, round, total } from "./support/stats.ts";
import type { KvCalls } from "./workers/kv-puts.ts";
import type { OriginRun, ReplicationOriginCalls } from "./workers/replication-origin.ts";

const USERS = 250_000;
const VALUE_BYTES = 32;
const ROUNDS = 3;
const LOOK_EVERY_MS = 10;
const DRAIN_MS_MAX = 120_000;
const PER_SECOND_MIN = 400_000;
const RATIO_MIN = 10;

export const replication: Benchmark = {
  name: "replication",
  summary: "changes through the whole path between two regions, against a key per user in NATS KV",
  description: [
    "Appender → LOG_cn on a nats-server → replicator process → COPY_cn on another nats-server → presence node process, folding.",
    `${USERS} users at random log in, go away, come back and log out. The clock runs from the first change handed over until the last is folded.`,
    "Yardstick: puts into a NATS KV bucket with a key per user on the first nats-server, 1,000 under way, carried nowhere.",
  ],
  secondsDefault: 6,
  run,
};

interface Round extends OriginRun {
  readonly perSecond: number;
}

async function run(stage: Stage, { seconds, say }: RunOptions): Promise<Report> {
  const [cn, us] = [await stage.natsServer("nats-cn"), await stage.natsServer("nats-us")];
  const kv = stage.worker<KvCalls>("kv-puts");
  await kv.call("open", { url: cn.url, users: USERS, valueBytes: VALUE_BYTES });
  const origin = stage.worker<ReplicationOriginCalls>("replication-origin");
  await origin.call("open", { region: "cn", natsUrl: cn.url, users: USERS });
  await stage.replicator("us", us.url, { cn: cn.url });
  const node = await stage.node("us", us.url, ["cn"]);

  say(`warming up: ${USERS} users log in`);
  const warmUp = await measure(origin, node, { seconds: 1, changesMin: USERS });
  await kv.call("run", { seconds: 1 });
  const puts: number[] = [];
  const rounds: Round[] = [];
  for (let index = 1; index <= ROUNDS; index++) {
    const result = await kv.call("run", { seconds });
    puts.push(result.puts / result.seconds);
    rounds.push(await measure(origin, node, { seconds, changesMin: 0 }));
    say(`round ${index} of ${ROUNDS} done`);
  }
  await verify(node, [warmUp, ...rounds]);
  return report(rounds, puts);
}

/** From the first change handed over until the replica has folded the last. */
async function measure(
  origin: Worker<ReplicationOriginCalls>,
  node: NodeClient,
  options: { seconds: number; changesMin: number },
): Promise<Round> {
  const sent = await origin.call("run", options);
  const giveUpMs = sharedNowMs() + DRAIN_MS_MAX;
  for (;;) {
    const { cn = 0 } = await node.applied();
    const nowMs = sharedNowMs();
    if (cn >= sent.position)
      return { ...sent, perSecond: (sent.changes * 1_000) / (nowMs - sent.startedAtMs) };
    mustHold(nowMs < giveUpMs, `the replica stands at ${cn} of ${sent.position}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** What the replica says it has folded is what the origin says it has sent. */
async function verify(node: NodeClient, rounds: readonly Round[]): Promise<void> {
  const metrics = await node.metrics();
  const sent = {
    changes: total(rounds.map((one) => one.changes)),
    frames: total(rounds.map((one) => one.frames)),
  };
  const folded = {
    changes: metrics.value("rollcall_folded_commands_total", { origin: "cn" }),
    frames: metrics.value("rollcall_replication_frames_total", { origin: "cn" }),
  };
  mustHold(folded.changes === sent.changes, `${sent.changes} changes sent, ${folded.changes} folded`);
  mustHold(folded.frames === sent.frames, `${sent.frames} frames sent, ${folded.frames} folded`);
  const refused =
    metrics.sum("rollcall_refused_commands_total") + metrics.sum("rollcall_replication_errors_total");
  mustHold(refused === 0, `the replica refused ${refused} frames or changes`);
  const online = rounds.at(-1)?.online ?? 0;
  const { users, sessions } = await node.occupancy("cn");
  mustHold(
    users === online && sessions === online,
    `${online} users should be online, ${users} are, with ${sessions} sessions`,
  );
}

function report(rounds: readonly Round[], puts: readonly number[]): Report {
  const changesPerSecond = median(rounds.map((one) => one.perSecond));
  const kvPutsPerSecond = median(puts);
  const ratio = changesPerSecond / kvPutsPerSecond;
  const changes = total(rounds.map((one) => one.changes));
  const frames = total(rounds.map((one) => one.frames));
  const bytesPerChange = total(rounds.map((one) => one.bytes)) / changes;
  const acknowledged = rounds.map((one) => (one.changes * 1_000) / (one.acknowledgedAtMs - one.startedAtMs));
  return {
    rows: [
      {
        what: "changes, appended to folded elsewhere",
        value: changesPerSecond,
        unit: "changes/s",
        bar: { atLeast: PER_SECOND_MIN },
        rounds: rounds.map((one) => one.perSecond),
      },
      {
        what: "of these, acknowledged at the origin",
        value: median(acknowledged),
        unit: "changes/s",
        rounds: acknowledged,
      },
      { what: "NATS KV, put with a key per user", value: kvPutsPerSecond, unit: "puts/s", rounds: puts },
      { what: "changes ÷ puts", value: ratio, unit: "", digits: 1, bar: { atLeast: RATIO_MIN } },
      { what: "bytes per change in the log", value: bytesPerChange, unit: "B", digits: 1 },
      { what: "changes per frame", value: changes / frames, unit: "changes" },
    ],
    notes: [
      `${changes} changes of ${USERS} users in ${frames} frames; number folded and users online are as sent.`,
      `KV values are ${VALUE_BYTES} bytes, published as the KV client does, and cross to no second server.`,
    ],
    figures: {
      changesPerSecond: round(changesPerSecond),
      acknowledgedPerSecond: round(median(acknowledged)),
      kvPutsPerSecond: round(kvPutsPerSecond),
      ratio: round(ratio, 2),
      frames,
      changes,
      users: USERS,
      bytesPerChange: round(bytesPerChange, 2),
    },
  };
}
