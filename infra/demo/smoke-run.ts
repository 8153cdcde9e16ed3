/**
 * One run of the scenario: what the steps share, what they measured, and what failed.
 * Rule: the run is ok only if no expectation failed and the steps came to their end.
 */
import { performance } from "node:perf_hooks";
import type { Checker } from "./checker.ts";
import type { HttpClient } from "./http.ts";
import { natsSilence } from "./region-processes.ts";
import type { Action, Role } from "./runtime.ts";
import { REGIONS, type DemoRegion } from "./topology.ts";
import type { Traffic, TrafficCounts } from "./traffic.ts";
import { waitFor, type Look } from "./wait.ts";
import type { World } from "./world.ts";

/** Milliseconds, rounded. Members are absent when the run did not come to measuring them. */
export interface SmokeReport {
  ok: boolean;
  failures: readonly string[];
  regions?: number;
  natsServers?: number;
  /** Median from the acknowledgement of a login to the first read that shows it, by origin→replica. */
  visibleMs?: Record<string, number>;
  travellerVisibleMs?: number;
  /** From the cut until both sides no longer call the link live. */
  cutNoticedMs?: number;
  /** Calls answered on both sides while the link was cut. */
  servedDuringCut?: number;
  /** From healing until both sides show the other's logins and call the links live. */
  cutHealedMs?: number;
  /** From starting the nats-server again until a login is acknowledged. */
  natsServerBackMs?: number;
  /** From starting the node again until it is ready. */
  nodeReadyMs?: number;
  /** From starting the node again until it is ready and all links are live. */
  nodeBackMs?: number;
  converged?: boolean;
  usersCompared?: number;
  sessionsCompared?: number;
  acknowledgedLogins?: number;
  lostAcknowledged?: number;
  acceptedHeartbeats?: number;
  refusedHeartbeats?: number;
  judgedReads?: number;
  falseOffline?: number;
  staleOffline?: number;
  traffic?: TrafficCounts;
  tookMs: number;
}

/** A step cannot go on. */
export class SmokeFailure extends Error {
  override readonly name = "SmokeFailure";
}

export interface SmokeParts {
  readonly world: World;
  readonly controlUrl: string;
  readonly http: HttpClient;
  readonly checker: Checker;
  readonly traffic: Traffic;
  readonly signal: AbortSignal;
}

export class SmokeRun {
  readonly world: World;
  readonly checker: Checker;
  readonly traffic: Traffic;
  readonly signal: AbortSignal;
  private readonly parts: SmokeParts;
  private readonly failures: string[] = [];
  private readonly startedMs = performance.now();
  private measured: Partial<SmokeReport> = {};
  private users = 0;

  constructor(parts: SmokeParts) {
    this.parts = parts;
    this.world = parts.world;
    this.checker = parts.checker;
    this.traffic = parts.traffic;
    this.signal = parts.signal;
  }

  /** A user name that was not used before. */
  newUser(kind: string): string {
    return `smoke-${kind}-${++this.users}`;
  }

  set(figures: Partial<SmokeReport>): void {
    this.measured = { ...this.measured, ...figures };
  }

  say(line: string): void {
    const seconds = ((performance.now() - this.startedMs) / 1_000).toFixed(1).padStart(6);
    process.stderr.write(`smoke ${seconds} s  ${line}\n`);
  }

  fail(what: string): void {
    this.failures.push(what);
    this.say(`FAILED: ${what}`);
  }

  expect(condition: boolean, failure: string): void {
    if (!condition) this.fail(failure);
  }

  wait<T>(what: string, timeoutMs: number, look: () => Promise<Look<T>> | Look<T>) {
    return waitFor({ what, timeoutMs, everyMs: 5, signal: this.signal }, look);
  }

  /** Logs in through the checker; a login that is not acknowledged ends the run. */
  async login(region: DemoRegion, kind: string, home?: DemoRegion): Promise<string> {
    return this.loginAs(this.newUser(kind), region, home);
  }

  async loginAs(user: string, region: DemoRegion, home?: DemoRegion): Promise<string> {
    const opened = await this.checker.login(region, home === undefined ? { user } : { user, home });
    if (!opened.ok) throw new SmokeFailure(`login of ${user} at ${region}: ${opened.reason}`);
    return user;
  }

  async presenceAt(region: DemoRegion, user: string) {
    const presence = await this.world.apis[region].presence(user);
    if (!presence.ok) throw new SmokeFailure(`presence of ${user} at ${region}: ${presence.reason}`);
    return presence.value;
  }

  /** Until `region` shows all of `users` online; resolves with how long that took. */
  async visible(region: DemoRegion, users: readonly string[], timeoutMs: number): Promise<number> {
    const { tookMs } = await this.wait(`${region} to show ${users.join(", ")}`, timeoutMs, async () => {
      const answer = await this.world.apis[region].presences(users);
      if (!answer.ok) return { done: false, seen: answer.reason };
      const others = answer.value.filter(({ status }) => status !== "online");
      if (others.length === 0) return { done: true, value: undefined };
      return {
        done: false,
        seen: others.map(({ user, status, freshness }) => `${user} ${status} (${freshness})`).join(),
      };
    });
    return tookMs;
  }

  cut(link: string, cut: boolean): Promise<unknown> {
    return this.control("PUT", `/links/${link}`, { cut });
  }

  act(region: DemoRegion, role: Role, action: Action): Promise<unknown> {
    return this.control("POST", `/processes/${region}/${role}`, { action });
  }

  /** How many regions have a nats-server that speaks. */
  async countServers(): Promise<void> {
    const urls = REGIONS.flatMap((region) => this.world.region(region).addresses.nats ?? []);
    const silences = await Promise.all(urls.map((url) => natsSilence(Number(new URL(url).port))));
    const natsServers = silences.filter((silence) => silence === undefined).length;
    this.set({ regions: this.world.regions.size, natsServers });
    this.expect(natsServers === urls.length, `only ${natsServers} of ${urls.length} nats-servers speak`);
  }

  report(): SmokeReport {
    const tookMs = Math.round(performance.now() - this.startedMs);
    return { ok: this.failures.length === 0, failures: this.failures, ...this.measured, tookMs };
  }

  private async control(method: "PUT" | "POST", path: string, body: unknown): Promise<unknown> {
    const answer = await this.parts.http.send(method, this.parts.controlUrl, path, body);
    if (answer.ok && answer.status === 200) return answer.body;
    throw new SmokeFailure(`control ${path}: ${answer.ok ? JSON.stringify(answer.body) : answer.reason}`);
  }
}
