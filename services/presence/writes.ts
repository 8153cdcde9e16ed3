/**
 * What clients and operators ask to be written: each becomes a command, addressed to the user's home and appended to this region's log.
 * Rule: a write is acknowledged when its frame is in that log, and its token says where; one that is refused or not stored changes nothing.
 * A move alone is acknowledged when it is folded: only then does anybody know whether it was in time.
 */
import type {
  Close,
  Command,
  Open,
  Position,
  PreferredStatus,
  Region,
  Session,
  SessionId,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Abreast } from "./abreast.ts";
import type { Capacity } from "./capacity.ts";
import type { Failure } from "./failures.ts";
import { NOT_READY, appendFailed, moveUnknown, sessionOver, unknownRegion } from "./failures.ts";
import type { Homeward } from "./homeward.ts";
import type { Leases } from "./leases.ts";
import type { LocalSessions } from "./local-sessions.ts";
import { isInLog } from "./reconcile.ts";
import { moveFault, planMove } from "./rehoming.ts";
import type { OpenInput, OpenedSession, Outcome } from "./service.ts";
import type { Tally } from "./tally.ts";
import type { Waiters } from "./waiters.ts";

export interface WritesOptions {
  readonly node: PresenceNode;
  readonly leases: Leases;
  readonly local: LocalSessions;
  readonly homeward: Homeward;
  readonly capacity: Capacity;
  readonly tally: Tally;
  readonly waiters: Waiters;
  readonly abreast: Abreast;
  readonly clock: Clock;
  /** A fresh, unguessable id. */
  readonly mintSession: () => SessionId;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly ttlMs: number;
  readonly heartbeatMs: number;
}

type Written = Promise<Outcome<{ token: Token }>>;

/** Heartbeat intervals differ by up to this share, so that clients do not beat in step. */
const JITTER = 0.1;

/** What each does, `PresenceService` documents. */
export class Writes {
  readonly #options: WritesOptions;
  /** Weak opens under way, by user and device: beats that come meanwhile join them. */
  readonly #touching = new Map<string, Promise<Outcome<undefined>>>();

  constructor(options: WritesOptions) {
    this.#options = options;
  }

  async openSession(input: OpenInput): Promise<Outcome<OpenedSession>> {
    const { node, leases, local, homeward, capacity, tally } = this.#options;
    if (input.home !== undefined && !node.replica.regions.includes(input.home))
      return unknownRegion(input.home);
    if (!node.caughtUp) return NOT_READY;
    const { mintSession, clock, random, heartbeatMs, ttlMs } = this.#options;
    const { region } = node;
    const { user } = input;
    const known = node.replica.view(user);
    const full = capacity.full(leases.size, known !== undefined);
    if (full !== undefined) return full;
    const session: Session = {
      session: mintSession(),
      region,
      device: input.device ?? "",
      platform: input.platform ?? "",
      policy: input.policy ?? "multi",
      status: input.status ?? "online",
      state: input.state ?? "",
      sinceMs: clock().wallMs,
    };
    const open: Open = { kind: "open", user, session };
    const to = homeward.route(open) ?? homeward.firstHome(input.home);
    const home = known?.home ?? to;
    const lease = leases.open(user, session);
    const outcome = await homeward.append([homeward.address(open, to)], [lease]);
    if (!outcome.ok) {
      local.abandon(lease);
      // Stored and folded all the same, only the answer was lost: it is an orphan already.
      if (isInLog(node.replica, lease)) local.orphaned(user, session.session);
      return appendFailed(outcome);
    }
    tally.opened += 1;
    if (!lease.removed && !isInLog(node.replica, lease)) local.missing(lease);
    return {
      ok: true,
      value: {
        session: session.session,
        user,
        home,
        region,
        ttlSeconds: Math.round(ttlMs / 1000),
        heartbeatSeconds: Math.round((heartbeatMs / 100) * (1 + JITTER * (2 * random() - 1))) / 10,
        provisional: home !== region,
        token: this.#tokenOf(outcome),
      },
    };
  }

  touch(user: UserId, device: string): undefined | Promise<Outcome<undefined>> {
    const { leases, tally } = this.#options;
    const lease = leases.ofDevice(user, device);
    const key = `${user} ${device}`;
    const joined = lease?.settling === 0 ? undefined : this.#touching.get(key);
    if (joined !== undefined) return joined;
    if (lease !== undefined) {
      leases.renew(lease);
      tally.heartbeats += 1;
      return undefined;
    }
    const opening = this.openSession({ user, device }).then((opened): Outcome<undefined> => {
      this.#touching.delete(key);
      return opened.ok ? { ok: true, value: undefined } : opened;
    });
    this.#touching.set(key, opening);
    return opening;
  }

