/**
 * Watches for the two things that must never happen, all through the smoke: an acknowledged login that is lost, and a session whose
 * heartbeats are accepted read as offline by a replica in touch.
 * Rule: judges only what it has itself seen acknowledged, accepted, and online at that replica before; counts how much it judged.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Login, Opened, Presence, RegionApi, Result } from "./api.ts";
import { REGIONS, type DemoRegion } from "./topology.ts";

const HEARTBEAT_EVERY_MS = 100;
const READ_EVERY_MS = 50;
/** A session without an accepted heartbeat for this long is not judged: well below every TTL. */
const ACCEPTED_WITHIN_MS = 20_000;
const EXAMPLES_KEPT = 5;

interface Tracked {
  readonly user: string;
  readonly session: string;
  readonly connected: DemoRegion;
  readonly seenOnlineAt: Set<DemoRegion>;
  acceptedMs: number;
}

export interface CheckerCounts {
  readonly acknowledgedLogins: number;
  readonly acceptedHeartbeats: number;
  /** Heartbeats of live sessions answered with "ended". */
  readonly refusedHeartbeats: number;
  readonly judgedReads: number;
  readonly falseOffline: number;
  /** Read as offline by a replica that said it was not in touch. */
  readonly staleOffline: number;
}

export class Checker {
  private readonly apis: Readonly<Record<DemoRegion, RegionApi>>;
  private readonly tracked = new Map<string, Tracked>();
  private readonly stopping = new AbortController();
  private loops: Promise<void>[] = [];
  private acceptedHeartbeats = 0;
  private refusedHeartbeats = 0;
  private judgedReads = 0;
  private falseOffline = 0;
  private staleOffline = 0;
  /** The first of each kind, in words. */
  readonly examples: string[] = [];
  readonly staleExamples: string[] = [];
  readonly refusalExamples: string[] = [];

  constructor(apis: Readonly<Record<DemoRegion, RegionApi>>) {
    this.apis = apis;
  }

  start(): void {
    this.loops = REGIONS.flatMap((region) => [
      this.repeat(HEARTBEAT_EVERY_MS, () => this.beat(region)),
      this.repeat(READ_EVERY_MS, () => this.read(region)),
    ]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.loops);
  }

  /** Logs in at `region`; once acknowledged the session is kept alive and watched to the end. Each user once. */
  async login(region: DemoRegion, login: Login): Promise<Result<Opened>> {
    const opened = await this.apis[region].login(login);
    if (opened.ok) {
      const { user, session } = opened.value;
      const seenOnlineAt = new Set<DemoRegion>();
      this.tracked.set(user, {
        user,
        session,
        connected: region,
        seenOnlineAt,
        acceptedMs: performance.now(),
      });
    }
    return opened;
  }

  counts(): CheckerCounts {
    const { acceptedHeartbeats, refusedHeartbeats, judgedReads, falseOffline, staleOffline } = this;
    const acknowledgedLogins = this.tracked.size;
    return {
      acknowledgedLogins,
      acceptedHeartbeats,
      refusedHeartbeats,
      judgedReads,
      falseOffline,
      staleOffline,
    };
  }

  /** Users whose acknowledged session is missing in what a region says of everyone online. */
  missingIn(online: readonly Presence[]): string[] {
    const sessions = new Set(online.flatMap((presence) => presence.sessions.map(({ session }) => session)));
    return [...this.tracked.values()].filter(({ session }) => !sessions.has(session)).map(({ user }) => user);
  }

  private async beat(region: DemoRegion): Promise<void> {
    const here = [...this.tracked.values()].filter(({ connected }) => connected === region);
    if (here.length === 0) return;
    const sentMs = performance.now();
    const answer = await this.apis[region].heartbeats(here.map(({ session }) => session));
    if (!answer.ok) return; // a region that is down; its sessions count as accepted until the time bound
    const ended = new Map(answer.value.ended.map(({ session, reason }) => [session, reason]));
    for (const each of here) {
      const refusal = ended.get(each.session);
      if (refusal === undefined) {
        each.acceptedMs = sentMs;
        this.acceptedHeartbeats++;
      } else {
        this.refusedHeartbeats++;
        keep(this.refusalExamples, `session of ${each.user} refused by ${region}: ${refusal}`);
      }
    }
  }

  private async read(region: DemoRegion): Promise<void> {
    const asked = [...this.tracked.values()];
    if (asked.length === 0) return;
    const answer = await this.apis[region].presences(asked.map(({ user }) => user));
    if (!answer.ok) return; // no answer is no statement
    answer.value.forEach((presence, i) => {
      const each = asked[i];
      if (each !== undefined) this.judge(region, each, presence);
    });
  }

  private judge(region: DemoRegion, each: Tracked, { status, freshness }: Presence): void {
    if (status !== "offline" && status !== "unknown") each.seenOnlineAt.add(region);
    const acceptedAgoMs = performance.now() - each.acceptedMs;
    if (!each.seenOnlineAt.has(region) || acceptedAgoMs > ACCEPTED_WITHIN_MS) return;
    this.judgedReads++;
    if (status !== "offline") return;
    const inTouch = freshness === "live";
    if (inTouch) this.falseOffline++;
    else this.staleOffline++;
    const where = `${each.user} (connected to ${each.connected}) read as offline, ${freshness}, at ${region}`;
    keep(inTouch ? this.examples : this.staleExamples, where);
  }

  private async repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await work();
      // Rejects when stopped, which is the end of the loop.
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function keep(examples: string[], text: string): void {
  if (examples.length < EXAMPLES_KEPT) examples.push(text);
}
