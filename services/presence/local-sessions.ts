/**
 * The sessions connected to this region: their leases, which of them no log has yet, and how those ended that are over.
 * Rule: a session that ended here stays ended. When a log still says otherwise, its close is put on the list and appended again.
 */
import { LRUCache } from "lru-cache";

import type { Close, EndReason, Session, SessionId, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { Leases } from "./leases.ts";
import type { Lease } from "./leases.ts";
import type { HeartbeatRefusal } from "./service.ts";
import type { Tally } from "./tally.ts";

const UNKNOWN_SESSION: HeartbeatRefusal = { reason: "unknown", by: "" };

export class LocalSessions {
  readonly leases: Leases;
  readonly #tally: Tally;
  readonly #ended = new LRUCache<SessionId, HeartbeatRefusal>({ max: LIMITS.endedSessionsMax });
  /** Live sessions that are acknowledged but not folded yet, or that a log lost. */
  readonly #unlogged = new Map<UserId, readonly Lease[]>();
  /** Closes of ended sessions that are not in the log yet. */
  readonly #closing = new Map<SessionId, Close>();

  constructor(leases: Leases, tally: Tally) {
    this.leases = leases;
    this.#tally = tally;
  }

  /** A log has the session: it gets a lease, unless it ended here before; then it is an orphan. */
  opened(user: UserId, session: Session): void {
    if (this.#ended.has(session.session)) return this.orphaned(user, session.session);
    const held = this.leases.get(session.session);
    if (held === undefined) this.leases.open(user, session);
    else this.#forgetUnlogged(held);
  }

  /** The session is over: its heartbeats are refused from now on. */
  end(session: SessionId, reason: EndReason, by: string): void {
    const lease = this.leases.remove(session);
    if (lease !== undefined) this.#over(lease, reason);
    this.#ended.set(session, { reason, by });
    this.#closing.delete(session);
  }

  /** Like {@link end} for sessions whose lease is over: the log is told later, by {@link closes}. */
  expire(lease: Lease): void {
    const { user } = lease;
    const { session } = lease.session;
    this.#over(lease, "expired");
    this.#ended.set(session, { reason: "expired", by: "" });
    this.#closing.set(session, { kind: "close", user, session, reason: "expired", by: "" });
  }

  /** An open that could not be appended: should it turn up in the log after all, it is an orphan. */
  abandon(lease: Lease): void {
    this.leases.remove(lease.session.session);
    this.#ended.set(lease.session.session, { reason: "logout", by: "" });
  }

  /** The view says that the session is here, and it is not: it is closed, for the reason it ended if that is still known. */
  orphaned(user: UserId, session: SessionId): void {
    if (this.#closing.has(session)) return;
    this.#tally.reconciled.orphaned += 1;
    const { reason, by } = this.refusal(session);
    this.#closing.set(session, {
      kind: "close",
      user,
      session,
      reason: reason === "unknown" ? "expired" : reason,
      by,
    });
  }

  /** Why a session without a lease is not alive. */
  refusal(session: SessionId): HeartbeatRefusal {
    return this.#ended.get(session) ?? UNKNOWN_SESSION;
  }

  /** Closes to append, at most `max`; {@link closed} takes them off the list. */
  closes(max: number): Close[] {
    return [...this.#closing.values()].slice(0, max);
  }

  closed(closes: readonly Close[]): void {
    for (const { session } of closes) this.#closing.delete(session);
  }

  /** No log has the session, though it is alive: this region's own answers show it all the same. */
  missing(lease: Lease): void {
    const held = this.#unlogged.get(lease.user) ?? [];
    if (!held.includes(lease)) this.#unlogged.set(lease.user, [...held, lease]);
  }

  unlogged(user: UserId): Session[] {
    return this.#unlogged.get(user)?.map((lease) => lease.session) ?? [];
  }

  #over(lease: Lease, reason: EndReason): void {
    this.#tally.ended[reason] += 1;
    this.#forgetUnlogged(lease);
  }

  #forgetUnlogged(lease: Lease): void {
    const held = this.#unlogged.get(lease.user)?.filter((one) => one !== lease);
    if (held === undefined) return;
    if (held.length === 0) this.#unlogged.delete(lease.user);
    else this.#unlogged.set(lease.user, held);
  }
}
