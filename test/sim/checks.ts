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
import { REGIONS } from "./settings.ts";
import type { Clients } from "./clients.ts";
import type { Observer, World } from "./world.ts";

/** Every so many positions the folds of a log are compared. */
const DIGEST_EVERY = 8;
const READ_EVERY_MS = 25;
const STOPPED_SHOWN_MS = 1_000;
/** Drift and rounding. */
const CLOCK_ERROR_MS = 10;
/** The head is asked for each second; the question, the answer and what they wait for may be retransmitted a few times. */
const HEAD_KNOWN_MS = 2_500;
/** Who reads 0 with a frame of this age still to fold is not caught up, whatever was on the way. */
const FALSE_ZERO_MS = 1_500;

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
  /** Since when a replica reads 0 and is not caught up. */
  readonly #zeroSince = new Map<string, number>();
  readonly counts = {
    falseZeros: 0,
    stoppedAsCatchingUp: 0,
    digests: 0,
    reads: 0,
    shown: 0,
    satisfied: 0,
    unsatisfied: 0,
    lags: 0,
  };

  constructor(world: World, ledger: Ledger, clients: Clients) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
    this.#random = new Random(world.settings.seed, "reads");
    for (const region of REGIONS) this.#digests.set(region, new Map());
    world.observer = this;
    clients.wrong = (what) => world.machine.fail(what);
    this.#readOn();
  }

  restarted(host: NodeHost): void {
    this.#seen.delete(host);
  }

  folded(host: NodeHost, region: Region, position: Position): void {
    const fold = host.node.replica.fold(region);
    if (fold === undefined || fold.position % DIGEST_EVERY !== 0) return;
    const digest = digestOf(fold);
    const known = this.#digests.get(region)?.get(position);
    this.counts.digests += 1;
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
    if (!host.ready) return;
    this.counts.reads += 1;
    this.user(host, user);
    this.#lag(host);
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
      this.counts.shown += 1;
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
    void host.presence.consistency({ token, waitMs }).then((outcome) => {
      if (!outcome.ok) return this.#fail(`a read with a token failed: ${outcome.problem.name}`);
      const all = [...token].every(([region, { position }]) => has(host, region, position));
      if (outcome.value.satisfied) this.counts.satisfied += 1;
      else this.counts.unsatisfied += 1;
      if (outcome.value.satisfied && !all)
        this.#fail(`invariant 8: ${host.name} called a token satisfied that is not`);
      return undefined;
    });
  }

  /** Invariant 9: a stopped link shows within a second, and what reads 0 is caught up. */
  #lag(host: NodeHost): void {
    const { nowMs } = this.#world.machine;
    const now = host.process.clock();
    const rows = host.node.matrix.rows(now);
    for (const { origin, replica, state, eventsBehind } of rows) {
      if (replica !== host.region) continue;
      this.counts.lags += 1;
      const quietMs = nowMs - (host.foldedAtMs.get(origin) ?? 0);
      if (state === "catching-up" && eventsBehind === 0 && quietMs > STOPPED_SHOWN_MS + CLOCK_ERROR_MS) {
        this.counts.stoppedAsCatchingUp += 1;
        this.#world.machine.trace(
          () => `${host.name} shows ${origin} catching up, 0 behind, and nothing comes`,
        );
      }
      if (state === "live" && quietMs > STOPPED_SHOWN_MS + CLOCK_ERROR_MS) {
        this.#fail(
          `invariant 9: ${host.name} calls ${origin} live after ${quietMs.toFixed(0)} ms without a frame`,
        );
      }
      this.#zero(host, origin, eventsBehind === 0);
    }
  }

  /** A zero may be false until the head was asked for again: counted. One that stays is a violation. */
  #zero(host: NodeHost, origin: Region, readsZero: boolean): void {
    const { nowMs } = this.#world.machine;
    const { wanMs } = this.#world.settings;
    const key = `${host.process.number} ${origin}`;
    const next = this.#world.server(origin).log.entries[host.applied.get(origin) ?? 0];
    const behindMs = next === undefined ? 0 : nowMs - next.atMs;
    if (!readsZero || behindMs < FALSE_ZERO_MS + 3 * wanMs) {
      this.#zeroSince.delete(key);
      return;
    }
    this.counts.falseZeros += 1;
    this.#world.machine.trace(
      () => `${host.name} reads 0 behind ${origin}, and is ${behindMs.toFixed(0)} ms behind`,
    );
    const sinceMs = Math.max(this.#zeroSince.get(key) ?? nowMs, host.process.runningSinceMs);
    this.#zeroSince.set(key, sinceMs);
    if (nowMs - sinceMs <= HEAD_KNOWN_MS + 6 * wanMs) return;
    const forMs = (nowMs - sinceMs).toFixed(0);
    this.#fail(
      `invariant 9: ${host.name} reads 0 behind ${origin} for ${forMs} ms, and is ${behindMs.toFixed(0)} ms behind`,
    );
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────

  /** What still differs from the ledger, somewhere; nothing when all have converged. */
  unconverged(): string | undefined {
    const { nowMs } = this.#world.machine;
    for (const host of this.#world.nodes) {
      if (!host.ready) return `${host.name} is not ready`;
      for (const origin of REGIONS) {
        const missing = this.#world.server(origin).log.last - (host.applied.get(origin) ?? 0);
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
          } else if (status !== undefined) {
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
  return (host.applied.get(region) ?? 0) >= position;
}

function wentBack(before: { version: Position; moved: boolean }, record: UserRecord): boolean {
  return record.version < before.version || (before.moved && record.movedTo === "");
}
