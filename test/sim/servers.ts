/**
 * The NATS of each region as data, misbehaving like nats-server 2.9.10: acknowledgements lost after storing, requests that time out and
 * are stored later, message ids forgotten. Rule: what is stored stays and is dense, unless a fault that the system does not heal is asked for.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Entry } from "../../replicator/log/port.ts";
import type { Process } from "./machine.ts";
import type { Peer } from "./network.ts";

const DUPLICATE_WINDOW_MS = 120_000;

export interface Stored extends Entry {
  readonly atMs: number;
}

/** Something that waits for entries of a stream. */
export interface Watcher {
  wake(): void;
}

export class Stream {
  readonly logId: LogId;
  /** `entries[0]` has the sequence 1; those below `first` are gone. */
  readonly entries: Stored[] = [];
  first = 1;
  made = false;
  readonly watchers = new Set<Watcher>();
  readonly #seen = new Map<string, { readonly atMs: number; readonly position: Position }>();

  constructor(logId: LogId) {
    this.logId = logId;
  }

  get last(): number {
    return this.entries.length;
  }

  append(entry: Entry, atMs: number): Position {
    this.entries.push({ ...entry, atMs });
    for (const watcher of this.watchers) watcher.wake();
    return this.entries.length;
  }

  duplicateOf(messageId: string, nowMs: number): Position | undefined {
    const seen = this.#seen.get(messageId);
    return seen !== undefined && nowMs - seen.atMs < DUPLICATE_WINDOW_MS ? seen.position : undefined;
  }

  remember(messageId: string, atMs: number, position: Position): void {
    this.#seen.set(messageId, { atMs, position });
  }
}

export class Server implements Peer {
  readonly region: Region;
  readonly log: Stream;
  readonly copies: ReadonlyMap<Region, Stream>;
  up = true;
  pausedUntilMs = 0;
  readonly #listeners = new Set<{ process: Process; handler: (payload: Uint8Array) => void }>();

  constructor(region: Region, regions: readonly Region[]) {
    this.region = region;
    this.log = new Stream(`log-${region}`);
    this.log.made = true;
    this.copies = new Map(regions.filter((one) => one !== region).map((one) => [one, new Stream("")]));
  }

  copy(origin: Region): Stream {
    const stream = this.copies.get(origin);
    if (stream === undefined) throw new Error(`${this.region} keeps no copy of ${origin}`);
    return stream;
  }

  listen(process: Process, handler: (payload: Uint8Array) => void): () => void {
    const listener = { process, handler };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Who listens and lives. */
  *listeners(): Generator<{ process: Process; handler: (payload: Uint8Array) => void }> {
    for (const listener of this.#listeners) {
      if (listener.process.alive) yield listener;
      else this.#listeners.delete(listener);
    }
  }
}
