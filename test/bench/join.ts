/**
 * `join`: how long a region that starts with nothing takes until it answers for everybody who is online elsewhere.
 * Rule: it is ready only when its answers are right: until then every read is refused, and the matrix says that a snapshot is on its way.
 */
import { connectLogStore } from "../../replicator/log/nats.ts";
import type { Benchmark, Report, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { untilConnected } from "./support/connected.ts";
import type { NodeClient } from "./support/node-client.ts";
import { prefillSessions } from "./support/prefill.ts";
import type { Stage } from "./support/stage.ts";
import { random32, round, shuffle } from "./support/stats.ts";

const USERS = 1_000_000;
const ASKED = 1_000;
const READY_MS_MAX = 20_000;
/** Nobody sends heartbeats here. */
const TTL = { ROLLCALL_TTL_MS: "3600000" };

export const join: Benchmark = {
  name: "join",
  summary: "an empty region joins one with a million users online",
  description: [
    `Region cn has ${USERS} users online, from its log. Then region us starts: nats-server, replicator and node, all with nothing.`,
    `Measured from the start of its nats-server to the first ready answer; then ${ASKED} users and the total must be right.`,
    "Yardstick: the same snapshot read from cn's object store by the bare client, in the same run.",
  ],
  secondsDefault: 1,
  run,
};

async function run(stage: Stage, { say }: RunOptions): Promise<Report> {
  const cn = await stage.natsServer("nats-cn");
  say(`writing ${USERS} opened sessions to the log of cn`);
  await prefillSessions("cn", cn.url, USERS);
  say("starting cn's node, which folds them and takes its first snapshot");
  const home = await stage.node("cn", cn.url, ["us"], TTL);
  const users = shuffle(
    Array.from({ length: USERS }, (_, index) => `user-${String(index).padStart(7, "0")}`),
    random32(7),
  ).slice(0, ASKED);
  const { bytes, ms: bareMs } = await readSnapshotBare(cn.url);
  say("starting us with nothing");
  const startedMs = performance.now();
  const us = await stage.natsServer("nats-us");
  await stage.replicator("us", us.url, { cn: cn.url });
  await stage.replicator("cn", cn.url, { us: us.url });
  const states = new Set<string>();
  let refused = 0;
  const node = await stage.nodeUntil("us", us.url, ["cn"], TTL, async (client) => {
    const reason = await client.unreadiness();
    if (reason === undefined) return undefined;
    refused += await watch(client, users, states);
    return reason;
  });
  const readyMs = performance.now() - startedMs;
  const answered = await node.onlineOf(users);
  const { users: total } = await node.occupancy("cn");
  const online = "online" in answered ? answered.online : 0;
  mustHold(online === ASKED, `${online} of ${ASKED} users are online in us`);
  mustHold(total === USERS, `us counts ${total} users in cn`);
  mustHold(states.has("snapshotting"), `the link was never snapshotting, only ${[...states].join(", ")}`);
  mustHold((await home.occupancy("cn")).users === USERS, "cn lost users");
  const figures = {
    users: USERS,
    readyMs: Math.round(readyMs),
    snapshotBytes: bytes,
    bareReadMs: Math.round(bareMs),
    ratio: round(readyMs / bareMs, 1),
    refusedWhileStarting: refused,
    states: [...states],
  };
  return {
    rows: [
      { what: "from nothing to ready", value: readyMs, unit: "ms", bar: { atMost: READY_MS_MAX } },
      { what: "the snapshot, read by the bare client", value: bareMs, unit: "ms" },
      { what: "snapshot", value: bytes, unit: "bytes" },
      { what: "reads refused meanwhile", value: refused, unit: "" },
    ],
    notes: [`The matrix said of the link, until then: ${[...states].join(", ")}.`],
    figures,
  };
}

/** One look at a node that is not ready: how it calls its link, and that it answers nothing wrong. Returns how many reads it refused. */
async function watch(client: NodeClient, users: readonly string[], states: Set<string>): Promise<number> {
  try {
    for (const state of Object.values(await client.linkStates("us"))) states.add(state);
    const answer = await client.onlineOf(users);
    if ("status" in answer) return answer.status === 503 ? 1 : 0;
    mustHold(
      answer.online === ASKED || (await client.unreadiness()) === undefined,
      "a wrong answer before it was ready",
    );
    return 0;
  } catch (error) {
    // Not listening yet.
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return 0;
    throw error;
  }
}

async function readSnapshotBare(natsUrl: string): Promise<{ readonly bytes: number; readonly ms: number }> {
  const store = connectLogStore({ servers: natsUrl, name: "bench-bare" });
  await untilConnected(store);
  for (;;) {
    const listed = await store.snapshots().list();
    if (!listed.ok) throw new Error(listed.detail);
    const [newest] = listed.snapshots;
    if (newest === undefined) {
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
      continue;
    }
    const startedMs = performance.now();
    const read = await store.snapshots().read(newest.name, () => undefined);
    if (!read.ok) throw new Error(read.detail);
    const ms = performance.now() - startedMs;
    await store.close();
    return { bytes: newest.bytes, ms };
  }
}
