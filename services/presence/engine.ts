/**
 * What makes a node go: it follows the logs, appends to its own, takes snapshots and truncates by them, and makes its replica anew where
 * it cannot go on or is not to be trusted. HTTP is no part of it; the simulation runs the same engine. Rule: whatever is wrong with
 * logs, snapshots or this node's memory, it goes on answering with what it has, says what is wrong, and mends it.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEvent } from "../../replicator/core/node-events.ts";
import type { LogStore, Opened, ReadableLog } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { listenTo } from "./announced.ts";
import type { Appender } from "./appender.ts";
import { askForSnapshot } from "./ask-for-snapshot.ts";
import { Following } from "./following.ts";
import type { Sink } from "./following.ts";
import { Housekeeping } from "./housekeeping.ts";
import { OwnLog } from "./own-log.ts";
import type { Aside } from "./own-log.ts";
import { PeerAcks } from "./peer-acks.ts";
import { PeersFolded } from "./peers-folded.ts";
import { peersHeard } from "./peers-heard.ts";
import type { Place } from "./follow.ts";
import { Progress } from "./progress.ts";
import { recheck } from "./recheck.ts";
import { base, placeIn, rebuild } from "./resync.ts";
import type { Base, Rebuilt, ResyncOptions } from "./resync.ts";
import { Retention } from "./retention.ts";
import { Sealing } from "./sealing.ts";
import { Snapshots } from "./snapshots.ts";
import type { SnapshotCodec } from "./snapshots.ts";
import { Standing } from "./standing.ts";
import { WRITTEN_OFF, peerKey } from "./switches.ts";
import { Troubles } from "./troubles.ts";
import { Trust } from "./trust.ts";

/** What the engine drives. */
export interface Core {
  readonly node: PresenceNode;
  step(event: NodeEvent): void;
  folded: Sink["fold"];
  tick(): void;
}

export interface EngineOptions {
  readonly region: Region;
  readonly peers: readonly Region[];
  readonly name: string;
  readonly store: LogStore;
  readonly appender: Appender;
  readonly aside: Aside;
  readonly core: Core;
  readonly codec: SnapshotCodec;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Something announced cannot be read. */
  readonly malformed: () => void;
  readonly snapshotMs?: number;
  readonly logBytesMax?: number;
  readonly logAgeMaxMs?: number;
}

const UNSETTLED = "waiting until a peer has said what this region's log may have lost";

export class Engine {
  readonly retention: Retention;
  readonly peerAcks = new PeerAcks((logId) => this.retention.copiedBySome(logId));
  readonly housekeeping: Housekeeping;
  readonly #troubles: Troubles;
  readonly #progress: Progress;
  readonly trust: Trust;
  readonly #options: EngineOptions;
  /** This region first. */
  readonly regions: readonly [Region, ...Region[]];
  readonly #snapshots: Snapshots;
  readonly #standing: Standing;
  readonly #sealing: Sealing;
  readonly #ownLog: OwnLog;
  readonly #peersFolded: PeersFolded;
  #unlisten: (() => void)[] = [];
  #following: Following | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  #resyncing: Promise<Rebuilt | undefined> | undefined;

