/**
 * What must hold at every moment, on every replica, checked against the ledger of what clients were told and against what other replicas
 * showed at equal positions. Rule: each check names its invariant (architecture.md), and the first that fails ends the run.
 */
import type { Region, SessionId, UserId } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { compareEpochs, rank } from "../../replicator/core/homing.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import { placeText } from "./history.ts";
import type { Place, Strand } from "./history.ts";
import type { Consistency, Outcome } from "../../services/presence/service.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { TTL_MS } from "./settings.ts";
import { digestOf } from "./digest-of.ts";
import { Bounds } from "./bounds.ts";
import { Contact } from "./contact.ts";
import { LagChecks } from "./lag-checks.ts";
import { Walks } from "./walks.ts";
import type { Clients } from "./clients.ts";
import type { Befrienders } from "./befrienders.ts";
import { FreshReads } from "./fresh-reads.ts";
import { FalseOffline, isBack } from "./false-offline.ts";
import { Unsure } from "./unsure.ts";
import { Flips } from "./flips.ts";
import { Losses } from "./losses.ts";
import type { Observer, World } from "./world.ts";

/** Every so many positions the folds of a log are compared. */
const DIGEST_EVERY = 8;
const READ_EVERY_MS = 25;
/** Every so many reads all replicas are looked at, for all users. */
const ALL_EVERY = 20;
/** A lease is looked at once a second, and its end appended at the next tick. */
const EXPIRED_LATE_MS = 1_500;

/** What a host held of a record, and where its fold stood then. */
interface Seen {
  readonly place: Place;
  readonly epoch: Epoch;
  readonly version: number;
  readonly moved: boolean;
}

