/**
 * `kick`: one terminal at a time, across regions: how long after the winner's login was acknowledged the loser's heartbeat is refused in
 * its own region, and that any number of logins at once leave one session of each user, the same one everywhere.
 */
import { performance } from "node:perf_hooks";
import type { RegionApi } from "../../infra/demo/api.ts";
import { Stage as Regions } from "../faults/stage.ts";
import type { StageRegion } from "../faults/stage-region.ts";
import type { Benchmark, Report, RunOptions } from "./support/benchmark.ts";
import { mustHold } from "./support/benchmark.ts";
import { Latency } from "./support/latency.ts";
import type { Stage } from "./support/stage.ts";
import { random32, round } from "./support/stats.ts";

const RTT_MS = 100;
const KICKS = 400;
const KICKS_AT_ONCE = 8;
/** From the winner's acknowledgement: to the home and from there to the loser, and what batching, folding and looking cost. */
const KICKED_MS_MAX = 1.5 * RTT_MS + 100;
const LOOK_EVERY_MS = 4;
const LOGINS = 10_000;
const USERS = 1_000;
const LOGINS_AT_ONCE = 192;
const SETTLED_MS_MAX = 60_000;
const SEED = 20_261_121;

export const kick: Benchmark = {
  name: "kick",
  summary: `one terminal at a time across regions, ${RTT_MS} ms apart`,
  description: [
    `Three whole regions, ${RTT_MS} ms round trip between any two. ${KICKS} users log in with the policy single in one region, then in another, their home being any of the three;`,
    "one sample each, from the second login's acknowledgement until the first session's heartbeat is answered 410.",
    "Yardstick: the same two logins without a policy, from the second one's acknowledgement until the first one's region shows it.",
    `Then ${LOGINS} logins of ${USERS} users in random regions, ${LOGINS_AT_ONCE} at once: each user must have one session left, the same one in all regions, and every other be refused.`,
  ],
  secondsDefault: 1,
  run,
};

async function run(stage: Stage, { say }: RunOptions): Promise<Report> {
  const regions = await Regions.start({ rttMs: RTT_MS, ttlMs: 120_000, heartbeatMs: 30_000 }, stage.signal);
  stage.onEnd(() => regions.stop());
  const random = random32(SEED);
  const [kicked, shown] = [new Latency(), new Latency()];
  const kicks = Array.from({ length: KICKS }, (_, index) => index);
  const work = Array.from({ length: KICKS_AT_ONCE }, async () => {
    for (let index = kicks.shift(); index !== undefined; index = kicks.shift()) {
      const [home, from, to] = places(regions.regions, random);
      shown.add(await untilShown(`shown-${index}`, home, from, to));
      kicked.add(await untilKicked(`kicked-${index}`, home, from, to));
    }
  });
  await Promise.all(work);
  say(`${KICKS} kicks done`);
  const crowd = await crowded(regions.regions, random);
  const [told, bare] = [kicked.figures(), shown.figures()];
  const ratio = round(told.p99Ms / bare.p99Ms, 2);
  return {
    rows: [
      { what: "kick visible to the loser, p50", value: told.p50Ms, unit: "ms", digits: 1 },
      {
        what: "kick visible to the loser, p99",
        value: told.p99Ms,
        unit: "ms",
        digits: 1,
        bar: { atMost: KICKED_MS_MAX },
      },
      { what: "yardstick: login shown there, p50", value: bare.p50Ms, unit: "ms", digits: 1 },
      { what: "yardstick: login shown there, p99", value: bare.p99Ms, unit: "ms", digits: 1 },
      { what: "concurrent logins", value: LOGINS, unit: "" },
      {
        what: "users without exactly one session everywhere",
        value: crowd.wrong,
        unit: "",
        bar: { atMost: 0 },
      },
      { what: "losers that were not told", value: crowd.untold.length, unit: "", bar: { atMost: 0 } },
      { what: "settled after the last login", value: crowd.settledMs, unit: "ms" },
      { what: "losers told after the last login", value: crowd.toldMs, unit: "ms" },
    ],
    notes: [
      `p99 of the kick is ${ratio} times that of a login: the home has to say who won.`,
      ...crowd.untold.slice(0, 3),
    ],
    figures: {
      rttMs: RTT_MS,
      kicks: KICKS,
      kicked: told,
      yardstick: { shown: bare },
      ratio,
      logins: LOGINS,
      users: USERS,
      ...crowd,
      untold: crowd.untold.length,
    },
  };
}

/** A home, and two other places to log in at, which may be the home too. */
function places(regions: readonly StageRegion[], random: () => number): [string, StageRegion, StageRegion] {
  const pick = <T>(from: readonly T[]): T => {
    const one = from[random() % from.length];
    mustHold(one !== undefined, "nothing to choose from");
    return one;
  };
  const from = pick(regions);
  return [pick(regions).name, from, pick(regions.filter((one) => one !== from))];
}

/** Resolves with how long after its acknowledgement the login at `to` is shown at `from`. */
async function untilShown(user: string, home: string, from: StageRegion, to: StageRegion): Promise<number> {
  await settledLogin(from, to, { user, home }, "multi");
  const { session, ackedMs } = await login(to.api, user, "multi");
  return until(`${session} is shown`, ackedMs, () => isShownAt(from, user, session));
}

async function isShownAt(region: StageRegion, user: string, session: string): Promise<boolean> {
  const [shown] = await sessionsAt(region.api, [user]);
  return shown?.includes(session) === true;
}