  async updateSession(session: SessionId, change: { status?: SessionStatus; state?: string }): Written {
    const { leases, local, homeward } = this.#options;
    const behind = this.#knows(session) ? undefined : await this.#behind(session);
    if (behind !== undefined) return behind;
    const lease = leases.get(session);
    if (lease === undefined) return sessionOver(local.refusal(session));
    const next: Session = {
      ...lease.session,
      status: change.status ?? lease.session.status,
      state: change.state ?? lease.session.state,
    };
    const { user } = lease;
    const update = homeward.address({
      kind: "update",
      user,
      session,
      status: next.status,
      state: next.state,
    });
    const outcome = await homeward.append([update], [lease]);
    if (!outcome.ok) return appendFailed(outcome);
    lease.session = { ...lease.session, status: next.status, state: next.state };
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async closeSession(session: SessionId): Written {
    const { node, leases, local, homeward } = this.#options;
    const behind = this.#knows(session) ? undefined : await this.#behind(session);
    if (behind !== undefined) return behind;
    const lease = leases.get(session);
    if (lease === undefined) {
      const refusal = local.refusal(session);
      return refusal.reason === "unknown"
        ? sessionOver(refusal)
        : { ok: true, value: { token: node.replica.applied() } };
    }
    const close: Close = { kind: "close", user: lease.user, session, reason: "logout", by: "" };
    const outcome = await homeward.append([homeward.address(close)], [lease]);
    if (!outcome.ok) return appendFailed(outcome);
    local.end(session, "logout", "");
    return { ok: true, value: { token: this.#tokenOf(outcome) } };
  }

  async forceLogout(user: UserId): Promise<Outcome<{ ended: number; token: Token }>> {
    const { node, leases, local, homeward } = this.#options;
    const logged = node.replica.view(user)?.sessions.map((one) => one.session) ?? [];
    const sessions = new Set([...logged, ...local.unlogged(user)].map((one) => one.session));
    const closes = [...sessions].map((session): Close => ({
      kind: "close",
      user,
      session,
      reason: "forced",
      by: "operator",
    }));
    if (closes.length === 0) return { ok: true, value: { ended: 0, token: node.replica.applied() } };
    const about = closes.flatMap(({ session }) => leases.get(session) ?? []);
    const outcome = await homeward.append(
      closes.map((close) => homeward.address(close)),
      about,
    );
    if (!outcome.ok) return appendFailed(outcome);
    for (const { session, reason, by } of closes) {
      if (leases.get(session) !== undefined) local.end(session, reason, by);
    }
    return { ok: true, value: { ended: closes.length, token: this.#tokenOf(outcome) } };
  }

  async prefer(user: UserId, preferred: PreferredStatus, untilMs: number): Written {
    const { node, homeward } = this.#options;
    if (!node.caughtUp) return NOT_READY;
    return this.#append(homeward.address({ kind: "prefer", user, preferred, untilMs }));
  }

  async rehome(user: UserId, to: Region): Written {
    const { node, waiters } = this.#options;
    if (!node.caughtUp) return NOT_READY;
    const move = planMove(node, user, to);
    if (!move.ok) return move;
    const { planned } = move;
    if (planned === undefined) return { ok: true, value: { token: node.replica.applied() } };
    const written = await this.#append(planned.release);
    if (!written.ok) return written;
    const check = await waiters.wait(written.value.token, LIMITS.appendTimeoutMs);
    if (check === "overloaded" || check.kind !== "satisfied") return moveUnknown();
    return moveFault(node, planned.release, planned.epoch) ?? written;
  }

  async decide(key: string, value: string, by: string, reason: string): Written {
    const { node } = this.#options;
    if (!node.caughtUp) return NOT_READY;
    return this.#append({ kind: "set", key, value, by, reason });
  }

  /** Whether the session is alive here, or has ended here lately. */
  #knows(session: SessionId): boolean {
    const { leases, local } = this.#options;
    return leases.get(session) !== undefined || local.refusal(session).reason !== "unknown";
  }

  /** Waits for a session that another node may have opened; why it cannot be judged, if it is not known then either. */
  async #behind(session: SessionId): Promise<Failure | undefined> {
    const reached = await this.#options.abreast.reached();
    return reached.ok || this.#knows(session) ? undefined : reached;
  }

  async #append(command: Command): Written {
    const outcome = await this.#options.homeward.append([command]);
    return outcome.ok ? { ok: true, value: { token: this.#tokenOf(outcome) } } : appendFailed(outcome);
  }

  #tokenOf(outcome: { logId: string; position: Position }): Token {
    return new Map([[this.#options.node.region, { logId: outcome.logId, position: outcome.position }]]);
  }
}
