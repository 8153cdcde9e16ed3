/**
 * Reconcile, the healer: every live lease must be in a log, and every session that the view places in this region must have a lease.
 * It looks at both a slice at a time, round after round; at the leases at once when something happened (a start, a link that came
 * back). The caller opens what is missing again and closes what is orphaned.
 */
import type { Region, Session, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { isAbout } from "../../replicator/core/provisional.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Lease, Leases } from "./leases.ts";

/** Looked at per tick of 50 ms: a million leases take 10 s. */
const SLICE = 5_000;
const REOPENED_MAX = 500;
/** Buckets of users looked at per tick when something happened. */
const HURRIED = 16;

export class Reconcile {
  readonly #leases: Leases;
  readonly #region: Region;
  /** The replica of the moment. */
  readonly #replica: () => Replica;
  /** Whether an expiry on its way may be that of another region, which stood for this one. */
  readonly #isBack: () => boolean;
  #bucket = 0;
  /** Buckets of users still to be looked at in a hurry. */
  #hurried = 0;
  #round: IterableIterator<Lease> | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;
  /** Rounds of the leases are numbered, from 1: the one begun last. */
  begun = 0;
  /** The one that looked at all leases last. */
  finished = 0;
  /** What the round begun last passed over: in no log, and commands about it were under way. */
  passed: Lease[] = [];

  constructor(region: Region, leases: Leases, replica: () => Replica, isBack: () => boolean) {
    this.#region = region;
    this.#leases = leases;
    this.#replica = replica;
    this.#isBack = isBack;
  }

  /** Something happened that may have lost a session: look at all of them now. */
  request(): void {
    this.#startedAtMs = Number.NEGATIVE_INFINITY;
    this.#round = undefined;
    this.#hurried = this.#replica().online.buckets;
  }

  /** Live leases that no log has, of the next slice. */
  missing(monoMs: number): Lease[] {
    if (this.#round === undefined) {
      if (monoMs - this.#startedAtMs < LIMITS.reconcileMs) return [];
      this.#startedAtMs = monoMs;
      this.begun += 1;
      this.passed = [];
      this.#round = this.#leases.all();
    }
    const missing: Lease[] = [];
    for (let looked = 0; looked < SLICE && missing.length < REOPENED_MAX; looked++) {
      const { value: lease, done } = this.#round.next();
      if (done === true || lease === undefined) {
        this.#round = undefined;
        this.finished = this.begun;
        break;
      }
      if (!this.lacks(lease)) continue;
      if (lease.settling > 0) this.passed.push(lease);
      else missing.push(lease);
    }
    return missing;
  }

  /** Whether no log has the session, or it is being ended as nobody heard its heartbeats, by another region than this one. */
  lacks(lease: Lease): boolean {
    const replica = this.#replica();
    return !isInLog(replica, lease) || (this.#isBack() && onItsWay(replica, lease) === "expired");
  }

  /**
   * Sessions that the view places here and that have no lease, of the next bucket of users: a round takes 4,096 ticks, and the first
   * after a request 256.
   */
  orphans(): { user: UserId; session: Session }[] {
    const orphans: { user: UserId; session: Session }[] = [];
    const buckets = this.#hurried > 0 ? HURRIED : 1;
    this.#hurried = Math.max(0, this.#hurried - buckets);
    for (let count = 0; count < buckets; count++) this.#orphansOfNext(orphans);
    return orphans;
  }

  #orphansOfNext(orphans: { user: UserId; session: Session }[]): void {
    const replica = this.#replica();
    const { online } = replica;
    for (const user of online.usersOf(this.#bucket, this.#region)) {
      for (const { session } of replica.view(user)?.sessions ?? []) {
        const here = session.region === this.#region;
        if (here && this.#leases.get(session.session) === undefined) orphans.push({ user, session });
      }
    }
    this.#bucket = (this.#bucket + 1) % online.buckets;
  }
}

/**
 * Whether a home's record has the lease's session, or a forward on its way to one. A session hidden by a newer forward is in a log; of one
 * that is closed by it, nothing else may be left there, and to open it again would undo the close.
 */
export function isInLog(replica: Replica, lease: Lease): boolean {
  const { session } = lease.session;
  for (const fold of replica.folds) {
    if (fold.homed(lease.user)?.sessions.some((held) => held.session === session) === true) return true;
  }
  return replica.provisional
    .of(lease.user)
    .some(({ command }) => isAbout(command, session) && command.kind !== "update");
}

/** What the last command does that is on its way to a home about the lease's session: it opens it, or closes it as expired. */
export function onItsWay({ provisional }: Replica, { user, id }: Lease): "open" | "expired" | undefined {
  const last = provisional
    .of(user)
    .findLast(({ command }) => command.kind !== "update" && isAbout(command, id));
  if (last?.command.kind === "open") return "open";
  return last?.command.kind === "close" && last.command.reason === "expired" ? "expired" : undefined;
}
