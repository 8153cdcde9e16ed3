/**
 * The steps of the scripted scenario. Rule: each first makes sure that its fault is really there (nothing crosses a cut link, nothing
 * answers from a killed process), so that going on working means something.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { untilEqual } from "./compare.ts";
import type { SmokeRun } from "./smoke-run.ts";
import { DIRECTIONS, REGIONS, directionName, linkBetween, peersOf, type DemoRegion } from "./topology.ts";

const SAMPLES = 5;
/** The acknowledgement itself takes time, by which a read may seem earlier than one-way delay; more would be a way around the WAN. */
const CLOCK_SLACK_MS = 10;
const VISIBLE_TIMEOUT_MS = 5_000;
const NOTICE_TIMEOUT_MS = 5_000;
const HEAL_TIMEOUT_MS = 30_000;
const BACK_TIMEOUT_MS = 30_000;
const CONVERGE_TIMEOUT_MS = 30_000;
const CUT_MS = 3_000;
const DOWN_MS = 2_000;
const LOGINS_PER_SIDE = 5;
const ATTEMPT_EVERY_MS = 50;
const ATTEMPTS_UNDER_WAY_MAX = 40;

/** From the 201 of a login at the origin to the first read at the replica that shows it, median of some. */
export async function measureVisibility(run: SmokeRun): Promise<void> {
  run.say("logging in at each region, reading at each other");
  const visibleMs: Record<string, number> = {};
  for (const direction of DIRECTIONS) {
    const { origin, replica } = direction;
    const samples: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      const user = run.newUser("visible");
      const before = await run.presenceAt(replica, user);
      run.expect(
        before.status === "offline",
        `${replica} shows ${user} as ${before.status} before the first login`,
      );
      await run.loginAs(user, origin);
      samples.push(await run.visible(replica, [user], VISIBLE_TIMEOUT_MS));
    }
    const median = samples.toSorted((a, b) => a - b)[Math.floor(SAMPLES / 2)] ?? Number.NaN;
    const oneWayMs = linkBetween(origin, replica).rttMs / 2;
    const name = directionName(direction);
    run.expect(
      median >= oneWayMs - CLOCK_SLACK_MS,
      `${name} in ${median} ms is faster than the simulated line`,
    );
    visibleMs[name] = Math.round(median);
  }
  run.set({ visibleMs });
  run.say(`visible after ${JSON.stringify(visibleMs)} ms`);
}

/** Somebody homed in cn logs in at us. */
export async function travel(run: SmokeRun): Promise<void> {
  const user = await run.login("us", "traveller", "cn");
  const times = await Promise.all(REGIONS.map((region) => run.visible(region, [user], VISIBLE_TIMEOUT_MS)));
  const presences = await Promise.all(REGIONS.map((region) => run.presenceAt(region, user)));
  for (const { home, sessions } of presences) {
    run.expect(home === "cn", `the traveller's home is ${home}, not cn`);
    run.expect(sessions[0]?.region === "us", `the traveller is connected to ${sessions[0]?.region}, not us`);
  }
  run.set({ travellerVisibleMs: Math.round(Math.max(...times)) });
  run.say(`a traveller of cn at us is visible everywhere after ${Math.round(Math.max(...times))} ms`);
}

/** Cuts cn–us, goes on working on both sides, heals. */
export async function cutAndHeal(run: SmokeRun): Promise<void> {
  await run.cut("cn-us", true);
  const noticed = await run.wait("both sides to notice the cut", NOTICE_TIMEOUT_MS, async () => {
    const states = await run.world.linkStates();
    const [there, back] = [states.get("cn→us"), states.get("us→cn")];
    return there !== "live" && back !== "live"
      ? { done: true, value: undefined }
      : { done: false, seen: `cn→us ${there}, us→cn ${back}` };
  });
  run.set({ cutNoticedMs: Math.round(noticed.tookMs) });
  run.say(`cn-us cut; both sides know after ${Math.round(noticed.tookMs)} ms`);

  const users = await serveDuringCut(run);
  await expectNothingCrosses(run, users);

  const healedMs = performance.now();
  await run.cut("cn-us", false);
  await Promise.all([
    run.visible("us", users.cn, HEAL_TIMEOUT_MS),
    run.visible("cn", users.us, HEAL_TIMEOUT_MS),
    run.world.linksLive(run.signal, HEAL_TIMEOUT_MS),
  ]);
  const cutHealedMs = Math.round(performance.now() - healedMs);
  run.set({ cutHealedMs });
  run.say(`healed: both sides show the other's logins and all links are live after ${cutHealedMs} ms`);
}

/** Logs in and reads on both sides; whoever logs in at one side is also seen by eu, whose links are whole. */
async function serveDuringCut(run: SmokeRun): Promise<{ cn: string[]; us: string[] }> {
  const users: { cn: string[]; us: string[] } = { cn: [], us: [] };
  const untilMs = performance.now() + CUT_MS;
  let served = 0;
  while (performance.now() < untilMs || users.us.length < LOGINS_PER_SIDE) {
    for (const region of ["cn", "us"] as const) {
      if (users[region].length < LOGINS_PER_SIDE) {
        users[region].push(await run.login(region, `cut-${region}`));
        served++;
      }
      for (const user of users[region]) {
        const { status } = await run.presenceAt(region, user);
        run.expect(status === "online", `${region} shows its own ${user} as ${status} during the cut`);
        served++;
      }
    }
    await sleep(20, undefined, { signal: run.signal });
  }
  await run.visible("eu", [...users.cn, ...users.us], VISIBLE_TIMEOUT_MS);
  run.set({ servedDuringCut: served });
  run.say(`${served} logins and reads answered on both sides during the cut`);
  return users;
}