export class Checks implements Observer {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #clients: Clients;
  readonly #random: Random;
  /** By strand and position. */
  readonly #digests = new Map<string, { readonly digest: string; readonly by: string }>();
  readonly #seen = new Map<NodeHost, Map<string, Seen>>();
  readonly #contact: Contact;
  readonly #lags: LagChecks;
  readonly #bounds: Bounds;
  readonly #walks: Walks;
  readonly #losses: Losses;
  readonly #fresh: FreshReads;
  readonly flips: Flips;
  readonly #falseOffline: FalseOffline;
  readonly #unsure: Unsure;
  #reads = 0;
  readonly #counts = {
    digests: 0,
    reads: 0,
    shown: 0,
    unsure: 0,
    gone: 0,
    satisfied: 0,
    unsatisfied: 0,
    replaced: 0,
  };

  constructor(world: World, ledger: Ledger, clients: Clients, befrienders: Befrienders) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
    this.#random = new Random(world.settings.seed, "reads");
    this.#contact = new Contact(world);
    this.#lags = new LagChecks(world, this.#contact);
    this.#bounds = new Bounds(world, ledger, this.#contact);
    this.#walks = new Walks(world, ledger, clients);
    this.#losses = new Losses(world, ledger);
    this.flips = new Flips(world);
    this.#falseOffline = new FalseOffline(world, ledger, clients);
    this.#unsure = new Unsure(world);
    this.#fresh = new FreshReads(world, ledger, clients, befrienders, {
      bounds: this.#bounds,
      contact: this.#contact,
    });
    world.observer = this;
    clients.wrong = (what) => world.machine.fail(what);
    this.#readOn();
  }

  get counts(): Record<string, number> {
    const { counts: lags } = this.#lags;
    const { counts: losses } = this.#losses;
    return {
      ...this.#counts,
      ...lags,
      ...this.#bounds.counts,
      ...this.#walks.counts,
      ...this.#fresh.counts,
      ...losses,
      ...this.flips.counts,
      ...this.#falseOffline.counts,
      ...this.#unsure.counts,
    };
  }

  /** All faults are over. */
  healed(): void {
    this.#lags.healed();
  }

  restarted(host: NodeHost): void {
    this.#seen.delete(host);
    this.#bounds.restarted(host);
  }

  adopted(host: NodeHost): void {
    for (const place of host.places.values()) this.#sameState(host, place);
    this.#falseOffline.lookAtAll(host);
  }

  begun(strand: Strand): void {
    const { region, writer, from } = strand;
    this.#losses.begun(region, from);
    this.#lags.begun(region);
    // An heir ends the sessions of a lost region; when that is back it opens those again that still have a lease.
    if (writer !== region || isBack(strand)) this.#ledger.interrupt(region);
  }

  folded(host: NodeHost, place: Place): void {
    this.#lags.folded(host, place);
    if (place.position % DIGEST_EVERY === 0) this.#sameState(host, place);
    this.#falseOffline.folded(host, place);
  }

  /** Invariant 1: at one place of one lineage one state, whoever got there and how. */
  #sameState(host: NodeHost, place: Place): void {
    const { strand, position } = place;
    const fold = host.node.replica.fold(strand.region);
    if (fold === undefined || host.flipped) return;
    const digest = digestOf(fold);
    const key = `${strand.number} ${position}`;
    const known = this.#digests.get(key);
    this.#counts.digests += 1;
    if (known === undefined) this.#digests.set(key, { digest, by: host.name });
    else if (known.digest !== digest) {
      this.#fail(
        `invariant 1: ${host.name} and ${known.by} differ in the log of ${strand.region} at ${position}`,
      );
    }
    this.#monotonic(host, fold, place);
  }

  /** Invariant 3: a record's epoch and version never go back, and a user given up comes back at a higher epoch only; unless what said so is lost. */
  #monotonic(host: NodeHost, fold: Fold, place: Place): void {
    const seen = this.#seen.get(host) ?? new Map<string, Seen>();
    this.#seen.set(host, seen);
    for (const record of fold.table.values()) {
      const key = `${fold.region} ${record.user}`;
      const before = seen.get(key);
      if (before !== undefined && wentBack(before, record) && this.#world.history.has(place, before.place)) {
        this.#fail(`invariant 3: ${record.user} went back in the log of ${fold.region} on ${host.name}`);
      }
      const { epoch, version, movedTo } = record;
      seen.set(key, { place, epoch, version, moved: movedTo !== "" });
    }
  }

  // ── reads ────────────────────────────────────────────────────────────────────────────────────────────────

  #readOn(): void {
    this.#world.machine.after(undefined, READ_EVERY_MS, "read", () => {
      this.#read();
      this.#fresh.read();
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
        for (const someone of this.#ledger.users()) {
          this.#gone(one, someone);
          this.#falseOffline.look(one, someone);
        }
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
    if (this.#world.isAstray(host)) return;
    const { nowMs } = this.#world.machine;
    for (const account of this.#ledger.of(user)) {
      const { openAcked, region, id, statusAcked } = account;
      if (openAcked === undefined || this.#ledger.mayBeOver(account, nowMs)) continue;
      if (!host.has(openAcked)) {
        if (host.region === region && host.serves && !this.#world.isDeposed(host))
          this.#shownAtOnce(host, account);
        continue;
      }
      this.#counts.shown += 1;
      const session = shown.get(id);
      if (session === undefined && this.#unsure.has(host, view, id)) continue;
      if (session === undefined) {
        this.#fail(
          `invariants 4, 6: ${id} of ${user} beats in ${region}, is logged at ${placeText(openAcked)}, and ${host.name} does not show it`,
        );
        continue;
      }
      if (statusAcked === undefined || !host.has(statusAcked) || host.flipped) continue;
      if (session.status !== account.status && !account.tentative.includes(session.status)) {
        this.#fail(
          `invariant 4: ${host.name} shows ${id} ${session.status}; acknowledged was ${account.status}`,
        );
      }
    }
  }

  /**
   * Invariant 2: of the regions whose logs hold the user at the highest epoch that any log knows, the one of the highest rank. Where that
   * is the epoch of one that gave the user up, the home is on its way and no record counts.
   */
  #oneHome(host: NodeHost, user: UserId, home: Region | undefined): void {
    const { replica } = host.node;
    const known = replica.folds.flatMap(({ region, table }) => {
      const record = table.get(user);
      return record === undefined ? [] : [{ region, record }];
    });
    const [highest] = known.map(({ record }) => record.epoch).toSorted((a, b) => compareEpochs(b, a));
    if (highest === undefined) return;
    const claims = known
      .filter(({ record }) => record.movedTo === "" && compareEpochs(record.epoch, highest) === 0)
      .map(({ region }) => region);
    const [best] = claims.toSorted((a, b) => rank(user, b) - rank(user, a));
    if (replica.winner(user) !== best || (best !== undefined && home !== best)) {
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
    if (account.closeAcked !== undefined && host.has(account.closeAcked)) {
      this.#fail(
        `invariant 4: ${host.name} shows ${id} of ${user}, closed at ${placeText(account.closeAcked)}`,
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
    const held = this.#clients.tokens[Math.floor(which * this.#clients.tokens.length)];
    if (held === undefined || host.presence === undefined) return;
    const { token, places } = held;
    this.#world.machine.enter(host.process);
    const answered = this.#bounds.waits(host, waitMs);
    void host.presence.consistency({ mode: "token", token, waitMs }).then((outcome) => {
      answered();
      return this.#answered(host, places, outcome);
    });
  }

  /** A token that speaks of another log than the replica has is refused, and never satisfied. */
  #answered(host: NodeHost, places: readonly Place[], outcome: Outcome<Consistency>): void {
    if (!outcome.ok) {
      this.#counts.replaced += 1;
      const other = places.some(({ strand }) => this.#world.hasAnother(host, strand));
      if (outcome.problem.name !== "token-log-replaced" || !other)
        this.#fail(`a read with a token failed: ${outcome.problem.name}`);
      return;
    }
    const all = places.every((place) => host.has(place));
    if (outcome.value.satisfied) this.#counts.satisfied += 1;
    else this.#counts.unsatisfied += 1;
    if (outcome.value.satisfied && !all)
      this.#fail(`invariant 8: ${host.name} called a token satisfied that is not`);
  }

  #fail(what: string): void {
    this.#world.machine.fail(what);
  }
}

function wentBack(before: Seen, record: UserRecord): boolean {
  const raised = compareEpochs(record.epoch, before.epoch);
  return (
    raised < 0 || record.version < before.version || (before.moved && record.movedTo === "" && raised === 0)
  );
}
