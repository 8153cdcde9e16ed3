/**
 * The presence service of one node: requests become commands, leases are kept, and the effects of the core are carried out.
 * Rule: a write is acknowledged when its frame is in the region's log; a heartbeat touches memory only.
 */
import { linksOf } from "./replication-view.ts";
import type {
  Frame,
  Position,
  PreferredStatus,
  Region,
  SessionId,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEffect, NodeEvent } from "../../replicator/core/node-events.ts";
import { stoodFor } from "../../replicator/core/succession.ts";
import type { Token } from "../../replicator/core/token.ts";
import { Abreast } from "./abreast.ts";
import { Capacity } from "./capacity.ts";
import { describePresence } from "./describe.ts";
import type { RegionTimes } from "./describe.ts";
import { Evacuating } from "./evacuating.ts";
import { Healing } from "./healing.ts";
import { Homeward } from "./homeward.ts";
import { Leases } from "./leases.ts";
import { onlinePage, occupancyOf } from "./listing.ts";
import type { OnlineFilter } from "./listing.ts";
import { LocalSessions } from "./local-sessions.ts";
import type { PresenceOptions } from "./presence-options.ts";
import { Reads } from "./reads.ts";
import type { EvacuationAnswer, EvacuationRequest, RegionView } from "./evacuation-view.ts";
import type {
  Bounds,
  Consistency,
  HeartbeatRefusal,
  Occupancy,
  OnlinePage,
  OpenInput,
  OpenedSession,
  Outcome,
  PresenceService,
  PresenceView,
  Reading,
  ReadOptions,
  ReplicationView,
  SettingView,
} from "./service.ts";
import { Tally } from "./tally.ts";
import { REHOME_LOGINS, Travellers } from "./travellers.ts";
import { connectedOf, unsureOf, unsureOfAny } from "./unsure.ts";
import { Waiters } from "./waiters.ts";
import { Writes } from "./writes.ts";

const NO_SETTINGS: ReadonlyMap<string, SettingView> = new Map();

export class Presence implements PresenceService {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly node: PresenceNode;
  readonly tally = new Tally();
  readonly reads: Reads;
  readonly homeward: Homeward;
  readonly travellers: Travellers;
  readonly #options: PresenceOptions;
  readonly #leases: Leases;
  readonly #local: LocalSessions;
  readonly healing: Healing;
  readonly #writes: Writes;
  readonly #evacuating: Evacuating;
  readonly #waiters = new Waiters(() => this.applied());
  readonly abreast: () => Promise<Outcome<undefined>>;
  readonly #capacity: Capacity;
  #hearing = true;
  #tickAtMs: number;
  #rechecking = false;

