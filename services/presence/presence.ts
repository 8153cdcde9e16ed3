/**
 * The presence service of one node: requests become commands, leases are kept, and the effects of the core are carried out.
 * Rule: a write is acknowledged when its frame is in the region's log; a heartbeat touches memory only.
 */
import { LRUCache } from "lru-cache";

import { assert } from "../../replicator/core/assert.ts";
import type {
  Close,
  Command,
  EndReason,
  Frame,
  LinkState,
  Open,
  Position,
  PreferredStatus,
  Region,
  Session,
  SessionId,
  SessionStatus,
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEffect, NodeEvent } from "../../replicator/core/node.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { AppendOutcome } from "./appender.ts";
import { describePresence, freshnessOf } from "./describe.ts";
import type { RegionTimes } from "./describe.ts";
import { Leases } from "./leases.ts";
import type { Lease } from "./leases.ts";
import { Reconcile, isInLog } from "./reconcile.ts";
import type {
  Consistency,
  HeartbeatRefusal,
  Occupancy,
  OnlinePage,
  OpenInput,
  OpenedSession,
  Outcome,
  PresenceView,
  Problem,
  ReadOptions,
  ReplicationView,
} from "./service.ts";
import { Tally } from "./tally.ts";
import { Waiters } from "./waiters.ts";

export interface PresenceOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly clock: Clock;
  /** Appends next to each other to the region's own log. */
  readonly append: (commands: readonly Command[]) => Promise<AppendOutcome>;
  /** Whether an append could succeed now. */
  readonly canAppend: () => boolean;
  /** A fresh, unguessable id. */
  readonly mintSession: () => SessionId;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
}

/** Heartbeat intervals differ by up to this share, so that clients do not beat in step. */
const JITTER = 0.1;

export class Presence {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly node: PresenceNode;
  readonly tally = new Tally();
  readonly #options: PresenceOptions;
  readonly #leases: Leases;
  readonly #reconcile: Reconcile;
  readonly #waiters: Waiters;
  readonly #ended = new LRUCache<SessionId, HeartbeatRefusal>({ max: LIMITS.endedSessionsMax });
  readonly #lastSeen = new LRUCache<UserId, number>({ max: LIMITS.lastSeenMax });
  /** Live sessions that are acknowledged but not folded yet, or that a log lost. */
  readonly #unlogged = new Map<UserId, Lease[]>();
  /** Sessions ended here whose close is not in the log yet. */
  readonly #closing = new Map<SessionId, Close>();
  #closingInFlight = false;
  /** Weak opens under way, by user and device: beats that come meanwhile join them. */
  readonly #touching = new Map<string, Promise<Outcome<undefined>>>();
  /** The home chosen for users whose first open is not folded yet: what follows goes the same way. */
  readonly #claiming = new Map<UserId, Region>();
  readonly #linkStates = new Map<Region, LinkState | undefined>();

