/**
 * One region's replicator put together: a link per peer, driven by a timer and by what the logs say. It decides nothing itself;
 * `core/link.ts` does. Used by the process (`main.ts`), by the embedded demo and by tests.
 */
import type { LogId, Position, Region } from "./core/commands.ts";
import { Link } from "./core/link.ts";
import type { LinkEffect, LinkEvent, LinkReport } from "./core/link-events.ts";
import { LIMITS } from "./core/limits.ts";
import { openHeadDesk } from "./head-desk.ts";
import type { CopyLog, LogStore, OriginLog, Reader } from "./log/port.ts";
import { COPIED_TOPIC, LINKS_TOPIC, encodeCopied, encodeReports } from "./runtime/announcement.ts";
import type { Clock } from "./runtime/clock.ts";
import { systemClock } from "./runtime/clock.ts";
import type { Logger } from "./runtime/logger.ts";
import { bringLacked } from "./lacked-snapshots.ts";
import { openReadDesk } from "./read-desk.ts";
import type { ReadsCarried } from "./read-desk.ts";
import { fetchSnapshot } from "./snapshot-fetch.ts";
import { TailProver } from "./tail-prover.ts";
import { inspectFrame } from "./wire/codec.ts";
import { baseIn } from "./wire/base-in.ts";

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
  /** Reads that the peers' nodes were asked, and those that were not carried. */
  readonly carried: Readonly<ReadsCarried>;
  stop(): Promise<void>;
}

const HEAD_POLL_MS = 1_000;

/** Starts carrying the peers' logs here, for ever. The stores stay the caller's. */
export function startReplicator(options: ReplicatorOptions): RunningReplicator {
  const { region, local, peers, logger } = options;
  const clock = options.clock ?? systemClock;
  const turns = new Turns();
  const prover = new TailProver({ region, local, peers, clock, logger });
  const drivers = [...peers].map(
    ([origin, remote]) => new LinkDriver({ region, origin, remote, local, clock, logger, turns, prover }),
  );
  const deafen = bringLacked({ local, peers, logger, inTurn: (work) => turns.take(work) });
  const ticking = setInterval(() => {
    for (const driver of drivers) driver.tick();
    prover.tick();
  }, LIMITS.tickMs);
  const announcing = setInterval(
    () => local.announce(LINKS_TOPIC, encodeReports(reports())),
    LIMITS.watermarkMs,
  );
  const polling = setInterval(() => {
    for (const driver of drivers) void driver.pollHead();
    sayNotCarried();
  }, HEAD_POLL_MS);
  const closeHeadDesk = openHeadDesk({ region, local, peers });
  const readDesk = openReadDesk({ region, local, peers });
  let notCarried = 0;
  return {
    reports,
    carried: readDesk.carried,
    stop: async () => {
      closeHeadDesk();
      readDesk.close();
      deafen();
      for (const timer of [ticking, announcing, polling]) clearInterval(timer);
      await Promise.all(drivers.map((driver) => driver.stop()));
    },
  };

  function reports(): LinkReport[] {
    return drivers.map((driver) => driver.report());
  }

  function sayNotCarried(): void {
    const { carried } = readDesk;
    const now = carried.full + carried.malformed;
    if (now !== notCarried) logger.warn({ event: "reads-not-carried", ...carried });
    notCarried = now;
  }
}

/** One after another: the first link that needs a snapshot brings it, and the others find it here. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn;
    return turn;
  }
}

interface LinkDriverOptions {
  readonly region: Region;
  readonly origin: Region;
  readonly remote: LogStore;
  readonly local: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly turns: Turns;
  readonly prover: TailProver;
}

/** Carries out the effects of one link. */
class LinkDriver {
  readonly #link: Link;
  readonly #region: Region;
  readonly #remote: LogStore;
  readonly #local: LogStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #turns: Turns;
  readonly #prover: TailProver;
  #logId: LogId = "";
  /** The copy's last sequence when it was opened. */
  #sequence = 0;
  /** What the origin was told last of how far its log is copied. */
  #told: Position = 0;
  #ends: { origin: OriginLog; copy: CopyLog } | undefined;
  #reader: Reader | undefined;
  #released: (() => void) | undefined;
  #polling = false;
  #shown = "";

  constructor(options: LinkDriverOptions) {
    this.#link = new Link(options.origin);
    this.#region = options.region;
    this.#remote = options.remote;
    this.#local = options.local;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#turns = options.turns;
    this.#prover = options.prover;
  }

