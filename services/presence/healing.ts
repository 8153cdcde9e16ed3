/**
 * Keeps the sessions connected here and the logs in step: what a log has gets a lease, what ended gets its close, what a log lost is
 * opened again. Rule: it covers lost tails, double claims and long cuts alike, and whatever it appends may be repeated harmlessly.
 */
import type { Close, LinkState, Region, Session, UserId } from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import { endsFor } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Homeward } from "./homeward.ts";
import type { Lease, Leases } from "./leases.ts";
import type { LocalSessions } from "./local-sessions.ts";
import { Reconcile, isInLog } from "./reconcile.ts";
import type { Tally } from "./tally.ts";

export interface HealingOptions {
  readonly node: PresenceNode;
  readonly leases: Leases;
  readonly local: LocalSessions;
  readonly homeward: Homeward;
  readonly tally: Tally;
  readonly ttlMs: number;
}

/** Closes in one append. */
const CLOSES_MAX = 1_000;

export class Healing {
  readonly #options: HealingOptions;
  readonly #reconcile: Reconcile;
  readonly #linkStates = new Map<Region, LinkState | undefined>();
  #closingInFlight = false;
  /** Until then a session in view that nobody here knows of may be one of a former life. */
  #adoptsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: HealingOptions) {
    const { node, leases } = options;
    this.#options = options;
    this.#reconcile = new Reconcile(node.region, leases, () => node.replica);
  }

  /** The node has caught up, or has another replica: all sessions are looked at again. */
  begin(now: Now): void {
    this.#reconcile.request();
    this.#adoptsUntilMs = now.monoMs + this.#options.ttlMs;
  }

  /** The log was begun again, and may lack what is alive. */
  hurry(): void {
    this.#reconcile.request();
  }

  /** A link that is live again may have brought what it was without. */
  watchLinks(now: Now): void {
    const { region, matrix, replica } = this.#options.node;
    for (const origin of replica.regions) {
      if (origin === region) continue;
      const state = matrix.linkState(origin, now);
      if (state === "live" && this.#linkStates.get(origin) !== "live") this.#reconcile.request();
      this.#linkStates.set(origin, state);
    }
  }

  /** Appends what a slice of the sessions needs; called each tick while the log accepts. */
  heal(now: Now): void {
    void this.#close();
    this.#reopen(this.#reconcile.missing(now.monoMs));
    for (const { user, session } of this.#reconcile.orphans()) this.#orphan(user, session, now);
  }

  /**
   * A log has the session. One that a newer forward has closed already gets no lease: its log only relays what is past. One that a forward
   * replaces is alive until the home has decided.
   */
  opened(user: UserId, session: Session): void {
    const { node, leases, local } = this.#options;
    const { replica } = node;
    const isIt = (one: Session): boolean => one.session === session.session;
    const held = leases.get(session.session) !== undefined;
    const shown = replica.view(user)?.sessions.some((one) => isIt(one.session)) === true;
    if (held || shown || replica.replaced(user).some(isIt)) local.opened(user, session);
  }

  /**
   * A close found nothing where it went: if the session is connected here, it is over all the same. The close may have gone to another log
   * than the one that has the session, which is to hear of it.
   */
  closed({ session, reason, by }: Close): void {
    const { node, leases, local } = this.#options;
    const lease = leases.get(session);
    if (lease === undefined) return;
    local.end(session, reason, by);
    if (isInLog(node.replica, lease)) local.orphaned(lease.user, session);
  }

  /** Ends the sessions that the replica of before had in a log, and the one of now has not: their logs ended them while nobody listened. */
  endThose(before: Replica): void {
    const { node, leases, local } = this.#options;
    const { replica } = node;
    for (const lease of leases.all()) {
      if (lease.settling > 0 || !isInLog(before, lease) || isInLog(replica, lease)) continue;
      const { user, session } = lease;
      const known = new Set(before.view(user)?.sessions.map((one) => one.session.session));
      const successor = replica
        .view(user)
        ?.sessions.map((one) => one.session)
        .find((one) => !known.has(one.session) && endsFor(one, session) !== undefined);
      const reason = successor && endsFor(successor, session);
      if (successor !== undefined && reason !== undefined)
        local.end(session.session, reason, successor.session);
      else if (isSameHome(before, replica, user)) local.end(session.session, "forced", "");
    }
  }

  /** After a start, or with another replica, sessions may come into view late: they get their fresh TTL like those seen at once. */
  #orphan(user: UserId, session: Session, now: Now): void {
    const { local } = this.#options;
    const unknown = local.refusal(session.session).reason === "unknown";
    if (unknown && now.monoMs < this.#adoptsUntilMs) local.opened(user, session);
    else local.orphaned(user, session.session);
  }

  async #close(): Promise<void> {
    if (this.#closingInFlight) return;
    const { local, homeward } = this.#options;
    const closes = local.closes(CLOSES_MAX);
    if (closes.length === 0) return;
    this.#closingInFlight = true;
    const outcome = await homeward.append(closes.map((close) => homeward.address(close)));
    this.#closingInFlight = false;
    if (!outcome.ok) return;
    local.closed(closes);
  }

  #reopen(missing: readonly Lease[]): void {
    if (missing.length === 0) return;
    const { local, homeward, tally } = this.#options;
    tally.reconciled.reopened += missing.length;
    for (const lease of missing) local.missing(lease);
    const commands = missing.map(({ user, session }) => homeward.address({ kind: "open", user, session }));
    void homeward.append(commands, missing);
  }
}

/** Whether the log that has the user is still the same: one that was renewed may have lost what it had, and that is opened again. */
function isSameHome(before: Replica, now: Replica, user: UserId): boolean {
  const home = before.view(user)?.home ?? "";
  return before.fold(home)?.logId === now.fold(home)?.logId;
}
