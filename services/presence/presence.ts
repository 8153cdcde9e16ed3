/**
 * The presence service of one node: requests become commands, leases are kept, and the effects of the core are carried out.
 * Rule: a write is acknowledged when its frame is in the region's log; a heartbeat touches memory only.
 */

import type {
  ClientCommand,
  Close,
  Command,
  Frame,
  LinkState,
  Open,
  Position,
  PreferredStatus,
  Region,
  Session,
  SessionId,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { IntegrityEffect, NodeEffect, NodeEvent } from "../../replicator/core/node.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { AppendOutcome } from "./appender.ts";
import { Capacity } from "./capacity.ts";
import { describePresence } from "./describe.ts";
import type { RegionTimes } from "./describe.ts";
import { NOT_READY, appendFailed, sessionOver, unknownRegion } from "./failures.ts";
import { Leases } from "./leases.ts";
import type { Lease } from "./leases.ts";
import { onlinePage, occupancyOf } from "./listing.ts";
import type { OnlineFilter } from "./listing.ts";
import { LocalSessions } from "./local-sessions.ts";
import { planMove } from "./rehoming.ts";
import { Reconcile, isInLog } from "./reconcile.ts";
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
  ReadOptions,
  ReplicationView,
  SettingView,
} from "./service.ts";
import { Tally } from "./tally.ts";
import { Waiters } from "./waiters.ts";
import { Ways } from "./ways.ts";

export interface PresenceOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly clock: Clock;
  /** Appends next to each other to the region's own log. */
  readonly append: (commands: readonly Command[]) => Promise<AppendOutcome>;
  /** Whether an append could succeed now. */
  readonly canAppend: () => boolean;
  /** Until the peer is overrun in this region's log; `null` when it is not behind. */
  readonly secondsToOverrun?: (peer: Region) => number | null;
  /** Resolves when all that the logs hold by now is folded, or nobody says what they hold. */
  readonly recheck?: () => Promise<void>;
  /** Hears what the digests say. */
  readonly integrity?: (effect: IntegrityEffect) => void;
  /** A fresh, unguessable id. */
  readonly mintSession: () => SessionId;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
  /** What there is room for; a million sessions when left out. */
  readonly capacity?: Capacity;
}

/** Closes in one append. */
const CLOSES_MAX = 1_000;
/** Heartbeat intervals differ by up to this share, so that clients do not beat in step. */
const JITTER = 0.1;
const NO_SETTINGS: ReadonlyMap<string, SettingView> = new Map();

export class Presence implements PresenceService {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly node: PresenceNode;
  readonly tally = new Tally();
  readonly #options: PresenceOptions;
  readonly #leases: Leases;
  readonly #local: LocalSessions;
  readonly #reconcile: Reconcile;
  readonly #waiters: Waiters;
  readonly #capacity: Capacity;
  #hearing = true;
  #closingInFlight = false;
  #tickAtMs: number;
  #rechecking = false;
  /** Until then a session in view that nobody here knows of may be one of a former life. */
  #adoptsUntilMs = Number.NEGATIVE_INFINITY;
  /** Weak opens under way, by user and device: beats that come meanwhile join them. */
  readonly #touching = new Map<string, Promise<Outcome<undefined>>>();
  readonly #ways = new Ways();
  readonly #linkStates = new Map<Region, LinkState | undefined>();

  constructor(options: PresenceOptions) {
    this.region = options.region;
    this.#options = options;
    this.node = new PresenceNode(options.region, options.regions);
    this.regions = this.node.replica.regions;
    this.#tickAtMs = options.clock().monoMs;
    this.#leases = new Leases(options.clock().monoMs, options.ttlMs);
    this.#local = new LocalSessions(this.#leases, this.tally);
    this.#reconcile = new Reconcile(options.region, this.#leases, () => this.node.replica);
    this.#waiters = new Waiters(options.region, options.clock, () => this.applied());
    this.#capacity = options.capacity ?? new Capacity();
  }

