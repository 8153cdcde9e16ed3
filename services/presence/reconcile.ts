/**
 * Reconcile, the healer: every live lease must be in a log, and every session that a log places in this region must have a lease. It
 * looks at the leases a slice at a time, round after round, and starts a round at once when something happened (a start, a link that
 * came back). Orphans are found where they arise: a session that is opened in a log after this region ended it is closed again.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Lease, Leases } from "./leases.ts";

/** Looked at per tick of 50 ms: a million leases take 10 s. */
const SLICE = 5_000;
const REOPENED_MAX = 500;

export class Reconcile {
  readonly #leases: Leases;
  readonly #replica: Replica;
  #round: IterableIterator<Lease> | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;

  constructor(leases: Leases, replica: Replica) {
    this.#leases = leases;
    this.#replica = replica;
  }

  /** Something happened that may have lost a session: look at all of them now. */
  request(): void {
    this.#startedAtMs = Number.NEGATIVE_INFINITY;
    this.#round = undefined;
  }

  /** Live leases that no log has, of the next slice; the caller opens them again. */
  next(monoMs: number): Lease[] {
    if (this.#round === undefined) {
      if (monoMs - this.#startedAtMs < LIMITS.reconcileMs) return [];
      this.#startedAtMs = monoMs;
      this.#round = this.#leases.all();
    }
    const missing: Lease[] = [];
    for (let looked = 0; looked < SLICE && missing.length < REOPENED_MAX; looked++) {
      const { value: lease, done } = this.#round.next();
      if (done === true || lease === undefined) {
        this.#round = undefined;
        break;
      }
      if (!lease.settling && !isInLog(this.#replica, lease)) missing.push(lease);
    }
    return missing;
  }
}

/** Whether a home's record has the lease's session, or a forward on its way to one. A session hidden by a newer forward is in a log. */
export function isInLog(replica: Replica, lease: Lease): boolean {
  const { session } = lease.session;
  for (const fold of replica.folds) {
    if (fold.homed(lease.user)?.sessions.some((held) => held.session === session) === true) return true;
  }
  return replica.provisional
    .of(lease.user)
    .some(({ command }) => command.kind === "open" && command.session.session === session);
}