  constructor(options: PresenceOptions) {
    const { region, regions, clock, append, mintSession, random } = options;
    const { ttlMs = LIMITS.ttlMs, heartbeatMs = LIMITS.heartbeatMs } = options;
    const { tally } = this;
    this.region = region;
    this.#options = options;
    const node = new PresenceNode(region, regions, ttlMs);
    this.node = node;
    this.regions = node.replica.regions;
    this.#tickAtMs = clock().monoMs;
    const leases = new Leases(clock().monoMs, ttlMs);
    this.#leases = leases;
    const local = new LocalSessions(leases, tally);
    this.#local = local;
    const { capacity = new Capacity() } = options;
    this.#capacity = capacity;
    const waiters = this.#waiters;
    const abreast = new Abreast({ region, waiters, applied: () => this.applied(), logEnd: options.logEnd });
    this.abreast = () => abreast.reached();
    this.reads = new Reads({
      region,
      regions: this.regions,
      clock,
      waiters,
      presence: (user) => this.presence(user),
      unsure: (user) => unsureOf(node.replica, leases, user),
      unsureOfAny: () => unsureOfAny(node.replica, leases),
      applied: () => this.applied(),
      ageMs: (origin) => node.matrix.watermarkAgeMaxMs(origin, clock()),
      stoodFor: () => stoodFor(node.replica.folds),
      heads: options.heads ?? (async () => ({ heads: new Map(), unheard: this.regions })),
      elsewhere: options.elsewhere ?? (async () => undefined),
      tally,
    });
    const homeward = new Homeward({ region, replica: () => node.replica, append });
    this.homeward = homeward;
    this.healing = new Healing({ node, leases, local, homeward, tally, ttlMs });
    this.#writes = new Writes({
      node,
      leases,
      local,
      homeward,
      capacity,
      tally,
      waiters,
      abreast,
      clock,
      mintSession,
      random,
      ttlMs,
      heartbeatMs,
    });
    this.travellers = new Travellers({
      node,
      loginsMax: options.rehomeLogins ?? REHOME_LOGINS,
      clock,
      random,
      move: (user, to) => this.rehome(user, to),
    });
    this.#evacuating = new Evacuating({
      node,
      clock,
      waiters,
      tally,
      decide: (key, value, by, reason) => this.decide(key, value, by, reason),
    });
  }

  /** A node that stood still is not ready before it has folded what was stored meanwhile: what it would answer or accept may be over. */
  ready(): boolean {
    if (!this.node.caughtUp || this.#rechecking) return false;
    return this.#options.clock().monoMs - this.#tickAtMs < LIMITS.asleepAfterMs;
  }

  startingWith(): string {
    return this.node.matrix.loading;
  }

  get liveSessions(): number {
    return this.#leases.size;
  }

  // ── events from outside ──────────────────────────────────────────────────────────────────────────────────

  folded(region: Region, position: Position, frame: Frame): void {
    if (region === this.region && this.node.caughtUp) this.travellers.sees(frame);
    this.step({ kind: "frame", region, position, frame });
    this.tally.folded(region, frame, this.node.caughtUp ? this.#options.clock().monoMs : undefined);
    this.#waiters.advanced();
  }

  tick(): void {
    const now = this.#options.clock();
    if (this.node.caughtUp && now.monoMs - this.#tickAtMs >= LIMITS.asleepAfterMs) void this.#recheck();
    this.#tickAtMs = now.monoMs;
    for (const lease of this.#leases.advance(now.monoMs, this.#hearing)) this.#local.expire(lease);
    this.step({ kind: "tick", silent: this.healing.isSilent() });
    if (!this.node.caughtUp) return;
    this.healing.watchLinks(now);
    const canAppend = this.#options.canAppend();
    this.healing.heal(now, canAppend);
    if (canAppend) this.travellers.tick();
  }

  async #recheck(): Promise<void> {
    if (this.#rechecking) return;
    this.#rechecking = true;
    await this.#options.recheck?.();
    this.#rechecking = false;
  }

  step(event: NodeEvent): void {
    const before = this.node.replica;
    const now = this.#options.clock();
    for (const effect of this.node.step(event, now)) this.#carryOut(effect);
    this.healing.took(event, before, now);
  }

  #carryOut(effect: NodeEffect): void {
    switch (effect.kind) {
      case "append": {
        const { duty, commands } = effect;
        void this.#options.append(commands).then(({ ok }) => this.step({ kind: "settled", duty, ok }));
        return;
      }
      case "opened":
        return this.healing.opened(effect.user, effect.session);
      case "ended":
        return this.healing.ended(effect.ended, effect.unsaid);
      case "closed":
        return this.healing.closed(effect.close, effect.unsaid);
      case "refused":
        return this.tally.refusedFrame(effect.reason);
      case "compared":
      case "corrupt":
        return this.#options.integrity?.(effect);
    }
  }

  // ── writes ───────────────────────────────────────────────────────────────────────────────────────────────

  heartbeatsFollow(sessions: readonly SessionId[]): void {
    this.#leases.prefetch(sessions);
  }

  heartbeat(session: SessionId): HeartbeatRefusal | undefined {
    const lease = this.#leases.get(session);
    if (lease === undefined) return this.#local.refusal(session);
    this.#leases.renew(lease);
    this.tally.heartbeats += 1;
    return undefined;
  }

  alive(session: SessionId) {
    return this.#leases.get(session)?.session;
  }

  holds(user: UserId, device: string): boolean {
    return this.#leases.ofDevice(user, device) !== undefined;
  }

  hearing(heard: boolean): void {
    this.#hearing = heard;
  }

  openSession(input: OpenInput): Promise<Outcome<OpenedSession>> {
    return this.#writes.openSession(input);
  }

  touch(user: UserId, device: string): undefined | Promise<Outcome<undefined>> {
    return this.#writes.touch(user, device);
  }

  updateSession(
    session: SessionId,
    change: { status?: SessionStatus; state?: string },
  ): Promise<Outcome<{ token: Token }>> {
    return this.#writes.updateSession(session, change);
  }

  closeSession(session: SessionId): Promise<Outcome<{ token: Token }>> {
    return this.#writes.closeSession(session);
  }

  forceLogout(user: UserId): Promise<Outcome<{ ended: number; token: Token }>> {
    return this.#writes.forceLogout(user);
  }

  prefer(user: UserId, preferred: PreferredStatus, untilMs: number): Promise<Outcome<{ token: Token }>> {
    return this.#writes.prefer(user, preferred, untilMs);
  }

  rehome(user: UserId, to: Region): Promise<Outcome<{ token: Token }>> {
    return this.#writes.rehome(user, to);
  }

  decide(key: string, value: string, by: string, reason: string): Promise<Outcome<{ token: Token }>> {
    return this.#writes.decide(key, value, by, reason);
  }

  evacuate(request: EvacuationRequest & { readonly to: Region }): Promise<Outcome<EvacuationAnswer>> {
    return this.#evacuating.evacuate(request);
  }

  restore(request: EvacuationRequest): Promise<Outcome<EvacuationAnswer>> {
    return this.#evacuating.restore(request);
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

  presence(user: UserId): PresenceView {
    const view = this.node.replica.view(user);
    return describePresence(
      user,
      view,
      [...this.#local.unlogged(user), ...connectedOf(view, this.#leases)],
      this.node.replica.online.lastSeenMs(user),
      this.#times(),
    );
  }

  online(filter: OnlineFilter): OnlinePage | { invalidCursor: true } {
    return onlinePage(this.node.replica.online, filter, (user) => this.presence(user));
  }

  occupancy(): Occupancy {
    return occupancyOf(this.node.replica.online, this.#times());
  }

  consistency(options: ReadOptions): Promise<Outcome<Consistency>> {
    return this.reads.consistency(options);
  }

  read(users: readonly UserId[], options: ReadOptions): Promise<Outcome<Reading>> {
    return this.reads.read(users, options);
  }

  replication(): ReplicationView {
    const { clock, secondsToOverrun } = this.#options;
    const links = linksOf(this.node.matrix.rows(clock()), this.region, secondsToOverrun);
    return { region: this.region, applied: Object.fromEntries(this.applied()), links };
  }

  applied(): Token {
    return this.node.replica.applied();
  }

  settings(): ReadonlyMap<string, SettingView> {
    return this.node.replica.fold(this.region)?.settings ?? NO_SETTINGS;
  }

  evacuations(): ReadonlyMap<Region, RegionView> {
    return this.#evacuating.views();
  }

  audit(): readonly SettingView[] {
    return this.node.replica.fold(this.region)?.audit ?? [];
  }

  bounds(): Bounds {
    const { sessionsMax, heapShare, refused } = this.#capacity;
    const { stalls, stalledMs } = this.#leases;
    return { sessionsMax, heapShare, refused, stalls, stalledMs };
  }

  #times(): RegionTimes {
    const now = this.#options.clock();
    return {
      wallMs: now.wallMs,
      regions: this.regions,
      ageMs: (of) =>
        of === this.region ? this.healing.ageMs(now.monoMs) : this.node.matrix.watermarkAgeMs(of, now),
    };
  }
}
