/**
 * Keeps the sessions connected here and the logs in step: what a log has gets a lease, what ended gets its close, what a log lost is
 * opened again. Rule: it covers lost tails, double claims and long cuts alike, and whatever it appends may be repeated harmlessly.
 */
import { deposed } from "../../replicator/core/authority.ts";
import { defined } from "../../replicator/core/assert.ts";
import type { Close, LinkState, Region, Session, SessionId, UserId } from "../../replicator/core/commands.ts";
import { deputyOf } from "../../replicator/core/deputy.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { NodeEvent } from "../../replicator/core/node-events.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import { endsFor } from "../../replicator/core/record.ts";
import type { EndedSession } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Homeward } from "./homeward.ts";
import type { Lease, Leases } from "./leases.ts";
import type { LocalSessions } from "./local-sessions.ts";
import { Reconcile, isInLog, onItsWay } from "./reconcile.ts";
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
  /** The user's sessions in the logs when a session was found to be in no log while another region stands for this one. */
  readonly #knownWith = new WeakMap<Lease, ReadonlySet<SessionId>>();
  /** The succession of this region after which its log was found to have all sessions that were alive here. */
  #wholeSince = 0;
  /** Rounds of reconcile from this one on tell whether it has. */
  #tellsFrom = 0;
  /** Since when, by the monotonic clock, {@link ageMs} is not 0. */
  #unsureSinceMs: number | undefined;
  /** Appends of what it lacked, under way. */
  #reopening = 0;

  constructor(options: HealingOptions) {
    const { node, leases } = options;
    this.#options = options;
    this.#reconcile = new Reconcile(
      node.region,
      leases,
      () => node.replica,
      () => this.isSilent(),
    );
  }

  /** What the node took in; `before` is its replica from before that. */
  took(event: NodeEvent, before: Replica, now: Now): void {
    // A node that answers for the first time has no session that no log has.
    if (event.kind === "caught-up") this.#wholeSince = this.#succession;
    if (event.kind === "adopt") this.#adopted(before, event.astray === true);
    if (event.kind === "caught-up" || event.kind === "adopt") this.#begin(now);
    const isUnsure = this.#isDeposed || this.isSilent();
    this.#unsureSinceMs = isUnsure ? (this.#unsureSinceMs ?? now.monoMs) : undefined;
  }

  /**
   * How old, at least, is what the node knows of its own region, in milliseconds. From when another is known to stand for it until all is folded
   * that was said in its place, and the log has what is alive here, it is stale; never unknown, as who is connected here is known.
   */
  ageMs(monoMs: number): number {
    if (this.#unsureSinceMs === undefined) return 0;
    const unsureMs = Math.max(1, monoMs - this.#unsureSinceMs);
    return Math.min(LIMITS.staleAfterMs + unsureMs, LIMITS.unknownAfterMs);
  }

  /** The log was begun again, and may lack what is alive. */
  hurry(): void {
    this.#again();
  }

  /**
   * Another region stood for this one and closed its sessions, and this region's log may lack some that are alive here. To be heard before
   * it has them would make them offline where they are known by that log alone.
   */
  isSilent(): boolean {
    return this.#wholeSince !== this.#succession;
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

  /** Appends what a slice of the sessions needs; called each tick, with whether the log accepts. */
  heal(now: Now, canAppend: boolean): void {
    if (!canAppend) {
      if (this.#isDeposed) for (const lease of this.#reconcile.missing(now.monoMs)) this.#await(lease);
      this.#tellsFrom = this.#reconcile.begun + 1;
      return;
    }
    void this.#close();
    void this.#reopen(this.#reconcile.missing(now.monoMs));
    for (const { user, session } of this.#reconcile.orphans()) this.#orphan(user, session, now);
    if (this.isSilent()) this.#tell();
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

  /** A log ended a session that is connected here; `unsaid` as in `NodeEffect`. */
  ended({ session, reason, by }: EndedSession, unsaid: boolean): void {
    const { leases, local } = this.#options;
    const lease = leases.get(session.session);
    if (lease === undefined || reason !== "expired" || !this.#livesOn(lease, unsaid))
      local.end(session.session, reason, by);
  }

  /**
   * A close found nothing where it went: if the session is connected here, it is over all the same. The close may have gone to another log
   * than the one that has the session, which is to hear of it.
   */
  closed({ session, reason, by }: Close, unsaid: boolean): void {
    const { node, leases, local } = this.#options;
    const lease = leases.get(session);
    if (lease === undefined || (reason === "expired" && this.#livesOn(lease, unsaid))) return;
    local.end(session, reason, by);
    if (isInLog(node.replica, lease)) local.orphaned(lease.user, session);
  }

  /**
   * The node has another replica. Ends the sessions that the one of before had in a log, and the one of now has not: their logs ended them
   * while nobody listened. Where the one of before was astray, the end of a log may be lost, and only those are over that a login ended which
   * it did not know. What is not over is shown as before, though no log has it now.
   */
  #adopted(before: Replica, wasAstray: boolean): void {
    const { node, leases, local } = this.#options;
    const { replica } = node;
    for (const lease of leases.all()) {
      if (!isInLog(before, lease) || isInLog(replica, lease)) continue;
      const { user, session } = lease;
      const known = new Set(decidedOf(before, user).map(idOf));
      if (lease.settling > 0) local.missing(lease);
      else if (this.#endedByOther(lease, known)) continue;
      else if (wasAstray || !isSameHome(before, replica, user)) local.missing(lease);
      else local.end(session.session, "forced", "");
    }
  }

  #begin(now: Now): void {
    this.#reconcile.request();
    this.#adoptsUntilMs = now.monoMs + this.#options.ttlMs;
  }

  get #succession(): number {
    const { region, replica } = this.#options.node;
    return deputyOf(defined(replica.fold(region), "a replica has every region")).generation;
  }

  /** The region is heard again once a round is over, and all is in the log that it found missing or passed over. */
  #tell(): void {
    const { finished, passed } = this.#reconcile;
    const isUnderWay = this.#reopening > 0 || passed.some(({ settling }) => settling > 0);
    if (finished < this.#tellsFrom || isUnderWay) return;
    if (passed.some((lease) => !lease.removed && this.#reconcile.lacks(lease))) this.#again();
    else this.#wholeSince = this.#succession;
  }

  #again(): void {
    this.#tellsFrom = this.#reconcile.begun + 1;
    this.#reconcile.request();
  }

  get #isDeposed(): boolean {
    const { region, replica } = this.#options.node;
    return deposed(replica.folds, region) !== undefined;
  }

  /**
   * Whether a session that a log ends as expired is alive all the same. Whoever stands for this region hears no heartbeats of it, and ends what
   * it takes for over. Some homes tell so before this region knows who stands for it, some when it has its log again. What is not over is
   * opened again, or is on its way to that.
   */
  #livesOn(lease: Lease, unsaid: boolean): boolean {
    const isDeposed = this.#isDeposed;
    const isBack = !isDeposed && this.isSilent();
    if (!isDeposed && !isBack && !unsaid) return onItsWay(this.#options.node.replica, lease) === "open";
    this.#await(lease);
    if (isBack) this.#again();
    return true;
  }

  /** The session is alive and in no log, and cannot be opened again yet: who logs in meanwhile may end it. */
  #await(lease: Lease): void {
    const { node, local } = this.#options;
    const known = this.#knownWith.get(lease);
    if (known !== undefined && this.#endedByOther(lease, known)) return;
    local.missing(lease);
    if (known === undefined)
      this.#knownWith.set(lease, new Set(decidedOf(node.replica, lease.user).map(idOf)));
  }

  /** Ends the session if a login does that its home has decided, and that is not among those known. */
  #endedByOther({ user, session }: Lease, known: ReadonlySet<SessionId>): boolean {
    const { node, local } = this.#options;
    for (const one of decidedOf(node.replica, user)) {
      const reason = known.has(one.session) ? undefined : endsFor(one, session);
      if (reason === undefined) continue;
      local.end(session.session, reason, one.session);
      return true;
    }
    return false;
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

  async #reopen(found: readonly Lease[]): Promise<void> {
    const missing = found.filter((lease) => {
      const known = this.#knownWith.get(lease);
      this.#knownWith.delete(lease);
      return known === undefined || !this.#endedByOther(lease, known);
    });
    if (missing.length === 0) return;
    const { local, homeward, tally } = this.#options;
    tally.reconciled.reopened += missing.length;
    for (const lease of missing) local.missing(lease);
    const commands = missing.map(({ user, session }) => homeward.address({ kind: "open", user, session }));
    this.#reopening += 1;
    const { ok } = await homeward.append(commands, missing);
    this.#reopening -= 1;
    if (!ok && this.isSilent()) this.#again();
  }
}

/** What the user's home has decided: not what is only on its way there. */
function decidedOf({ folds }: Replica, user: UserId): Session[] {
  return folds.flatMap((fold) => [...(fold.homed(user)?.sessions ?? [])]);
}

function idOf({ session }: Session): SessionId {
  return session;
}

/** Whether the log that has the user is still the same: one that was renewed may have lost what it had, and that is opened again. */
function isSameHome(before: Replica, now: Replica, user: UserId): boolean {
  const home = before.view(user)?.home ?? "";
  return before.fold(home)?.logId === now.fold(home)?.logId;
}
