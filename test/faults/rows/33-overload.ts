/**
 * Row 33: 10× overload. Lists and reads are sent ten times as fast as this very node can serve them, measured just before, while
 * heartbeats and writes come at the rate they always do. Rule: lists are shed first, then reads; of the heartbeats and of the writes at
 * least 90 % are served in time.
 */
import { pause } from "../health.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { Caller, inParallel, pace, type Call, type Paced } from "./support/caller.ts";
import { flood, type Flooded, type FloodOptions } from "./support/flood.ts";
import { metric } from "./support/metrics.ts";

const USERS = 2_000;
/** "Who of these 200 friends is online?" */
const FRIENDS = 200;
const HEARTBEATS_PER_SECOND = 300;
const WRITES_PER_SECOND = 30;
/** A heartbeat or a login that took longer is no use to a client. */
const WITHIN_MS = 2_000;
const GOODPUT_PERCENT_MIN = 90;
const OVERLOAD_MIN = 10;
/** So few that what is measured is how fast the node serves, not how it sheds. */
const GENTLE_CONNECTIONS = 2;
/** Of each kind. The node answers a refusal when a request has waited as long as it may, so few connections cannot send many. */
const FLOOD_CONNECTIONS = 800;
const CAPACITY_SECONDS = 4;
const FLOOD_SECONDS = { quick: 30, full: 90 };
/** Of flood before the load that is judged begins. */
const ONSET_MS = 3_000;

const LISTS = { path: "/v1/online?limit=200" };
const READS = {
  path: "/v1/presence",
  body: { users: Array.from({ length: FRIENDS }, (_, i) => `user-${i}`) },
};

export const row: Row = { row: 33, fault: "10× overload", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn"] });
  const cn = stage.region("cn");
  const caller = new Caller(cn.url, { timeoutMs: 10_000 });
  const sessions = await openAll(caller);

  const gentle = { connections: GENTLE_CONNECTIONS, seconds: CAPACITY_SECONDS };
  const capacity = sum(await floods(stage, gentle)).servedPerSecond;
  const before = await metricsOf(caller);
  const calm = await important(caller, sessions, 5_000);

  const seconds = FLOOD_SECONDS[quick ? "quick" : "full"];
  const flooding = floods(stage, { connections: FLOOD_CONNECTIONS, seconds });
  await pause(ONSET_MS, stage.signal);
  const strained = await important(caller, sessions, (seconds - 5) * 1_000);
  const flooded = await flooding;
  const after = await metricsOf(caller);
  caller.close();

  const shed = (name: string): number =>
    metric(after, "rollcall_requests_shed_total", `class="${name}"`) -
    metric(before, "rollcall_requests_shed_total", `class="${name}"`);
  const { sentPerSecond, servedPerSecond } = sum(flooded);
  const [lists, reads] = flooded.map(({ sentPerSecond: sent, servedPerSecond: served }) => 1 - served / sent);
  const [calmBeats, strainedBeats] = [calm.heartbeats, strained.heartbeats];
  say(
    `capacity ${Math.round(capacity)}/s; ${Math.round(sentPerSecond)}/s sent, ${Math.round(servedPerSecond)}/s of it served; ` +
      `heartbeats' p99 ${Math.round(calmBeats.p99Ms)} ms before, ${Math.round(strainedBeats.p99Ms)} ms during; ` +
      `answers ${describe(strainedBeats)}; writes ${describe(strained.writes)}`,
  );
  return [
    atLeast("offered, times the capacity", Math.round((10 * sentPerSecond) / capacity) / 10, OVERLOAD_MIN),
    atLeast("heartbeats served in time, percent", goodput(strainedBeats), GOODPUT_PERCENT_MIN),
    atLeast("writes served in time, percent", goodput(strained.writes), GOODPUT_PERCENT_MIN),
    atLeast("lists shed", shed("lists"), 1),
    atLeast("reads shed", shed("reads"), 1),
    exactly(
      "a smaller share of the lists shed than of the reads",
      (lists ?? 0) + 0.01 < (reads ?? 0) ? 1 : 0,
      0,
    ),
    exactly("heartbeats shed", shed("heartbeats"), 0),
    exactly("writes shed", shed("writes"), 0),
  ];
}

async function openAll(caller: Caller): Promise<string[]> {
  const sessions: string[] = [];
  await inParallel(USERS, 64, async (i) => {
    const { status, text } = await caller.send({
      method: "POST",
      path: "/v1/sessions",
      body: { user: `user-${i}` },
    });
    const session = /"session":"([^"]+)"/.exec(text)?.[1];
    if (status !== 201 || session === undefined) throw new Error(`a login was answered ${status}: ${text}`);
    sessions.push(session);
  });
  return sessions;
}

/** Lists, then reads: each from a generator of its own, at the same time. */
function floods(
  stage: Stage,
  { connections, seconds }: Pick<FloodOptions, "connections" | "seconds">,
): Promise<Flooded[]> {
  const { url } = stage.region("cn");
  const both = [LISTS, READS].map((what) =>
    flood({ url, ...what, connections, seconds, folder: stage.folder }),
  );
  return Promise.all(both);
}

async function important(caller: Caller, sessions: readonly string[], ms: number) {
  const of = (i: number): string => sessions[i % sessions.length] ?? "";
  const beat = (i: number): Call => ({ method: "POST", path: `/v1/sessions/${of(i)}/heartbeat` });
  const change = (i: number): Call => ({
    method: "PATCH",
    path: `/v1/sessions/${of(i)}`,
    body: { status: i % 2 === 0 ? "away" : "online" },
  });
  const [heartbeats, writes] = await Promise.all([
    pace(caller, { perSecond: HEARTBEATS_PER_SECOND, ms, withinMs: WITHIN_MS }, beat),
    pace(caller, { perSecond: WRITES_PER_SECOND, ms, withinMs: WITHIN_MS }, change),
  ]);
  return { heartbeats, writes };
}

async function metricsOf(caller: Caller): Promise<string> {
  return (await caller.send({ method: "GET", path: "/metrics" })).text;
}

function sum(flooded: readonly Flooded[]): Flooded {
  return {
    sentPerSecond: flooded.reduce((total, one) => total + one.sentPerSecond, 0),
    servedPerSecond: flooded.reduce((total, one) => total + one.servedPerSecond, 0),
  };
}

function goodput({ good, offered }: Paced): number {
  return Math.floor((1_000 * good) / offered) / 10;
}

function describe({ byStatus }: Paced): string {
  return [...byStatus].map(([status, count]) => `${count} × ${status}`).join(", ");
}