  /** A node that stood still is not ready before it has folded what was stored meanwhile: what it would answer or accept may be over. */
  ready(): boolean {
    if (!this.node.caughtUp || this.#rechecking) return false;
    return this.#options.clock().monoMs - this.#tickAtMs < LIMITS.asleepAfterMs;
  }

  get liveSessions(): number {
    return this.#leases.size;
  }

  // ── events from outside ──────────────────────────────────────────────────────────────────────────────────

  folded(region: Region, position: Position, frame: Frame): void {
    this.step({ kind: "frame", region, position, frame });
    this.tally.folded(region, frame.commands.length);
    this.#waiters.advanced();
  }

  tick(): void {
    const now = this.#options.clock();
    if (this.node.caughtUp && now.monoMs - this.#tickAtMs >= LIMITS.asleepAfterMs) void this.#recheck();
    this.#tickAtMs = now.monoMs;
    for (const lease of this.#leases.advance(now.monoMs, this.#hearing)) this.#local.expire(lease);
    this.step({ kind: "tick" });
    if (!this.node.caughtUp) return;
    this.#watchLinks(now);
    if (!this.#options.canAppend()) return;
    void this.#close();
    this.#reopen(this.#reconcile.missing(now.monoMs));
    for (const { user, session } of this.#reconcile.orphans()) this.#orphan(user, session, now);
  }

  async #recheck(): Promise<void> {
    if (this.#rechecking) return;
    this.#rechecking = true;
    await this.#options.recheck?.();
    this.#rechecking = false;
  }

  step(event: NodeEvent): void {
    const before = this.node.replica;
    for (const effect of this.node.step(event, this.#options.clock())) this.#carryOut(effect);
    if (event.kind !== "caught-up" && event.kind !== "adopt") return;
    if (event.kind === "adopt" && event.astray !== true) this.#endThose(before);
    this.#reconcile.request();
    this.#adoptsUntilMs = this.#options.clock().monoMs + (this.#options.ttlMs ?? LIMITS.ttlMs);
  }

  #carryOut(effect: NodeEffect): void {
    switch (effect.kind) {
      case "append": {
        const { duty, commands } = effect;
        void this.#options.append(commands).then(({ ok }) => this.step({ kind: "settled", duty, ok }));
        return;
      }
      case "opened":
        this.#ways.done(effect.user, effect.session.session);
        return this.#opened(effect.user, effect.session);
      case "ended":
        return this.#local.end(effect.ended.session.session, effect.ended.reason, effect.ended.by);
      case "refused":
        return this.tally.refusedFrame(effect.reason);
      case "compared":
      case "corrupt":
        return this.#options.integrity?.(effect);
    }
  }

  /** A log has the session. One that a newer forward has closed already gets no lease: its log only relays what is past. */
  #opened(user: UserId, session: Session): void {
    const held = this.#leases.get(session.session) !== undefined;
    const shown = this.node.replica
      .view(user)
      ?.sessions.some((one) => one.session.session === session.session);
    if (held || shown === true) this.#local.opened(user, session);
  }

  /** Sessions that the replica of before had in a log, and the one of now has not: their logs ended them while nobody listened. */
  #endThose(before: Replica): void {
    const { replica } = this.node;
    for (const lease of this.#leases.all()) {
      if (lease.settling > 0 || !isInLog(before, lease) || isInLog(replica, lease)) continue;
      const { user, session } = lease;
      const sessions = replica.view(user)?.sessions ?? [];
      const successor = sessions.find(
        (one) => session.device !== "" && one.session.device === session.device,
      );
      if (successor !== undefined) this.#local.end(session.session, "replaced", successor.session.session);
      else if (isSameHome(before, replica, user)) this.#local.end(session.session, "forced", "");
    }
  }

  /** After a start, or with another replica, sessions may come into view late: they get their fresh TTL like those seen at once. */
  #orphan(user: UserId, session: Session, now: Now): void {
    const unknown = this.#local.refusal(session.session).reason === "unknown";
    if (unknown && now.monoMs < this.#adoptsUntilMs) this.#local.opened(user, session);
    else this.#local.orphaned(user, session.session);
  }

  #watchLinks(now: Now): void {
    for (const origin of this.regions) {
      if (origin === this.region) continue;
      const state = this.node.matrix.linkState(origin, now);
      if (state === "live" && this.#linkStates.get(origin) !== "live") this.#reconcile.request();
      this.#linkStates.set(origin, state);
    }
  }

  async #close(): Promise<void> {
    if (this.#closingInFlight) return;
    const closes = this.#local.closes(CLOSES_MAX);
    if (closes.length === 0) return;
    this.#closingInFlight = true;
    const outcome = await this.#options.append(closes.map((close) => this.#towardsHome(close)));
    this.#closingInFlight = false;
    if (!outcome.ok) return;
    this.#local.closed(closes);
    for (const { session } of closes) this.#ways.ended(session);
  }

  #reopen(missing: readonly Lease[]): void {
    if (missing.length === 0) return;
    this.tally.reconciled.reopened += missing.length;
    for (const lease of missing) this.#local.missing(lease);
    const commands = missing.map(({ user, session }) => this.#towardsHome({ kind: "open", user, session }));
    void this.#settle(missing, this.#options.append(commands));
  }

  // ── writes ───────────────────────────────────────────────────────────────────────────────────────────────

  async openSession(input: OpenInput): Promise<Outcome<OpenedSession>> {
    if (input.home !== undefined && !this.regions.includes(input.home)) return unknownRegion(input.home);
    if (!this.node.caughtUp) return NOT_READY;
    const { region, mintSession, clock, random, heartbeatMs, ttlMs } = this.#options;
    const { user } = input;
    const known = this.node.replica.view(user);
    const full = this.#capacity.full(this.#leases.size, known !== undefined);
    if (full !== undefined) return full;
    const session: Session = {
      session: mintSession(),
      region,
      device: input.device ?? "",
      platform: input.platform ?? "",
      status: input.status ?? "online",
      state: input.state ?? "",
      sinceMs: clock().wallMs,
    };
    const open: Open = { kind: "open", user, session };
    const to = this.#route(open) ?? input.home ?? region;
    const home = known?.home ?? to;
    const lease = this.#leases.open(user, session);
    this.#ways.went(user, session.session, to);
    const outcome = await this.#settle([lease], this.#options.append([towards(region, to, open)]));
    if (!outcome.ok) {
      this.#ways.done(user, session.session);
      this.#local.abandon(lease);
      // Stored and folded all the same, only the answer was lost: it is an orphan already.
      if (isInLog(this.node.replica, lease)) this.#local.orphaned(user, session.session);
      return appendFailed(outcome);
    }
    this.tally.opened += 1;
    if (!lease.removed && !isInLog(this.node.replica, lease)) this.#local.missing(lease);
    return {
      ok: true,
      value: {
        session: session.session,
        user,
        home,
        region,
        ttlSeconds: Math.round((ttlMs ?? LIMITS.ttlMs) / 1000),
        heartbeatSeconds:
          Math.round(((heartbeatMs ?? LIMITS.heartbeatMs) / 100) * (1 + JITTER * (2 * random() - 1))) / 10,
        provisional: home !== region,
        token: this.#tokenOf(outcome),
      },
    };
  }

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

  holds(user: UserId, device: string): boolean {
    return this.#leases.ofDevice(user, device) !== undefined;
  }

  hearing(heard: boolean): void {
    this.#hearing = heard;
  }

  touch(user: UserId, device: string): undefined | Promise<Outcome<undefined>> {
    const lease = this.#leases.ofDevice(user, device);
    const key = `${user} ${device}`;
    const joined = lease?.settling === 0 ? undefined : this.#touching.get(key);
    if (joined !== undefined) return joined;
    if (lease !== undefined) {
      this.#leases.renew(lease);
      this.tally.heartbeats += 1;
      return undefined;
    }
    const opening = this.openSession({ user, device }).then((opened): Outcome<undefined> => {
      this.#touching.delete(key);
      return opened.ok ? { ok: true, value: undefined } : opened;
    });
    this.#touching.set(key, opening);
    return opening;
  }

  async updateSession(
    session: SessionId,
    change: { status?: SessionStatus; state?: string },
  ): Promise<Outcome<{ token: Token }>> {
    const lease = this.#leases.get(session);
    if (lease === undefined) return sessionOver(this.#local.refusal(session));
    const next: Session = {
      ...lease.session,
      status: change.status ?? lease.session.status,
      state: change.state ?? lease.session.state,
    };
    const { user } = lease;
    const update = this.#towardsHome({
      kind: "update",
      user,
      session,
      status: next.status,
      state: next.state,
    });
    const outcome = await this.#settle([lease], this.#options.append([update]));
    if (!outcome.ok) return appendFailed(outcome);
    lease.session = { ...lease.session, status: next.status, state: next.state };
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async closeSession(session: SessionId): Promise<Outcome<{ token: Token }>> {
    const lease = this.#leases.get(session);
    if (lease === undefined) {
      const refusal = this.#local.refusal(session);
      return refusal.reason === "unknown"
        ? sessionOver(refusal)
        : { ok: true, value: { token: this.applied() } };
    }
    const close: Close = { kind: "close", user: lease.user, session, reason: "logout", by: "" };
    const outcome = await this.#settle([lease], this.#options.append([this.#towardsHome(close)]));
    if (!outcome.ok) return appendFailed(outcome);
    this.#ways.ended(session);
    this.#local.end(session, "logout", "");
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async forceLogout(user: UserId): Promise<Outcome<{ ended: number; token: Token }>> {
    const logged = this.node.replica.view(user)?.sessions.map((one) => one.session) ?? [];
    const sessions = new Set([...logged, ...this.#local.unlogged(user)].map((one) => one.session));
    const closes = [...sessions].map((session): Close => ({
      kind: "close",
      user,
      session,
      reason: "forced",
      by: "operator",
    }));
    if (closes.length === 0) return { ok: true, value: { ended: 0, token: this.applied() } };
    const leases = closes.flatMap(({ session }) => this.#leases.get(session) ?? []);
    const appending = this.#options.append(closes.map((close) => this.#towardsHome(close)));
    const outcome = await this.#settle(leases, appending);
    if (!outcome.ok) return appendFailed(outcome);
    for (const { session, reason, by } of closes) {
      this.#ways.ended(session);
      if (this.#leases.get(session) !== undefined) this.#local.end(session, reason, by);
    }
    return { ok: true, value: { ended: closes.length, token: this.#tokenOf(outcome) } };
  }

  async prefer(
    user: UserId,
    preferred: PreferredStatus,
    untilMs: number,
  ): Promise<Outcome<{ token: Token }>> {
    if (!this.node.caughtUp) return NOT_READY;
    const outcome = await this.#options.append([
      this.#towardsHome({ kind: "prefer", user, preferred, untilMs }),
    ]);
    return outcome.ok ? { ok: true, value: { token: this.#tokenOf(outcome) } } : appendFailed(outcome);
  }

  async rehome(user: UserId, to: Region): Promise<Outcome<{ token: Token }>> {
    if (!this.node.caughtUp) return NOT_READY;
    const move = planMove(this.node, user, to);
    if (!move.ok) return move;
    if (move.release === undefined) return { ok: true, value: { token: this.applied() } };
    const outcome = await this.#options.append([move.release]);
    return outcome.ok ? { ok: true, value: { token: this.#tokenOf(outcome) } } : appendFailed(outcome);
  }

  async decide(key: string, value: string, by: string, reason: string): Promise<Outcome<{ token: Token }>> {
    if (!this.node.caughtUp) return NOT_READY;
    const outcome = await this.#options.append([{ kind: "set", key, value, by, reason }]);
    return outcome.ok ? { ok: true, value: { token: this.#tokenOf(outcome) } } : appendFailed(outcome);
  }

  /** Until the append settles that is about these leases, reconcile leaves them alone. */
  async #settle(leases: readonly Lease[], append: Promise<AppendOutcome>): Promise<AppendOutcome> {
    for (const lease of leases) lease.settling += 1;
    const outcome = await append;
    for (const lease of leases) lease.settling -= 1;
    return outcome;
  }

  #towardsHome(command: ClientCommand): Command {
    return towards(this.region, this.#route(command) ?? this.region, command);
  }

  #route(command: ClientCommand): Region | undefined {
    return this.#ways.of(command) ?? this.node.replica.route(this.region, command);
  }

  #tokenOf(outcome: { logId: string; position: Position }): Token {
    return new Map([[this.region, { logId: outcome.logId, position: outcome.position }]]);
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

  presence(user: UserId): PresenceView {
    const view = this.node.replica.view(user);
    return describePresence(
      user,
      view,
      this.#local.unlogged(user),
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
    return this.#waiters.consistency(options);
  }

  replication(): ReplicationView {
    const links = this.node.matrix.rows(this.#options.clock()).map(({ visible, clock, ...row }) => ({
      ...row,
      visibleMs: visible,
      clockOffsetMs: clock?.offsetMs ?? null,
      clockErrorMs: clock?.errorMs ?? null,
      secondsToOverrun:
        row.origin === this.region ? (this.#options.secondsToOverrun?.(row.replica) ?? null) : null,
    }));
    return { region: this.region, applied: Object.fromEntries(this.applied()), links };
  }

  applied(): Token {
    return this.node.replica.applied();
  }

  settings(): ReadonlyMap<string, SettingView> {
    return this.node.replica.fold(this.region)?.settings ?? NO_SETTINGS;
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
      ageMs: (region) => this.node.matrix.watermarkAgeMs(region, now),
    };
  }
}

/** The command as this region appends it: by itself when it is for its own log, else as a forward. */
function towards(region: Region, to: Region, command: ClientCommand): Command {
  return to === region ? command : { kind: "forward", to, command };
}

/** Whether the log that has the user is still the same: one that was renewed may have lost what it had, and that is opened again. */
function isSameHome(before: Replica, now: Replica, user: UserId): boolean {
  const home = before.view(user)?.home ?? "";
  return before.fold(home)?.logId === now.fold(home)?.logId;
}