/** Without this, healing would prove nothing. */
async function expectNothingCrosses(run: SmokeRun, users: { cn: string[]; us: string[] }): Promise<void> {
  for (const [replica, others] of [
    ["us", users.cn],
    ["cn", users.us],
  ] as const) {
    for (const user of others) {
      const { status } = await run.presenceAt(replica, user);
      run.expect(status !== "online", `${replica} shows ${user} although the link is cut`);
    }
  }
}

/** SIGKILL of a region's nats-server under logins, and its return on the same store. */
export async function killNatsServer(run: SmokeRun, region: DemoRegion): Promise<void> {
  const attempts = new Attempts(run, region);
  await run.act(region, "nats", "kill");
  expectDown(run, region, "nats");
  run.say(`nats-server of ${region} killed`);
  await sleep(DOWN_MS, undefined, { signal: run.signal });
  const acknowledgedDown = attempts.acknowledgedSince(performance.now() - DOWN_MS / 2);
  run.expect(
    acknowledgedDown === 0,
    `${acknowledgedDown} logins acknowledged at ${region} without its nats-server`,
  );
  for (const peer of peersOf(region)) await run.login(peer, "beside");

  const startedMs = performance.now();
  await run.act(region, "nats", "start");
  await run.wait(`a login at ${region} to be acknowledged again`, BACK_TIMEOUT_MS, () =>
    attempts.acknowledgedSince(startedMs) > 0
      ? { done: true, value: undefined }
      : { done: false, seen: attempts.seen },
  );
  const natsServerBackMs = Math.round(performance.now() - startedMs);
  await attempts.stop();
  await run.world.linksLive(run.signal, BACK_TIMEOUT_MS);
  run.set({ natsServerBackMs });
  run.say(`nats-server of ${region} is back; a login is acknowledged ${natsServerBackMs} ms after its start`);
}

/** SIGKILL of a region's node, and its return. */
export async function killNode(run: SmokeRun, region: DemoRegion): Promise<void> {
  await run.login(region, "before-kill");
  await run.act(region, "node", "kill");
  expectDown(run, region, "node");
  const read = await run.world.apis[region].presence("smoke-visible-1");
  run.expect(!read.ok, "a killed node answers");
  run.say(`node of ${region} killed`);
  await sleep(DOWN_MS, undefined, { signal: run.signal });
  const startedMs = performance.now();
  await run.act(region, "node", "start");
  await run.wait(`the node of ${region} to be ready`, BACK_TIMEOUT_MS, async () => {
    const answer = await run.world.apis[region].send("GET", "/readyz");
    if (!answer.ok) return { done: false, seen: answer.reason };
    return answer.status === 200
      ? { done: true, value: undefined }
      : { done: false, seen: `status ${answer.status}` };
  });
  const nodeReadyMs = Math.round(performance.now() - startedMs);
  await run.world.linksLive(run.signal, BACK_TIMEOUT_MS);
  const nodeBackMs = Math.round(performance.now() - startedMs);
  run.set({ nodeReadyMs, nodeBackMs });
  run.say(
    `node of ${region} is ready ${nodeReadyMs} ms after its start, all links are live after ${nodeBackMs} ms`,
  );
}

/** With the traffic stopped: all regions say the same, and every acknowledged login is in it. */
export async function settle(run: SmokeRun, when: string): Promise<void> {
  await run.traffic.stop();
  run.set({ converged: false });
  const { value: state, tookMs } = await untilEqual(run.world.apis, CONVERGE_TIMEOUT_MS, run.signal);
  run.set({ converged: true, usersCompared: state.users, sessionsCompared: state.sessions });
  const missing = new Set(REGIONS.flatMap((region) => run.checker.missingIn(state.byRegion[region])));
  run.set({ lostAcknowledged: missing.size });
  run.expect(missing.size === 0, `acknowledged logins lost ${when}: ${[...missing].slice(0, 5).join(", ")}`);
  run.say(
    `${when}: ${state.users} users with ${state.sessions} sessions, equal everywhere after ${Math.round(tookMs)} ms`,
  );
}

function expectDown(run: SmokeRun, region: DemoRegion, role: "node" | "nats"): void {
  const state = run.world.region(region).processes()[role]?.state;
  run.expect(state === "down", `the killed ${role} of ${region} is ${state}`);
}

/** Tries to log in somebody new every few ms, and remembers when logins were acknowledged. */
class Attempts {
  seen = "nothing acknowledged";
  private readonly underWay = new Set<Promise<void>>();
  private readonly acknowledgedMs: number[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(run: SmokeRun, region: DemoRegion) {
    this.timer = setInterval(() => {
      if (this.underWay.size >= ATTEMPTS_UNDER_WAY_MAX) return;
      const attempt = this.attempt(run, region).finally(() => this.underWay.delete(attempt));
      this.underWay.add(attempt);
    }, ATTEMPT_EVERY_MS);
  }

  acknowledgedSince(sinceMs: number): number {
    return this.acknowledgedMs.filter((atMs) => atMs >= sinceMs).length;
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
  }

  private async attempt(run: SmokeRun, region: DemoRegion): Promise<void> {
    const opened = await run.checker.login(region, { user: run.newUser("attempt") });
    if (opened.ok) this.acknowledgedMs.push(performance.now());
    else this.seen = opened.reason;
  }
}