  constructor(options: EngineOptions) {
    const { region, peers, name, store, codec, clock, logger, appender } = options;
    this.#options = options;
    this.regions = [region, ...peers];
    this.#troubles = new Troubles(logger);
    this.retention = new Retention({
      peers,
      bytesMax: options.logBytesMax ?? LIMITS.logBytesMax,
      ageMaxMs: options.logAgeMaxMs ?? LIMITS.logAgeMaxMs,
    });
    this.#snapshots = new Snapshots({
      region,
      regions: this.regions,
      node: name,
      store: store.snapshots(),
      codec,
      clock,
    });
    const { doubts } = this.#snapshots;
    const { matrix } = this.node;
    this.#progress = new Progress(logger, (detail) => (matrix.loading = detail));
    this.trust = new Trust({ region, name, doubts, matrix, clock, logger });
    this.housekeeping = new Housekeeping({
      region,
      store,
      clock,
      logger,
      snapshots: this.#snapshots,
      retention: this.retention,
      replica: () => this.node.replica,
      suspect: () => this.trust.isDistrusted || this.trust.isAstray,
      everyMs: options.snapshotMs ?? LIMITS.snapshotMs,
    });
    this.#sealing = new Sealing({ peers, store, logger, core: options.core });
    this.#standing = new Standing({
      node: name,
      store,
      at: () => (this.trust.isAstray || this.#ownLog.lagging() !== undefined ? undefined : this.#at(region)),
    });
    this.#peersFolded = new PeersFolded({
      peers,
      clock,
      reported: (peer) => matrix.reported(peer),
      stateOf: (peer) => matrix.linkState(peer, clock()),
      at: (peer) => this.#at(peer).position,
    });
    this.#ownLog = new OwnLog({
      region,
      node: name,
      store,
      clock,
      logger,
      at: () => this.#at(region),
      folds: () => this.node.replica.folds,
      unheard: () => this.#peersFolded.waiting(),
      aside: options.aside,
      alone: () => {
        const settings = this.node.replica.fold(region)?.settings;
        return peers.every((peer) => settings?.get(peerKey(peer))?.value === WRITTEN_OFF);
      },
      further: () => this.#standing.further(),
      keep: async () => {
        if (this.trust.isAstray) return false;
        const taken = await this.housekeeping.take();
        const { logId, position } = this.#at(region);
        // One that was under way already may be of an older state.
        return taken.ok && (logId === "" || taken.vector.get(region)?.position === position);
      },
      use: (log) => appender.use(log),
      withdraw: (detail) => appender.withdraw(detail),
    });
  }

  /** What each log is in trouble with; absent when it is not. */
  get troubles(): ReadonlyMap<Region, string> {
    return this.#troubles.byLog;
  }

  get node(): PresenceNode {
    return this.#options.core.node;
  }

  /** What the node is waiting for before it can answer; empty when it can. */
  get startingWith(): string {
    if (this.node.caughtUp) return "";
    if (this.#following === undefined || this.#following.behind.length === 0)
      return this.#progress.detail === "" ? "looking for a snapshot" : this.#progress.detail;
    return `still folding ${this.#following.behind.join(", ")}`;
  }

  start(): void {
    const { store, core, malformed } = this.#options;
    this.#unlisten = listenTo({
      store,
      malformed,
      step: (event) => core.step(event),
      copied: (copied) => {
        this.retention.copied(copied);
        this.peerAcks.advanced();
      },
      wanted: () => this.housekeeping.want(),
    });
    this.#timer = setInterval(() => this.#tick(), LIMITS.tickMs);
    this.#sealing.start();
    this.#running = this.#begin();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const unlisten of this.#unlisten) unlisten();
    this.#standing.stop();
    await this.#sealing.stop();
    await this.#running;
    await this.#resyncing;
    await this.#following?.stop();
    await this.housekeeping.stop();
  }

  /** Makes the replica anew from snapshot and logs, says how it differs from the one there is, and with `repair` puts it in its place. */
  async verify(repair: boolean): Promise<Rebuilt | undefined> {
    await this.#resyncing;
    return this.#resync(repair, "asked for");
  }

  /** Waits until all is folded that the logs hold by now, of those that can be followed; not for a server that does not answer. */
  async recheck(): Promise<void> {
    await recheck({ ...this.#resyncOptions(), replica: () => this.node.replica });
  }

  async #begin(): Promise<void> {
    const { region, peers, store, clock, core } = this.#options;
    await peersHeard({
      region,
      store,
      clock,
      reports: () => peers.map((peer) => core.node.matrix.reported(peer)),
      progress: (detail) => this.#progress.says(detail),
      stopped: () => this.#stopped,
    });
    const begun = await base(this.#resyncOptions());
    if (begun === undefined || this.#stopped) return;
    this.#adopt(begun, false);
    this.#progress.says("folding what the logs have beyond it");
    this.#follow();
  }

  #adopt({ replica, from }: Base, astray: boolean): void {
    this.#snapshots.doubts.adopted(from, replica);
    this.#options.core.step({ kind: "adopt", replica, astray });
  }

  #follow(): void {
    this.#following = new Following({
      regions: this.regions,
      open: (of, region) => {
        const isOwn = of === region && of === this.#options.region;
        return isOwn ? this.#ownLog.open() : this.#openHeld(of);
      },
      sink: {
        folds: () => this.node.replica.folds,
        at: (region) => this.#at(region),
        fold: (region, position, frame) => {
          this.#options.core.folded(region, position, frame);
          this.#ownLog.look();
        },
      },
      trouble: (region, detail) => this.#troubles.say(region, detail),
      lost: (region, detail, astray) => this.trust.lost(region, detail, astray),
    });
    this.#following.start();
  }

  /** To read it, for any fold. */
  #openHeld(of: Region): Promise<Opened<ReadableLog>> {
    const { region, store } = this.#options;
    return of === region ? store.openLog(of, { create: false }) : store.openCopy(of, { create: false });
  }

  #tick(): void {
    const { core, logger } = this.#options;
    core.tick();
    this.#ownLog.look();
    this.#resyncIfDue();
    const { node } = core;
    if (!node.caughtUp) {
      if (this.#following?.behind.length !== 0) return;
      this.#ownLog.tick();
      if (!this.#ownLog.isSettled()) return this.#progress.says(UNSETTLED);
      const unheard = this.#peersFolded.isLate ? undefined : this.#peersFolded.waiting();
      if (unheard !== undefined) return this.#progress.says(unheard);
      this.#progress.says("");
      core.step({ kind: "caught-up" });
      logger.info({ event: "caught-up", applied: Object.fromEntries(node.replica.applied()) });
    }
    this.#ownLog.tick();
    this.housekeeping.tick();
  }

  #resyncIfDue(): void {
    const why = this.trust.due;
    if (why !== undefined && this.#resyncing === undefined) void this.#resync(true, why);
  }

  #resync(adopt: boolean, why: string): Promise<Rebuilt | undefined> {
    this.trust.begun();
    this.#options.logger.warn({ event: "resync", why });
    const resyncing = this.#rebuild(adopt).finally(() => {
      if (adopt) this.trust.done();
      this.#resyncing = undefined;
    });
    this.#resyncing = resyncing;
    return resyncing;
  }

  async #rebuild(adopt: boolean): Promise<Rebuilt | undefined> {
    const { core, logger } = this.#options;
    const rebuilt = await rebuild({
      ...this.#resyncOptions(),
      present: core.node.replica,
      open: (of) => this.#openHeld(of),
      freeze: async () => {
        await this.#following?.stop();
        return () => this.#follow();
      },
    });
    this.#progress.says("");
    if (this.#stopped) return undefined;
    if (rebuilt !== undefined) {
      const { differences, compared } = rebuilt;
      for (const difference of differences) logger.error({ event: "record-differs", ...difference });
      logger.warn({ event: "resynced", adopted: adopt, compared, differences: differences.length });
      if (adopt) {
        const { isAstray } = this.trust;
        this.trust.renewed();
        this.#adopt(rebuilt, isAstray);
      }
    }
    this.#follow();
    if (adopt && rebuilt !== undefined && rebuilt.differences.length > 0)
      await this.housekeeping.removeDoubted();
    return rebuilt;
  }

  #resyncOptions(): ResyncOptions {
    return {
      region: this.#options.region,
      regions: this.regions,
      store: this.#options.store,
      snapshots: this.#snapshots,
      suspect: this.trust.isDistrusted,
      progress: (detail) => this.#progress.says(detail),
      stopped: () => this.#stopped,
      wanted: (lacked, waitedMs) => askForSnapshot(this.#options.store, lacked, waitedMs),
    };
  }

  #at(region: Region): Place {
    return placeIn(this.node.replica, region);
  }
}
