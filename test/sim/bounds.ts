/**
 * Invariant 10: what is held is bounded by what there is to hold. Rule: each bound is a number of this world (its users, its clients, its
 * logs), far below the limit of the system, so that what piles up is seen long before it hurts.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Contact } from "./contact.ts";
import { LEASE_SLACK_MS } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { REGIONS, TTL_MS } from "./settings.ts";
import type { World } from "./world.ts";

/** What a region's clients write while nothing can be appended, and the appender gives back after 2 s. */
const QUEUED_BYTES_MAX = 32 * 1024;
/** Each user's sessions: open, update and close of each, in each of two ways, and the preference. */
const PENDING_PER_USER = 16;
/** Timers, requests under way and readers of twelve processes, and a timer per client. */
const EVENTS_PENDING_MAX = 2_000;
/** A lease is looked at once a second, and ends at the next tick. */
const LEASE_LATE_MS = 1_500;

export class Bounds {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #contact: Contact;
  /** Reads that wait for a token, by node. */
  readonly #waiting = new Map<NodeHost, Set<{ readonly untilMs: number }>>();
  readonly counts = {
    bounds: 0,
    queuedBytesMax: 0,
    pendingForwardsMax: 0,
    waitersMax: 0,
    leasesMax: 0,
    eventsPendingMax: 0,
  };

  constructor(world: World, ledger: Ledger, contact: Contact) {
    this.#world = world;
    this.#ledger = ledger;
    this.#contact = contact;
  }

  look(): void {
    const { machine, nodes, settings } = this.#world;
    this.counts.bounds += 1;
    for (const host of nodes) {
      if (!host.ready) continue;
      this.#bound(
        host,
        "queuedBytesMax",
        "bytes wait to be appended",
        host.appender.queuedBytes,
        QUEUED_BYTES_MAX,
      );
      const { provisional, contested, online } = host.node.replica;
      const pending = PENDING_PER_USER * settings.users;
      this.#bound(host, "pendingForwardsMax", "forwards are pending", provisional.size, pending);
      this.#bound(host, undefined, "users are contested", contested.size, settings.users);
      this.#bound(host, undefined, "users are online", online.totals.users, settings.users);
      this.#leases(host);
      this.#waits(host);
    }
    this.#readers();
    if (machine.pending > EVENTS_PENDING_MAX)
      machine.fail(`invariant 10: ${machine.pending} events are pending`);
    this.counts.eventsPendingMax = Math.max(this.counts.eventsPendingMax, machine.pending);
  }

  /** A read waits on that node, at the latest until `waitMs` are over; call what is returned when it is answered. */
  waits(host: NodeHost, waitMs: number): () => void {
    const held = this.#waiting.get(host) ?? new Set();
    this.#waiting.set(host, held);
    const wait = { untilMs: this.#world.machine.nowMs + waitMs };
    held.add(wait);
    return () => held.delete(wait);
  }

  restarted(host: NodeHost): void {
    this.#waiting.delete(host);
  }

  /** No read waits for longer than it allowed. */
  #waits(host: NodeHost): void {
    const { machine } = this.#world;
    const waiting = [...(this.#waiting.get(host) ?? [])];
    this.counts.waitersMax = Math.max(this.counts.waitersMax, waiting.length);
    const latestMs = machine.nowMs - 2 * LIMITS.tickMs;
    if (host.process.runningSinceMs < latestMs && waiting.some(({ untilMs }) => untilMs < latestMs))
      machine.fail(`invariant 10: a read on ${host.name} waits for longer than it allowed`);
  }

  /** Leases are of sessions that may be alive. */
  #leases(host: NodeHost): void {
    const { nowMs } = this.#world.machine;
    const { presence, region } = host;
    if (presence === undefined) return;
    const sinceMs = nowMs - TTL_MS - LEASE_SLACK_MS - LEASE_LATE_MS;
    if (this.#contact.wellSinceMs(region) > sinceMs) return;
    let alive = 0;
    for (const account of this.#ledger.accounts.values())
      if (account.region === region && account.beatMs >= sinceMs) alive += 1;
    this.#bound(host, "leasesMax", "leases are held", presence.liveSessions, alive);
  }

  /** A node reads each log once, and once more while it makes its replica anew; what lives no longer is taken off at the next change. */
  #readers(): void {
    const byProcess = new Map<number, number>();
    for (const { connection } of this.#world.readers) {
      const { alive, number, name } = connection.process;
      const readers = 1 + (byProcess.get(number) ?? 0);
      byProcess.set(number, readers);
      if (alive && readers > 2 * REGIONS.length)
        this.#world.machine.fail(`invariant 10: ${name} reads ${readers} logs at a time`);
    }
  }

  #bound(
    host: NodeHost,
    count: Exclude<keyof Bounds["counts"], "bounds"> | undefined,
    what: string,
    is: number,
    atMost: number,
  ): void {
    if (count !== undefined) this.counts[count] = Math.max(this.counts[count], is);
    if (is > atMost)
      this.#world.machine.fail(`invariant 10: ${is} ${what} on ${host.name}, at most ${atMost} can`);
  }
}
