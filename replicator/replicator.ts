/**
 * One region's replicator put together: a link per peer, driven by a timer and by what the logs say. It decides nothing itself;
 * `core/link.ts` does. Used by the process (`main.ts`), by the embedded demo and by tests.
 */
import type { Region } from "./core/commands.ts";
import { Link } from "./core/link.ts";
import type { LinkEffect, LinkEvent, LinkReport } from "./core/link.ts";
import { LIMITS } from "./core/limits.ts";
import type { CopyLog, LogStore, OriginLog, Reader } from "./log/port.ts";
import { LINKS_TOPIC, encodeReports } from "./runtime/announcement.ts";
import type { Clock } from "./runtime/clock.ts";
import { systemClock } from "./runtime/clock.ts";
import type { Logger } from "./runtime/logger.ts";
import { inspectFrame } from "./wire/codec.ts";

export interface ReplicatorOptions {
  readonly region: Region;
  /** This region's own NATS. */
  readonly local: LogStore;
  /** Each peer's NATS. */
  readonly peers: ReadonlyMap<Region, LogStore>;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface RunningReplicator {
  reports(): LinkReport[];
  stop(): Promise<void>;
}

const HEAD_POLL_MS = 1_000;

/** Starts carrying the peers' logs here, for ever. The stores stay the caller's. */
export function startReplicator(options: ReplicatorOptions): RunningReplicator {
  const { local, peers, logger } = options;
  const clock = options.clock ?? systemClock;
  const drivers = [...peers].map(([origin, store]) => new LinkDriver(origin, store, local, clock, logger));
  const ticking = setInterval(() => {
    for (const driver of drivers) driver.dispatch({ kind: "tick" });
  }, LIMITS.tickMs);
  const announcing = setInterval(
    () => local.announce(LINKS_TOPIC, encodeReports(reports())),
    LIMITS.watermarkMs,
  );
  const polling = setInterval(() => {
    for (const driver of drivers) void driver.pollHead();
  }, HEAD_POLL_MS);
  return {
    reports,
    stop: async () => {
      for (const timer of [ticking, announcing, polling]) clearInterval(timer);
      await Promise.all(drivers.map((driver) => driver.stop()));
    },
  };

  function reports(): LinkReport[] {
    return drivers.map((driver) => driver.report());
  }
}

/** Carries out the effects of one link. */
class LinkDriver {
  readonly #link: Link;
  readonly #remote: LogStore;
  readonly #local: LogStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #ends: { origin: OriginLog; copy: CopyLog } | undefined;
  #reader: Reader | undefined;
  #released: (() => void) | undefined;
  #polling = false;
  #shown = "";

  constructor(origin: Region, remote: LogStore, local: LogStore, clock: Clock, logger: Logger) {
    this.#link = new Link(origin);
    this.#remote = remote;
    this.#local = local;
    this.#clock = clock;
    this.#logger = logger;
  }

  report(): LinkReport {
    return this.#link.report();
  }

  dispatch(event: LinkEvent): void {
    for (const effect of this.#link.step(event, this.#clock())) this.#carryOut(effect);
    if (!this.#link.saturated) this.#released?.();
    const { origin, state, reason, copied, head } = this.#link.report();
    if (state === this.#shown) return;
    this.#shown = state;
    const level = state === "live" || state === "catching-up" ? "info" : "warn";
    this.#logger[level]({ event: "link-state", origin, state, reason, copied, head });
  }

  async pollHead(): Promise<void> {
    const origin = this.#ends?.origin;
    if (origin === undefined || this.#polling) return;
    this.#polling = true;
    const answer = await origin.extent();
    this.#polling = false;
    if (answer.ok) this.dispatch({ kind: "head", position: answer.extent.head });
  }

  async stop(): Promise<void> {
    this.#ends = undefined;
    this.#released?.();
    await this.#reader?.stop();
  }

  #carryOut(effect: LinkEffect): void {
    switch (effect.kind) {
      case "open":
        void this.#open().then((event) => this.dispatch(event));
        return;
      case "read":
        return this.#read(effect.from);
      case "stop":
        this.#released?.();
        void this.#stopReading();
        return;
      case "append": {
        const { attempt, entry, logId, fence } = effect;
        void this.#ends?.copy
          .append({ ...entry, logId }, fence)
          .then((result) =>
            this.dispatch(
              result.ok
                ? { kind: "appended", attempt, position: entry.position, bytes: entry.bytes.byteLength }
                : { kind: "append-failed", attempt, reason: result.reason, detail: result.detail },
            ),
          );
        return;
      }
    }
  }

  async #stopReading(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.stop();
  }

  async #open(): Promise<LinkEvent> {
    await this.#stopReading();
    const { origin: region } = this.#link;
    const [origin, copy] = await Promise.all([
      this.#remote.openLog(region, { create: false }),
      this.#local.openCopy(region, { create: true }),
    ]);
    if (!origin.ok) return { kind: "open-failed", detail: `log of ${region}: ${origin.detail}` };
    if (!copy.ok) return { kind: "open-failed", detail: `copy of ${region}: ${copy.detail}` };
    const [extent, checkpoint] = await Promise.all([origin.log.extent(), copy.log.checkpoint()]);
    if (!extent.ok) return { kind: "open-failed", detail: `log of ${region}: ${extent.detail}` };
    if (!checkpoint.ok) return { kind: "open-failed", detail: `copy of ${region}: ${checkpoint.detail}` };
    this.#ends = { origin: origin.log, copy: copy.log };
    const { logId, position, sequence } = checkpoint;
    return { kind: "opened", origin: extent.extent, copy: { logId, position, sequence } };
  }

  #read(from: number): void {
    this.#reader = this.#ends?.origin.read(from, {
      entry: ({ position, bytes }) => {
        const inspected = inspectFrame(bytes);
        const inspection = inspected.ok
          ? { ok: true as const, region: inspected.header.region, logId: inspected.header.logId }
          : { ok: false as const, reason: inspected.reason };
        this.dispatch({ kind: "entry", entry: { position, bytes }, inspection });
        return this.#link.saturated ? this.#drained() : undefined;
      },
      interrupted: (detail) => this.dispatch({ kind: "interrupted", detail }),
      resumed: () => undefined,
      broken: (reason, detail) => this.dispatch({ kind: "broken", reason, detail }),
    });
  }

  /** Resolves when appends have drained enough for the reader to go on. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#released = () => {
        this.#released = undefined;
        resolve();
      };
    });
  }
}