  constructor(options: PresenceOptions) {
    this.region = options.region;
    this.#options = options;
    this.node = new PresenceNode(options.region, options.regions);
    this.regions = this.node.replica.regions;
    this.#leases = new Leases(options.clock().monoMs, options.ttlMs);
    this.#reconcile = new Reconcile(options.region, this.#leases, this.node.replica);
    this.#waiters = new Waiters(() => this.applied());
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
    for (const lease of this.#leases.advance(now.monoMs)) this.#expire(lease);
    this.step({ kind: "tick" });
    if (!this.node.caughtUp) return;
    this.#watchLinks(now);
    if (!this.#options.canAppend()) return;
    void this.#close();
    this.#reopen(this.#reconcile.missing(now.monoMs));
    for (const { user, session } of this.#reconcile.orphans()) this.#orphan(user, session);
  }

  step(event: NodeEvent): void {
    for (const effect of this.node.step(event, this.#options.clock())) this.#carryOut(effect);
    if (event.kind === "caught-up") this.#reconcile.request();
  }

  #carryOut(effect: NodeEffect): void {
    switch (effect.kind) {
      case "append": {
        const { duty, commands } = effect;
        void this.#options.append(commands).then(({ ok }) => this.step({ kind: "settled", duty, ok }));
        return;
      }
      case "opened":
        return this.#opened(effect.user, effect.session);
      case "ended":
        return this.#end(effect.ended.session.session, effect.ended.reason, effect.ended.by);
      case "left":
        this.#lastSeen.set(effect.user, effect.atMs);
        return;
      case "refused":
        return this.tally.refusedFrame(effect.reason);
    }
  }

  /** A log has a session of this region: it gets a lease, unless this region ended it before; then it is an orphan. */
  #opened(user: UserId, session: Session): void {
    this.#claiming.delete(user);
    if (this.#ended.get(session.session) === undefined) {
      const held = this.#leases.get(session.session);
      if (held === undefined) this.#leases.open(user, session);
      else this.#forgetUnlogged(held);
      return;
    }
    this.#orphan(user, session.session);
  }

  /** A log says that the session is here, and it is not: it is closed, with the reason it ended for if that is still known. */
  #orphan(user: UserId, session: SessionId): void {
    if (this.#closing.has(session)) return;
    this.tally.reconciled.orphaned += 1;
    const { reason, by } = this.#ended.get(session) ?? UNKNOWN_SESSION;
    this.#closing.set(session, {
      kind: "close",
      user,
      session,
      reason: reason === "unknown" ? "expired" : reason,
      by,
    });
  }

  /** The session is over: its heartbeats are refused from now on. */
  #end(session: SessionId, reason: EndReason, by: string): void {
    const lease = this.#leases.remove(session);
    if (lease !== undefined) this.#forgetUnlogged(lease);
    if (this.node.caughtUp && this.#ended.get(session)?.reason !== reason) this.tally.ended[reason] += 1;
    this.#ended.set(session, { reason, by });
    this.#closing.delete(session);
  }

  #expire(lease: Lease): void {
    const { session } = lease.session;
    this.#end(session, "expired", "");
    this.#closing.set(session, { kind: "close", user: lease.user, session, reason: "expired", by: "" });
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
    if (this.#closingInFlight || this.#closing.size === 0) return;
    const closes = [...this.#closing.values()].slice(0, LIMITS.batchUsersMax);
    this.#closingInFlight = true;
    const outcome = await this.#options.append(closes.map((close) => this.#towardsHome(close)));
    this.#closingInFlight = false;
    if (outcome.ok) for (const { session } of closes) this.#closing.delete(session);
  }

  #reopen(missing: readonly Lease[]): void {
    if (missing.length === 0) return;
    this.tally.reconciled.reopened += missing.length;
    for (const lease of missing) this.#remember(lease);
    const commands = missing.map(({ user, session }) => this.#towardsHome({ kind: "open", user, session }));
    void this.#settle(missing, this.#options.append(commands));
  }

  // ── writes ───────────────────────────────────────────────────────────────────────────────────────────────

  async openSession(input: OpenInput): Promise<Outcome<OpenedSession>> {
    if (input.home !== undefined && !this.regions.includes(input.home)) return unknownRegion(input.home);
    if (!this.node.caughtUp) return NOT_READY;
    const { region, mintSession, clock, random, heartbeatMs, ttlMs } = this.#options;
    const { user } = input;
    const home = this.#homeOf(user) ?? input.home ?? region;
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
    const lease = this.#leases.open(user, session);
    this.#claiming.set(user, home);
    const outcome = await this.#settle([lease], this.#options.append([towards(region, home, open)]));
    if (!outcome.ok) {
      this.#claiming.delete(user);
      this.#leases.remove(session.session);
      this.#ended.set(session.session, { reason: "logout", by: "" });
      return failed(outcome);
    }
    this.tally.opened += 1;
    if (!lease.removed && !isInLog(this.node.replica, lease)) this.#remember(lease);
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

  heartbeat(session: SessionId): HeartbeatRefusal | undefined {
    const lease = this.#leases.get(session);
    if (lease === undefined) return this.#ended.get(session) ?? UNKNOWN_SESSION;
    this.#leases.renew(lease);
    this.tally.heartbeats += 1;
    return undefined;
  }

  touch(user: UserId, device: string): undefined | Promise<Outcome<undefined>> {
    const lease = this.#leases.ofDevice(user, device);
    if (lease !== undefined && !lease.settling) {
      this.#leases.renew(lease);
      this.tally.heartbeats += 1;
      return undefined;
    }
    const key = `${user} ${device}`;
    const joined = this.#touching.get(key);
    if (joined !== undefined) return joined;
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
    if (lease === undefined) return this.#refusal(session);
    const next: Session = {
      ...lease.session,
      status: change.status ?? lease.session.status,
      state: change.state ?? lease.session.state,
    };
    const { user } = lease;
    const outcome = await this.#options.append([
      this.#towardsHome({ kind: "update", user, session, status: next.status, state: next.state }),
    ]);
    if (!outcome.ok) return failed(outcome);
    lease.session = { ...lease.session, status: next.status, state: next.state };
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async closeSession(session: SessionId): Promise<Outcome<{ token: Token }>> {
    const lease = this.#leases.get(session);
    if (lease === undefined) return { ok: true, value: { token: this.applied() } };
    const close: Close = { kind: "close", user: lease.user, session, reason: "logout", by: "" };
    const outcome = await this.#options.append([this.#towardsHome(close)]);
    if (!outcome.ok) return failed(outcome);
    this.#end(session, "logout", "");
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async forceLogout(user: UserId): Promise<Outcome<{ ended: number; token: Token }>> {
    const closes = this.presence(user).sessions.map(({ session }): Close => ({
      kind: "close",
      user,
      session,
      reason: "forced",
      by: "operator",
    }));
    if (closes.length === 0) return { ok: true, value: { ended: 0, token: this.applied() } };
    const outcome = await this.#options.append(closes.map((close) => this.#towardsHome(close)));
    if (!outcome.ok) return failed(outcome);
    for (const { session, reason, by } of closes) {
      if (this.#leases.get(session) !== undefined) this.#end(session, reason, by);
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
    return outcome.ok ? { ok: true, value: { token: this.#tokenOf(outcome) } } : failed(outcome);
  }

  /** Marks the leases as on their way until the append settles, so that reconcile leaves them alone. */
  async #settle(leases: readonly Lease[], append: Promise<AppendOutcome>): Promise<AppendOutcome> {
    for (const lease of leases) lease.settling = true;
    const outcome = await append;
    for (const lease of leases) lease.settling = false;
    return outcome;
  }

  #towardsHome(command: UserCommand): Command {
    return towards(this.region, this.#homeOf(command.user) ?? this.region, command);
  }

  #homeOf(user: UserId): Region | undefined {
    return this.node.replica.view(user)?.home ?? this.#claiming.get(user);
  }

  #remember(lease: Lease): void {
    const held = this.#unlogged.get(lease.user) ?? [];
    if (!held.includes(lease)) this.#unlogged.set(lease.user, [...held, lease]);
  }

  #forgetUnlogged(lease: Lease): void {
    const held = this.#unlogged.get(lease.user)?.filter((one) => one !== lease);
    if (held === undefined) return;
    if (held.length === 0) this.#unlogged.delete(lease.user);
    else this.#unlogged.set(lease.user, held);
  }

  #refusal(session: SessionId): { ok: false; problem: Problem } {
    const ended = this.#ended.get(session);
    if (ended === undefined) {
      return {
        ok: false,
        problem: { name: "unknown-session", detail: "No such session in this region, now or recently." },
      };
    }
    const { reason, by } = ended;
    return {
      ok: false,
      problem: { name: "session-ended", detail: `The session ended: ${reason}.`, members: { reason, by } },
    };
  }

  #tokenOf(outcome: { logId: string; position: Position }): Token {
    return new Map([[this.region, { logId: outcome.logId, position: outcome.position }]]);
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

  presence(user: UserId): PresenceView {
    const unlogged = this.#unlogged.get(user)?.map((lease) => lease.session) ?? [];
    const view = this.node.replica.view(user);
    return describePresence(user, view, unlogged, this.#lastSeen.get(user), this.#times());
  }

  online(filter: {
    region?: Region;
    home?: Region;
    limit: number;
    cursor?: string;
  }): OnlinePage | { invalidCursor: true } {
    const after = filter.cursor === undefined ? undefined : decodeCursor(filter.cursor);
    if (filter.cursor !== undefined && after === undefined) return { invalidCursor: true };
    const views: PresenceView[] = [];
    const users = this.node.replica.online.page(after, filter.limit, (user) => {
      const view = this.presence(user);
      const wanted =
        (filter.home === undefined || view.home === filter.home) &&
        (filter.region === undefined || view.sessions.some((one) => one.region === filter.region));
      if (wanted) views.push(view);
      return wanted;
    });
    const last = users.length === filter.limit ? users.at(-1) : undefined;
    return { users: views, ...(last === undefined ? {} : { cursor: encodeCursor(last) }) };
  }

  occupancy(): Occupancy {
    const { totals, byRegion } = this.node.replica.online;
    const now = this.#options.clock();
    const regions = this.regions.map((region) => {
      const { users, sessions } = byRegion.get(region) ?? { users: 0, sessions: 0 };
      const freshness = freshnessOf(this.node.matrix.watermarkAgeMs(region, now));
      return [region, { users, sessions, freshness }] as const;
    });
    return { ...totals, byRegion: Object.fromEntries(regions) };
  }

  async consistency(options: ReadOptions): Promise<Outcome<Consistency>> {
    const startedMs = this.#options.clock().monoMs;
    const token = options.token ?? new Map();
    const check = await this.#waiters.wait(token, options.waitMs);
    if (check === "overloaded") {
      const detail = "Too many reads wait for a token.";
      return { ok: false, problem: { name: "overloaded", detail, retryAfterSeconds: 1 } };
    }
    if (check.kind === "replaced") {
      const detail = `The token is of a log of ${check.region} that has been replaced since.`;
      return {
        ok: false,
        problem: { name: "token-log-replaced", detail, members: { region: check.region } },
      };
    }
    return {
      ok: true,
      value: {
        mode: options.token === undefined ? "any" : "token",
        satisfied: check.kind === "satisfied",
        waitedMs: Math.round(this.#options.clock().monoMs - startedMs),
        servedBy: this.region,
        applied: positions(this.applied()),
        ...(check.kind === "missing" ? { missing: Object.fromEntries(check.missing) } : {}),
      },
    };
  }

  replication(): ReplicationView {
    const links = this.node.matrix.rows(this.#options.clock()).map(({ visible, clock, ...row }) => ({
      ...row,
      visibleMs: visible,
      clockOffsetMs: clock?.offsetMs ?? null,
      clockErrorMs: clock?.errorMs ?? null,
    }));
    return { region: this.region, applied: Object.fromEntries(this.applied()), links };
  }

  applied(): Token {
    return this.node.replica.applied();
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

const UNKNOWN_SESSION: HeartbeatRefusal = { reason: "unknown", by: "" };

const NOT_READY: { ok: false; problem: Problem } = {
  ok: false,
  problem: { name: "not-ready", detail: "This node is still folding the logs.", retryAfterSeconds: 1 },
};

function unknownRegion(region: string): { ok: false; problem: Problem } {
  return { ok: false, problem: { name: "unknown-region", detail: `There is no region ${region}.` } };
}

function failed(outcome: Extract<AppendOutcome, { ok: false }>): { ok: false; problem: Problem } {
  assert(!outcome.ok, "only failures become problems");
  const name = outcome.reason === "overloaded" ? "overloaded" : "log-unavailable";
  return { ok: false, problem: { name, detail: outcome.detail, retryAfterSeconds: 1 } };
}

/** The command as this region appends it: by itself when it is the user's home, else as a forward there. */
function towards(region: Region, home: Region, command: UserCommand): Command {
  return home === region ? command : { kind: "forward", to: home, command };
}

function positions(token: Token): Record<Region, Position> {
  return Object.fromEntries([...token].map(([region, at]) => [region, at.position]));
}

function encodeCursor(user: UserId): string {
  return Buffer.from(user).toString("base64url");
}

function decodeCursor(cursor: string): UserId | undefined {
  const user = Buffer.from(cursor, "base64url").toString();
  return /^[A-Za-z0-9._:@-]{1,64}$/.test(user) && encodeCursor(user) === cursor ? user : undefined;
}