/** Resolves with how long after the acknowledgement of the login at `to` the session at `from` is refused. */
async function untilKicked(user: string, home: string, from: StageRegion, to: StageRegion): Promise<number> {
  const first = await settledLogin(from, to, { user, home }, "single");
  const { session, ackedMs } = await login(to.api, user, "single");
  return until(
    `${first} is kicked by ${session}`,
    ackedMs,
    async () => (await refusalOf(from.api, first)) === "kicked",
  );
}

/** Logs in, and waits until the region of the next login shows it, which then asks the same home, and until the home has it. */
async function settledLogin(
  at: StageRegion,
  next: StageRegion,
  { user, home }: { readonly user: string; readonly home: string },
  policy: string,
): Promise<string> {
  const { session } = await login(at.api, user, policy, home);
  await until(`${session} is shown at ${next.name}`, performance.now(), () => isShownAt(next, user, session));
  await new Promise((resolve) => setTimeout(resolve, 3 * RTT_MS));
  return session;
}

async function login(
  api: RegionApi,
  user: string,
  policy: string,
  home?: string,
): Promise<{ readonly session: string; readonly ackedMs: number }> {
  const answer = await api.login({ user, policy, ...(home !== undefined && { home }) });
  mustHold(answer.ok, `a login of ${user} failed: ${answer.ok ? "" : answer.reason}`);
  return { session: answer.value.session, ackedMs: performance.now() };
}

async function until(what: string, sinceMs: number, holds: () => Promise<boolean>): Promise<number> {
  while (!(await holds())) {
    mustHold(performance.now() - sinceMs < SETTLED_MS_MAX, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return performance.now() - sinceMs;
}

/** The session ids of each user, as a region shows them. */
async function sessionsAt(api: RegionApi, users: readonly string[]): Promise<readonly (readonly string[])[]> {
  const answer = await api.presences(users);
  mustHold(answer.ok, answer.ok ? "" : answer.reason);
  return answer.value.map(({ sessions }) => sessions.map(({ session }) => session));
}

/** Why a heartbeat of the session is refused; undefined while it is not. */
async function refusalOf(api: RegionApi, session: string): Promise<string | undefined> {
  const answer = await api.heartbeats([session]);
  mustHold(answer.ok, answer.ok ? "" : answer.reason);
  return answer.value.ended.find((one) => one.session === session)?.reason;
}

interface Crowd {
  /** Users of whom the regions do not show one and the same session. */
  readonly wrong: number;
  /** Sessions that nobody shows and that were not refused as kicked in time, with what became of them instead. */
  readonly untold: readonly string[];
  /** Until all regions showed the same, and until all losers were refused. */
  readonly settledMs: number;
  readonly toldMs: number;
}

async function crowded(regions: readonly StageRegion[], random: () => number): Promise<Crowd> {
  const users = Array.from({ length: USERS }, (_, index) => `crowd-${index}`);
  const opened = new Map<StageRegion, string[]>(regions.map((region) => [region, []]));
  let left = LOGINS;
  const work = Array.from({ length: LOGINS_AT_ONCE }, async () => {
    while (left > 0) {
      left -= 1;
      const [user, region] = [users[random() % USERS], regions[random() % regions.length]];
      mustHold(user !== undefined && region !== undefined, "nobody logs in nowhere");
      const { session } = await login(region.api, user, "single");
      opened.get(region)?.push(session);
    }
  });
  await Promise.all(work);
  const startedMs = performance.now();
  let wrong = await disagreeing(regions, users);
  while (wrong > 0 && performance.now() - startedMs < SETTLED_MS_MAX)
    wrong = await disagreeing(regions, users);
  const settledMs = Math.round(performance.now() - startedMs);
  const shown = new Set((await shownBy(regions[0], users)).flat());
  const losers = [...opened].map(([region, sessions]): Losers => [
    region,
    sessions.filter((one) => !shown.has(one)),
  ]);
  let untold = await untoldOf(losers);
  while (untold.length > 0 && performance.now() - startedMs < SETTLED_MS_MAX) untold = await untoldOf(losers);
  const toldMs = Math.round(performance.now() - startedMs);
  return { wrong, untold, settledMs, toldMs };
}

type Losers = readonly [StageRegion, readonly string[]];

/** What became of the losers' sessions, of those that are not refused as kicked. */
async function untoldOf(losers: readonly Losers[]): Promise<readonly string[]> {
  const untold: string[] = [];
  for (const [region, sessions] of losers)
    for (let at = 0; at < sessions.length; at += 1_000) {
      const some = sessions.slice(at, at + 1_000);
      const answer = await region.api.heartbeats(some);
      mustHold(answer.ok, answer.ok ? "" : answer.reason);
      const ends = new Map(answer.value.ended.map(({ session, reason }) => [session, reason]));
      for (const one of some)
        if (ends.get(one) !== "kicked") untold.push(`${one}: ${ends.get(one) ?? "renewed"}`);
    }
  return untold;
}

async function disagreeing(regions: readonly StageRegion[], users: readonly string[]): Promise<number> {
  const [first, ...others] = await Promise.all(regions.map((region) => shownBy(region, users)));
  return users.filter((_, index) => {
    const sessions = first?.[index] ?? [];
    return sessions.length !== 1 || others.some((other) => other[index]?.join() !== sessions.join());
  }).length;
}

async function shownBy(
  region: StageRegion | undefined,
  users: readonly string[],
): Promise<readonly (readonly string[])[]> {
  mustHold(region !== undefined, "there are regions");
  return sessionsAt(region.api, users);
}
