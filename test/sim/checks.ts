/**
 * What must hold at every moment, on every replica, checked against the ledger of what clients were told and against what other replicas
 * showed at equal positions. Rule: each check names its invariant (architecture.md), and the first that fails ends the run.
 */
import type { Position, Region, SessionId, UserId } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { rank } from "../../replicator/core/homing.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { REGIONS, TTL_MS } from "./settings.ts";
import { Bounds } from "./bounds.ts";
import { Contact } from "./contact.ts";
import { LagChecks } from "./lag-checks.ts";
import { Walks } from "./walks.ts";
import type { Clients } from "./clients.ts";
import type { Observer, World } from "./world.ts";

/** Every so many positions the folds of a log are compared. */
const DIGEST_EVERY = 8;
const READ_EVERY_MS = 25;
/** Every so many reads all replicas are looked at, for all users. */
const ALL_EVERY = 20;
/** A lease is looked at once a second, and its end appended at the next tick. */
const EXPIRED_LATE_MS = 1_500;

/** The whole state of a fold as text: the same text for the same state. */
export function digestOf(fold: Fold): string {
  return JSON.stringify([
    fold.logId,
    fold.position,
    [...fold.table.values()],
    [...fold.sent],
    [...fold.processed],
  ]);
}

export class Checks implements Observer {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #clients: Clients;
  readonly #random: Random;
  readonly #digests = new Map<Region, Map<Position, { digest: string; by: string }>>();
  readonly #seen = new Map<NodeHost, Map<string, { version: Position; moved: boolean }>>();
  readonly #contact: Contact;
  readonly #lags: LagChecks;
  readonly #bounds: Bounds;
  readonly #walks: Walks;
  #reads = 0;
  readonly #counts = { digests: 0, reads: 0, shown: 0, gone: 0, satisfied: 0, unsatisfied: 0 };

