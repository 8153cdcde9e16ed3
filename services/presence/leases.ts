/**
 * Leases of the sessions connected to this region: soft state, in memory, renewed by heartbeats, on a timing wheel (Varghese & Lauck,
 * 1987) with lazy re-filing: a renewal only writes a time. Rule (invariants 6, 7): a lease ends after `ttlMs` of lease time without a
 * renewal. Lease time is time in which we could be reached: it moves on by at most `leaseStepMs` per advance, however long the process
 * stood still, and not at all while heartbeats are refused. So nobody is declared gone because we slept; in return a dead session lives
 * longer than TTL + 1 s by what was left out meanwhile: the lengths of the stalls, which `stalledMs` counts, and never more.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Session, SessionId, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { Table } from "../../replicator/core/table.ts";

export interface Lease {
  readonly id: SessionId;
  readonly user: UserId;
  session: Session;
  /** In lease time; whole. */
  expiresAtMs: number;
  /** So many commands about this session are on their way to the log. Reconcile leaves it alone: an open would come behind them. */
  settling: number;
  removed: boolean;
}

/** What finding and renewing a lease reads of it. */
const READS: readonly ((lease: Lease) => number)[] = [
  (lease) => (lease.removed ? 1 : 0),
  (lease) => lease.id.length + lease.expiresAtMs,
];
const SLOT_MS = 1_000;

export class Leases {
  readonly #ttlMs: number;
  readonly #bySession = new Table<Lease>((lease) => lease.id);
  readonly #byDevice = new Map<string, Lease>();
  readonly #wheel: Lease[][];
  #slot: number;
  #advancedAtMs: number;
  #stalledMs = 0;
  #stalls = 0;
  #nowMs: number;
  /** A lease given or renewed now ends then. Whole, so that it needs no memory of its own beside the lease. */
  #untilMs: number;

  constructor(monoMs: number, ttlMs: number = LIMITS.ttlMs) {
    this.#ttlMs = ttlMs;
    this.#wheel = Array.from({ length: Math.ceil(ttlMs / SLOT_MS) + 2 }, () => []);
    this.#advancedAtMs = monoMs;
    this.#nowMs = monoMs;
    this.#untilMs = Math.ceil(monoMs + ttlMs);
    this.#slot = Math.floor(monoMs / SLOT_MS);
  }

  get size(): number {
    return this.#bySession.size;
  }

  /** Milliseconds that counted for no lease: this process stood still, or refused heartbeats. */
  get stalledMs(): number {
    return this.#stalledMs;
  }

  /** How often this process stood still. */
  get stalls(): number {
    return this.#stalls;
  }

  get(session: SessionId): Lease | undefined {
    return this.#bySession.get(session);
  }

  /** Renewals of these follow: see the table. */
  prefetch(sessions: readonly SessionId[]): void {
    this.#bySession.prefetch(sessions, READS);
  }

  ofDevice(user: UserId, device: string): Lease | undefined {
    return this.#byDevice.get(deviceKey(user, device));
  }

  all(): IterableIterator<Lease> {
    return this.#bySession.values();
  }

  /** Gives the session a full TTL, whether it had a lease or not. */
  open(user: UserId, session: Session): Lease {
    const held = this.#bySession.get(session.session);
    if (held !== undefined) {
      held.session = session;
      this.renew(held);
      return held;
    }
    const lease: Lease = {
      id: session.session,
      user,
      session,
      expiresAtMs: this.#untilMs,
      settling: 0,
      removed: false,
    };
    this.#bySession.set(session.session, lease);
    if (session.device !== "") this.#byDevice.set(deviceKey(user, session.device), lease);
    this.#file(lease);
    return lease;
  }

  /** The hot path: one store. Time is that of the last advance, at most a tick old. */
  renew(lease: Lease): void {
    lease.expiresAtMs = this.#untilMs;
  }

  remove(session: SessionId): Lease | undefined {
    const lease = this.#bySession.get(session);
    if (lease === undefined) return undefined;
    lease.removed = true;
    this.#bySession.delete(session);
    const key = deviceKey(lease.user, lease.session.device);
    if (this.#byDevice.get(key) === lease) this.#byDevice.delete(key);
    return lease;
  }

  /** Moves time on; returns the leases that are over, removed. Not `hearing`: heartbeats were refused since the last advance. */
  advance(monoMs: number, hearing = true): Lease[] {
    const gapMs = monoMs - this.#advancedAtMs;
    if (gapMs > LIMITS.leaseStepMs) this.#stalls += 1;
    this.#stalledMs += hearing ? Math.max(0, gapMs - LIMITS.leaseStepMs) : gapMs;
    this.#advancedAtMs = monoMs;
    this.#nowMs = monoMs - this.#stalledMs;
    this.#untilMs = Math.ceil(this.#nowMs + this.#ttlMs);
    const expired: Lease[] = [];
    const until = Math.floor(this.#nowMs / SLOT_MS);
    for (; this.#slot < until; this.#slot++) {
      const index = this.#slot % this.#wheel.length;
      const due = defined(this.#wheel[index], "the wheel has every slot");
      this.#wheel[index] = [];
      for (const lease of due) {
        if (lease.removed) continue;
        if (lease.expiresAtMs > this.#nowMs) this.#file(lease);
        else {
          this.remove(lease.session.session);
          expired.push(lease);
        }
      }
    }
    return expired;
  }

  #file(lease: Lease): void {
    const slot = Math.max(this.#slot, Math.floor(lease.expiresAtMs / SLOT_MS));
    defined(this.#wheel[slot % this.#wheel.length], "the wheel has every slot").push(lease);
  }
}

function deviceKey(user: UserId, device: string): string {
  return `${user} ${device}`;
}
