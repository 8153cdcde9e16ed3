/**
 * Live traffic: a population that logs in and out, views pages and changes status, over plain HTTP, at a given rate overall, and
 * heartbeats for everything that is logged in.
 * Rule: bounded in users, sessions and calls under way; a failure is counted and the traffic goes on.
 */
import { clearInterval, setInterval } from "node:timers";
import { performance } from "node:perf_hooks";
import type { RegionApi } from "./api.ts";
import type { Method } from "./http.ts";
import { REGIONS, type DemoRegion } from "./topology.ts";

const USERS_PER_REGION = 400;
/** Every 20th user is homed in one region and connected to another. */
const TRAVELLER_EVERY = 20;
const UNDER_WAY_MAX = 64;
const TICK_MS = 20;
const HEARTBEAT_EVERY_MS = 10_000;
const SESSION_ENDED = 410;
/** Share of the events, in percent; the rest are page views. */
const SHARE = { login: 20, logout: 14, status: 16 } as const;

interface Person {
  readonly user: string;
  readonly home: DemoRegion;
  readonly connected: DemoRegion;
  session: string | undefined;
  busy: boolean;
}

export interface TrafficCounts {
  /** Answered as the API promises. */
  readonly ok: number;
  /** By status, or by reason where there was no answer. */
  readonly failed: Readonly<Record<string, number>>;
  /** Not sent: too many calls were under way. */
  readonly skipped: number;
  readonly loggedIn: number;
}

export class Traffic {
  private readonly apis: Readonly<Record<DemoRegion, RegionApi>>;
  private readonly eventsPerSecond: number;
  private readonly people: readonly Person[] = population();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private readonly failed = new Map<string, number>();
  private okCount = 0;
  private skipped = 0;
  private due = 0;
  private lastTickMs = 0;

  constructor(apis: Readonly<Record<DemoRegion, RegionApi>>, eventsPerSecond: number) {
    this.apis = apis;
    this.eventsPerSecond = eventsPerSecond;
  }

  start(): void {
    if (this.eventsPerSecond === 0) return;
    this.lastTickMs = performance.now();
    this.timers.push(setInterval(() => this.tick(), TICK_MS));
    this.timers.push(setInterval(() => this.heartbeats(), HEARTBEAT_EVERY_MS));
  }

  /** Sends nothing new; resolves when nothing is under way. Sessions stay as they are. */
  async stop(): Promise<void> {
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    await Promise.all(this.underWay);
  }

  counts(): TrafficCounts {
    const loggedIn = this.people.filter((person) => person.session !== undefined).length;
    return { ok: this.okCount, failed: Object.fromEntries(this.failed), skipped: this.skipped, loggedIn };
  }

  private tick(): void {
    const now = performance.now();
    // After a pause of this process the missed events are not made up for.
    this.due += Math.min(1, (now - this.lastTickMs) / 1_000) * this.eventsPerSecond;
    this.lastTickMs = now;
    for (; this.due >= 1; this.due--) {
      const person = this.people[Math.floor(Math.random() * this.people.length)];
      if (this.underWay.size >= UNDER_WAY_MAX) this.skipped++;
      else if (person !== undefined && !person.busy) this.track(this.event(person));
    }
  }

  private async event(person: Person): Promise<void> {
    person.busy = true;
    const draw = Math.random() * 100;
    if (draw < SHARE.login + SHARE.logout) await this.logInOrOut(person, draw < SHARE.login);
    else if (draw < SHARE.login + SHARE.logout + SHARE.status) await this.changeStatus(person);
    else await this.viewPage(person);
    person.busy = false;
  }

  private async logInOrOut(person: Person, wantsIn: boolean): Promise<void> {
    const { user, home, connected, session } = person;
    if (wantsIn && session === undefined) {
      const traveller = home === connected ? {} : { home };
      const opened = await this.apis[connected].login({
        user,
        device: "phone",
        platform: "ios",
        ...traveller,
      });
      if (opened.ok) person.session = opened.value.session;
      this.count(opened.ok ? undefined : shortly(opened.reason));
    } else if (!wantsIn && session !== undefined) {
      const status = await this.call("DELETE", connected, `/v1/sessions/${session}`);
      if (status !== undefined) person.session = undefined;
    } else {
      await this.viewPage(person);
    }
  }

  private async changeStatus(person: Person): Promise<void> {
    const { session, connected, user } = person;
    const status = Math.random() < 0.5 ? "away" : "online";
    if (session === undefined) await this.call("GET", connected, `/v1/users/${user}/presence`);
    else if ((await this.call("PATCH", connected, `/v1/sessions/${session}`, { status })) === SESSION_ENDED)
      person.session = undefined;
  }

  /** Travellers only use their session: a first page view elsewhere would name no home. */
  private async viewPage({ user, home, connected }: Person): Promise<void> {
    if (home === connected) await this.call("PUT", connected, `/v1/users/${user}/heartbeat?device=web`);
    else await this.call("GET", connected, `/v1/users/${user}/presence`);
  }

  private heartbeats(): void {
    for (const region of REGIONS) {
      const people = this.people.filter(
        ({ connected, session }) => connected === region && session !== undefined,
      );
      if (people.length > 0) this.track(this.heartbeat(region, people));
    }
  }

  private async heartbeat(region: DemoRegion, people: readonly Person[]): Promise<void> {
    const bySession = new Map<string, Person>();
    for (const person of people) if (person.session !== undefined) bySession.set(person.session, person);
    const answer = await this.apis[region].heartbeats([...bySession.keys()]);
    this.count(answer.ok ? undefined : shortly(answer.reason));
    if (!answer.ok) return;
    for (const { session } of answer.value.ended) {
      const person = bySession.get(session);
      if (person?.session === session) person.session = undefined;
    }
  }

  /** The status, when the answer is a success or says that the session is over. */
  private async call(
    method: Method,
    region: DemoRegion,
    path: string,
    body?: unknown,
  ): Promise<number | undefined> {
    const answer = await this.apis[region].send(method, path, body);
    const success = answer.ok && (answer.status < 300 || answer.status === SESSION_ENDED);
    this.count(success ? undefined : answer.ok ? `status ${answer.status}` : answer.reason);
    return success ? answer.status : undefined;
  }

  private count(failure: string | undefined): void {
    if (failure === undefined) this.okCount++;
    else this.failed.set(failure, (this.failed.get(failure) ?? 0) + 1);
  }

  private track(work: Promise<void>): void {
    const settled = work.finally(() => this.underWay.delete(settled));
    this.underWay.add(settled);
  }
}

/** The part before the details, so that there are few kinds of failures. */
function shortly(reason: string): string {
  return reason.split(":", 1)[0] ?? reason;
}

function population(): Person[] {
  return REGIONS.flatMap((home, index) =>
    Array.from({ length: USERS_PER_REGION }, (_, i) => {
      const away = REGIONS[(index + 1 + (i % 2)) % REGIONS.length] ?? home;
      const connected = i % TRAVELLER_EVERY === 0 ? away : home;
      return { user: `${home}-user-${i}`, home, connected, session: undefined, busy: false };
    }),
  );
}