  constructor(world: World, ledger: Ledger, clients: Clients) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
    this.#random = new Random(world.settings.seed, "reads");
    this.#contact = new Contact(world);
    this.#lags = new LagChecks(world, this.#contact);
    this.#bounds = new Bounds(world, ledger, this.#contact);
    this.#walks = new Walks(world, ledger, clients);
    for (const region of REGIONS) this.#digests.set(region, new Map());
    world.observer = this;
    clients.wrong = (what) => world.machine.fail(what);
    this.#readOn();
  }

  get counts(): Record<string, number> {
    return { ...this.#counts, ...this.#lags.counts, ...this.#bounds.counts, ...this.#walks.counts };
  }

  /** All faults are over. */
  healed(): void {
    this.#lags.healed();
  }

  restarted(host: NodeHost): void {
    this.#seen.delete(host);
    this.#bounds.restarted(host);
  }

  folded(host: NodeHost, region: Region, position: Position): void {
    this.#lags.folded(host, region);
    const fold = host.node.replica.fold(region);
    if (fold === undefined || fold.position % DIGEST_EVERY !== 0) return;
    const digest = digestOf(fold);
    const known = this.#digests.get(region)?.get(position);
    this.#counts.digests += 1;
    if (known === undefined) this.#digests.get(region)?.set(position, { digest, by: host.name });
    else if (known.digest !== digest) {
      this.#fail(`invariant 1: ${host.name} and ${known.by} differ in the log of ${region} at ${position}`);
    }
    this.#monotonic(host, fold);
  }

  /** Invariant 3: a record's version never goes back, and a user given up stays given up. */
  #monotonic(host: NodeHost, fold: Fold): void {
    const seen = this.#seen.get(host) ?? new Map<string, { version: Position; moved: boolean }>();
    this.#seen.set(host, seen);
    for (const record of fold.table.values()) {
      const key = `${fold.region} ${record.user}`;
      const before = seen.get(key);
      if (before !== undefined && wentBack(before, record)) {
        this.#fail(`invariant 3: ${record.user} went back in the log of ${fold.region} on ${host.name}`);
      }
      seen.set(key, { version: record.version, moved: record.movedTo !== "" });
    }
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

  #readOn(): void {
    this.#world.machine.after(undefined, READ_EVERY_MS, "read", () => {
      this.#read();
      this.#readOn();
    });
  }

  #read(): void {
    const host = this.#random.pick(this.#world.nodes);
    const user = `user${1 + this.#random.below(this.#world.settings.users)}`;
    const whichToken = this.#random.unit();
    const withToken = this.#random.chance(0.4);
    const waitMs = this.#random.chance(0.5) ? 0 : Math.round(this.#random.between(1, 1_000));
    this.#contact.look();
    this.#lags.firstFrames();
    this.#reads += 1;
    if (this.#reads % ALL_EVERY === 0) {
      this.#bounds.look();
      for (const one of this.#world.nodes)
        for (const someone of this.#ledger.users()) this.#gone(one, someone);
    }
    if (!host.ready) return;
    this.#counts.reads += 1;
    this.user(host, user);
    this.#lags.look(host);
    if (withToken) this.#token(host, whichToken, waitMs);
  }

  /** Invariants 4 to 6 for one user on one replica. */
  user(host: NodeHost, user: UserId): void {
    const view = host.node.replica.view(user);
    this.#oneHome(host, user, view?.home);
    const shown = new Map(view?.sessions.map(({ session }) => [session.session, session] as const));
    for (const [id, session] of shown) this.#mayBeShown(host, user, id, session.region);
    const { nowMs } = this.#world.machine;
    for (const account of this.#ledger.of(user)) {
      const { openAcked, region, id } = account;
      if (openAcked === undefined || this.#ledger.mayBeOver(account, nowMs)) continue;
      if (!has(host, region, openAcked)) {
        if (host.region === region && host.serves) this.#shownAtOnce(host, account);
        continue;
      }
      this.#counts.shown += 1;
      const session = shown.get(id);
      if (session === undefined) {
        this.#fail(
          `invariants 4, 6: ${id} of ${user} beats in ${region}, is logged at ${openAcked}, and ${host.name} does not show it`,
        );
        continue;
      }
      if (!has(host, region, account.statusAcked)) continue;
      if (session.status !== account.status && !account.tentative.includes(session.status)) {
        this.#fail(
          `invariant 4: ${host.name} shows ${id} ${session.status}; acknowledged was ${account.status}`,
        );
      }
    }
  }

  /** Invariant 2: of the regions whose logs hold the user, the one of the highest rank; all claims are of the first epoch today. */
  #oneHome(host: NodeHost, user: UserId, home: Region | undefined): void {
    const { replica } = host.node;
    const claims = replica.folds.filter((fold) => fold.homed(user) !== undefined).map(({ region }) => region);
    const [best] = claims.toSorted((a, b) => rank(user, b) - rank(user, a));
    if (best === undefined) return;
    if (replica.winner(user) !== best || home !== best) {
      this.#fail(`invariant 2: ${host.name} has ${user} at home in ${home}, of ${claims.join()}`);
    }
  }

  /** Invariant 5, and: what was closed with a token is not shown to who has that token. */
  #mayBeShown(host: NodeHost, user: UserId, id: SessionId, region: Region): void {
    const account = this.#ledger.accounts.get(id);
    if (account === undefined || account.user !== user || account.region !== region) {
      this.#fail(`invariant 5: ${host.name} shows ${id} of ${user} in ${region}, which nobody opened`);
      return;
    }
    if (account.closeAcked !== undefined && has(host, region, account.closeAcked)) {
      this.#fail(
        `invariant 4: ${host.name} shows ${id} of ${user}, closed at ${region} ${account.closeAcked}`,
      );
    }
  }

  /** Invariant 7: without a beat for TTL and twice what it takes to tell, where all is well, a session is shown nowhere in touch. */
  #gone(host: NodeHost, user: UserId): void {
    const { nowMs } = this.#world.machine;
    const withinMs = TTL_MS + EXPIRED_LATE_MS + 2 * this.#contact.propagationMs;
    const touchSinceMs = this.#contact.touchSinceMs(host);
    if (nowMs - touchSinceMs < withinMs) return;
    const shown = host.node.replica.view(user)?.sessions ?? [];
    for (const { id, region, beatMs } of this.#ledger.of(user)) {
      const sinceMs = Math.max(beatMs, touchSinceMs, this.#contact.wellSinceMs(region));
      if (nowMs - sinceMs < withinMs) continue;
      this.#counts.gone += 1;
      if (!shown.some(({ session }) => session.session === id)) continue;
      const forMs = (nowMs - beatMs).toFixed(0);
      this.#fail(
        `invariant 7: ${host.name} shows ${id} of ${user} in ${region}, without a beat for ${forMs} ms`,
      );
    }
  }

  /** A region is never wrong about who is connected to it. */
  #shownAtOnce(host: NodeHost, { user, id }: Account): void {
    if (this.#clients.preferred.get(user)?.has("invisible") === true) return;
    const view = host.presence?.presence(user);
    if (view?.sessions.some(({ session }) => session === id) !== true) {
      this.#fail(
        `invariant 6: ${host.name} does not show ${id} of ${user}, acknowledged and connected to it`,
      );
    }
  }

  /** Invariant 8, through the service where there is one; waits are those of the virtual clock. */
  #token(host: NodeHost, which: number, waitMs: number): void {
    const token = this.#clients.tokens[Math.floor(which * this.#clients.tokens.length)];
    if (token === undefined || host.presence === undefined) return;
    this.#world.machine.enter(host.process);
    const answered = this.#bounds.waits(host, waitMs);
    void host.presence.consistency({ token, waitMs }).then((outcome) => {
      answered();
      if (!outcome.ok) return this.#fail(`a read with a token failed: ${outcome.problem.name}`);
      const all = [...token].every(([region, { position }]) => has(host, region, position));
      if (outcome.value.satisfied) this.#counts.satisfied += 1;
      else this.#counts.unsatisfied += 1;
      if (outcome.value.satisfied && !all)
        this.#fail(`invariant 8: ${host.name} called a token satisfied that is not`);
      return undefined;
    });
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────

  /** What still differs from the ledger, somewhere; nothing when all have converged. */
  unconverged(): string | undefined {
    const { nowMs } = this.#world.machine;
    for (const host of this.#world.nodes) {
      if (!host.ready) return `${host.name} is not ready`;
      for (const origin of REGIONS) {
        const missing = this.#world.server(origin).log.last - host.appliedOf(origin);
        if (missing > 32) return `${host.name} is ${missing} behind ${origin}`;
        const state = host.node.matrix.linkState(origin, host.process.clock());
        if (state !== undefined && state !== "live")
          return `${host.name} shows the link from ${origin} ${state}`;
      }
      for (const user of this.#ledger.users()) {
        const shown = new Map(
          host.node.replica.view(user)?.sessions.map(({ session }) => [session.session, session.status]),
        );
        for (const account of this.#ledger.of(user)) {
          const status = shown.get(account.id);
          if (this.#ledger.isAlive(account, nowMs)) {
            if (status === undefined && account.forced)
              return `${account.id} was forced out and not told yet`;
            if (status === undefined) return `${host.name} does not show ${account.id} of ${user}, alive`;
            if (status !== account.status && !account.tentative.includes(status)) {
              return `${host.name} shows ${account.id} of ${user} ${status}, not ${account.status}`;
            }
          } else if (status !== undefined && !this.#ledger.mayBeRenewed(account, nowMs)) {
            return `${host.name} shows ${account.id} of ${user}, without a beat for ${(nowMs - account.beatMs).toFixed(0)} ms`;
          }
        }
        const preferred = host.node.replica.view(user)?.preferred ?? "automatic";
        if (preferred !== "automatic" && this.#clients.preferred.get(user)?.has(preferred) !== true) {
          return `invariant 5: ${host.name} shows ${user} as preferring ${preferred}, which nobody asked for`;
        }
      }
      if (host.node.replica.contested.size > 0) return `${host.name} has contested users`;
    }
    return undefined;
  }

  #fail(what: string): void {
    this.#world.machine.fail(what);
  }
}

/** Whether the replica has folded that position, by the world's own count. */
function has(host: NodeHost, region: Region, position: Position): boolean {
  return host.appliedOf(region) >= position;
}

function wentBack(before: { version: Position; moved: boolean }, record: UserRecord): boolean {
  return record.version < before.version || (before.moved && record.movedTo === "");
}
