/**
 * Takes snapshots on schedule and on request, removes old ones, and truncates the logs by what is left. Rule: nothing is truncated that
 * the oldest of the stored snapshots does not hold, so a newest one that is damaged or wrong costs nothing; of a log that several folds read,
 * nothing that one of them still has to read.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { CopyLog, LogStore } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { doneIn } from "../../replicator/runtime/snapshot-label.ts";
import { SAMPLE_MS } from "./retention.ts";
import type { Retention } from "./retention.ts";
import type { Labelled, Snapshots, Taken } from "./snapshots.ts";
import { WRITTEN_OFF, peerKey } from "./switches.ts";

export interface HousekeepingOptions {
  readonly region: Region;
  readonly store: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly snapshots: Snapshots;
  readonly retention: Retention;
  /** The replica of the moment. */
  readonly replica: () => Replica;
  /** It is known to be wrong: a snapshot of it would pass that on. */
  readonly suspect: () => boolean;
  readonly everyMs: number;
}

export class Housekeeping {
  readonly stats = { taken: 0, failed: 0, bytes: 0 };
  readonly #options: HousekeepingOptions;
  #atMs = Number.NEGATIVE_INFINITY;
  #sampledAtMs = Number.NEGATIVE_INFINITY;
  #wanted = false;
  /** Identity of this region's log in the newest snapshot of this life. */
  #takenOf = "";
  #taking: Promise<Taken> | undefined;
  #sampling = false;
  #stopped = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  /** Somebody has use for a newer snapshot. */
  want(): void {
    this.#wanted = true;
  }

  /** Called all the time, of a node that has caught up. */
  tick(): void {
    const nowMs = this.#options.clock().monoMs;
    if (nowMs - this.#sampledAtMs >= SAMPLE_MS && !this.#sampling) void this.#sample(nowMs);
    if (this.#taking !== undefined || nowMs - this.#atMs < LIMITS.snapshotSoonestMs) return;
    if (this.#options.suspect()) return;
    const logId = this.#logId();
    if (this.#wanted || logId !== this.#takenOf || nowMs - this.#atMs >= this.#options.everyMs)
      void this.take();
  }

  /** Takes one now, or waits for the one that is being taken. */
  take(): Promise<Taken> {
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  /** The replica was wrong, and so are the snapshots that say the same: no other node may begin with them. */
  async removeDoubted(): Promise<void> {
    const names = await this.#options.snapshots.removeDoubted();
    if (names.length === 0) return;
    this.#options.logger.warn({ event: "snapshots-removed", names });
    this.want();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#taking;
  }

  #logId(): string {
    return this.#options.replica().fold(this.#options.region)?.logId ?? "";
  }

  async #take(): Promise<Taken> {
    const { clock, logger, snapshots, replica } = this.#options;
    const startedMs = clock().monoMs;
    this.#atMs = startedMs;
    this.#wanted = false;
    const logId = this.#logId();
    const taken = await snapshots.take(replica());
    if (!taken.ok) {
      this.stats.failed += 1;
      logger.warn({ event: "snapshot-failed", detail: taken.detail });
      return taken;
    }
    this.stats.taken += 1;
    this.stats.bytes = taken.bytes;
    this.#takenOf = logId;
    const tookMs = Math.round(clock().monoMs - startedMs);
    logger.info({ event: "snapshot-taken", name: taken.name, bytes: taken.bytes, tookMs });
    if (!this.#stopped) await this.#truncate(await snapshots.prune());
    return taken;
  }

  async #truncate(kept: readonly Labelled[] | undefined): Promise<void> {
    const { region, store, replica, retention, clock } = this.#options;
    const own = kept?.filter(({ label }) => label.region === this.#options.region) ?? [];
    if (own.length < 2) return;
    const settings = replica().fold(region)?.settings;
    for (const origin of replica().regions) {
      const opened =
        origin === region
          ? await store.openLog(origin, { create: false })
          : await store.openCopy(origin, { create: false });
      const answer = opened.ok ? await opened.log.extent() : undefined;
      if (!opened.ok || answer?.ok !== true) continue;
      const { logId } = answer.extent;
      const done = Math.min(...own.map(({ label }) => doneIn(label, origin, logId)));
      if (done <= 1) continue;
      const isWrittenOff = (peer: Region): boolean => settings?.get(peerKey(peer))?.value === WRITTEN_OFF;
      const below =
        origin === region
          ? retention.truncateBelow(done, isWrittenOff, clock().monoMs)
          : done - LIMITS.framesKept;
      await this.#drop(origin, opened.log, below, logId);
    }
  }

  async #drop(origin: Region, log: Pick<CopyLog, "truncate">, below: Position, logId: LogId): Promise<void> {
    if (below <= 1) return;
    const done = await log.truncate(below, logId);
    if (!done.ok)
      this.#options.logger.warn({ event: "truncate-failed", log: origin, below, detail: done.detail });
  }

  async #sample(atMs: number): Promise<void> {
    const { region, store, retention } = this.#options;
    this.#sampling = true;
    this.#sampledAtMs = atMs;
    const log = await store.openLog(region, { create: false });
    const answer = log.ok ? await log.log.extent() : undefined;
    this.#sampling = false;
    if (answer?.ok !== true) return;
    const { logId, head, bytes } = answer.extent;
    retention.sample(logId, { atMs, head, bytes });
  }
}