  report(): LinkReport {
    return this.#link.report();
  }

  tick(): void {
    this.dispatch({ kind: "tick" });
    this.#tellCopied();
  }

  /** Tells the origin's nodes how far the copy is: some of them wait for it (`ack=peer`), and all may truncate what every peer has. */
  #tellCopied(): void {
    const { copied } = this.#link.report();
    if (copied === this.#told || this.#logId === "" || !this.#remote.connected()) return;
    this.#told = copied;
    const payload = encodeCopied({ region: this.#region, logId: this.#logId, position: copied });
    this.#remote.announce(COPIED_TOPIC, payload);
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
        this.#prover.doubt(this.#link.origin);
        void this.#open().then((event) => this.dispatch(event));
        return;
      case "read":
        return this.#read(effect.from);
      case "fetch":
        void this.#fetch(effect.attempt, effect.logId, effect.atLeast, effect.head).then((event) =>
          this.dispatch(event),
        );
        return;
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
    if (!origin.ok) return openFailed(origin.reason, `log of ${region}: ${origin.detail}`);
    if (!copy.ok) return openFailed("copy", `copy of ${region}: ${copy.detail}`);
    const checkpoint = await copy.log.checkpoint();
    if (!checkpoint.ok) return openFailed("copy", `copy of ${region}: ${checkpoint.detail}`);
    const { logId, position, sequence } = checkpoint;
    const [extent, last] = await Promise.all([origin.log.extent(), copy.log.entry(position)]);
    if (!extent.ok) return openFailed(extent.reason, `log of ${region}: ${extent.detail}`);
    if (!last.ok) return openFailed("copy", `copy of ${region}: ${last.detail}`);
    this.#ends = { origin: origin.log, copy: copy.log };
    this.#logId = extent.extent.logId;
    this.#told = 0;
    this.#sequence = sequence;
    const inspected = last.entry === undefined ? undefined : inspectFrame(last.entry.bytes);
    const checksum = inspected?.ok === true ? inspected.header.checksum : 0;
    const { sealed } = copy.log;
    const end = { logId, position, sequence, checksum, ...(sealed && { sealed }) };
    return { kind: "opened", origin: extent.extent, copy: end };
  }

  async #fetch(attempt: number, logId: LogId, atLeast: Position, head: Position): Promise<LinkEvent> {
    const failed = (detail: string): LinkEvent => ({ kind: "fetch-failed", attempt, detail });
    const { origin } = this.#link;
    const progress = (percent: number): void => this.dispatch({ kind: "fetching", attempt, percent });
    const options = { origin, logId, atLeast, head, remote: this.#remote, local: this.#local, progress };
    const fetched = await this.#turns.take(() => fetchSnapshot(options));
    const copy = this.#ends?.copy;
    if (!fetched.ok) return failed(fetched.detail);
    if (copy === undefined) return failed("stopped");
    this.#logger.info({ event: "snapshot-here", origin, position: fetched.position });
    const now = await copy.checkpoint();
    if (!now.ok) return failed(now.detail);
    if (now.sequence !== this.#sequence) return failed("another replicator writes the copy");
    const reset = await copy.reset(now.sequence);
    if (!reset.ok) return failed(reset.detail);
    const checkpoint = await copy.checkpoint();
    if (!checkpoint.ok) return failed(checkpoint.detail);
    if (checkpoint.sequence !== now.sequence) return failed("another replicator writes the copy");
    return { kind: "fetched", attempt, position: fetched.position, sequence: checkpoint.sequence };
  }

  #read(from: number): void {
    this.#reader = this.#ends?.origin.read(from, {
      entry: ({ position, bytes }) => {
        const inspected = inspectFrame(bytes);
        const inspection = inspected.ok
          ? {
              ok: true as const,
              region: inspected.header.region,
              logId: inspected.header.logId,
              checksum: inspected.header.checksum,
              goesOn: position === 1 && baseIn(bytes) !== undefined,
            }
          : { ok: false as const, reason: inspected.reason };
        this.dispatch({ kind: "entry", entry: { position, bytes }, inspection });
        return this.#link.saturated ? this.#drained() : undefined;
      },
      interrupted: (detail) => this.dispatch({ kind: "interrupted", detail }),
      resumed: () => void this.pollHead(),
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

function openFailed(reason: string, detail: string): LinkEvent {
  return { kind: "open-failed", reason, detail };
}
