/**
 * The NATS of each region as data, misbehaving like nats-server 2.9.10: acknowledgements lost after storing, requests that time out and
 * are stored later, message ids forgotten. Rule: what is stored stays and is dense, unless a fault that the system does not heal is asked for.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import type { Entry, Proof } from "../../replicator/log/port.ts";
import type { Process } from "./machine.ts";
import type { Peer } from "./network.ts";
import { SnapshotShelf } from "./snapshots.ts";

const DUPLICATE_WINDOW_MS = 120_000;

export interface Stored extends Entry {
  readonly atMs: number;
}

/** Something that waits for entries of a stream. */
export interface Watcher {
  wake(): void;
}

/**
 * One stream, from its creation to its deletion. Sequences count what was ever stored in it; positions are the origin's, and differ from
 * sequences in a copy that did not begin with the log. What is truncated is kept, out of reach, for the checkers.
 */
export class Stream {
  /** Empty for a copy: it has the identity of its entries. */
  readonly logId: LogId;
  /** Of a copy, which making of it this is. */
  making = Symbol("making");
  /** False until it is created, and again when it is deleted. */
  exists = false;
  /** The first sequence held. */
  first = 1;
  readonly watchers = new Set<Watcher>();
  /** `#entries[0]` has the sequence `#dropped + 1`. */
  #entries: Stored[] = [];
  #dropped = 0;
  #bytes = 0;
  readonly #seen = new Map<string, { readonly atMs: number; readonly position: Position }>();

  constructor(logId: LogId) {
    this.logId = logId;
  }

  /** The newest sequence ever given. */
  get last(): number {
    return this.#dropped + this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get newest(): Stored | undefined {
    return this.first > this.last ? undefined : this.#entries.at(-1);
  }

  get oldest(): Stored | undefined {
    return this.held(this.first);
  }

  /** Everything that can still be told of, truncated or not. */
  get entries(): readonly Stored[] {
    return this.#entries;
  }

  /** By sequence, truncated or not. */
  held(sequence: number): Stored | undefined {
    return this.#entries[sequence - this.#dropped - 1];
  }

  /** The sequence at which a position is, or will be; in an empty copy any may come next. */
  sequenceOf(position: Position): number | undefined {
    if (this.logId !== "") return position;
    const { oldest } = this;
    return oldest === undefined ? undefined : position - oldest.position + this.first;
  }

  append(entry: Entry, atMs: number): number {
    this.#entries.push({ ...entry, atMs });
    this.#bytes += entry.bytes.length;
    this.wake();
    return this.last;
  }

  /** Everything before that sequence is out of reach. */
  truncate(sequence: number): void {
    const until = Math.min(sequence, this.last + 1);
    for (; this.first < until; this.first++) this.#bytes -= this.oldest?.bytes.length ?? 0;
    this.wake();
  }

  /** A copy begins anew. */
  purge(): void {
    this.#dropped = this.last;
    this.#entries = [];
    this.#bytes = 0;
    this.first = this.last + 1;
    this.wake();
  }

  /** The newest were never written to disk: their sequences are given again, and their message ids are forgotten. */
  loseTail(count: number): void {
    for (const { bytes } of this.#entries.splice(Math.max(0, this.#entries.length - count)))
      this.#bytes -= bytes.length;
    for (const [id, { position }] of this.#seen) if (position > this.last) this.#seen.delete(id);
  }

  wake(): void {
    for (const watcher of this.watchers) watcher.wake();
  }

  duplicateOf(messageId: string, nowMs: number): Position | undefined {
    const seen = this.#seen.get(messageId);
    return seen !== undefined && nowMs - seen.atMs < DUPLICATE_WINDOW_MS ? seen.position : undefined;
  }

  remember(messageId: string, atMs: number, position: Position): void {
    this.#seen.set(messageId, { atMs, position });
  }
}

interface Listener {
  readonly process: Process;
  readonly topic: string;
  readonly handler: (payload: Uint8Array) => void;
}

export class Server implements Peer {
  readonly region: Region;
  readonly snapshots = new SnapshotShelf();
  up = true;
  stops = 0;
  /** What is known of the logs' ends since it was started. */
  /** Of the copies, by the region whose log is copied. */
  readonly seals = new Map<Region, Seal>();
  readonly proofs = new Map<LogId, Proof>();
  pausedUntilMs = 0;
  readonly held: (() => void)[] = [];
  readonly halted: (() => void)[] = [];
  /** Nothing can be stored, neither in the log nor in a copy. */
  full = false;
  readonly #reusesIdentity: boolean;
  #log: Stream;
  #logsMade = 0;
  readonly #copies = new Map<Region, Stream>();
  readonly #listeners = new Set<Listener>();

  constructor(region: Region, reusesIdentity = false) {
    this.region = region;
    this.#reusesIdentity = reusesIdentity;
    this.#log = this.#mint();
    this.create();
  }

  /** The log as it is now: another object after it was deleted or renewed. */
  get log(): Stream {
    return this.#log;
  }

  copy(origin: Region): Stream {
    const held = this.#copies.get(origin) ?? new Stream("");
    this.#copies.set(origin, held);
    return held;
  }

  /** Makes the log if there is none. */
  create(): void {
    if (this.#log.exists) return;
    this.#log.exists = true;
    this.proofs.set(this.#log.logId, "proven");
    this.#log.wake();
  }

  /** Requests that it had not served are gone with it. */
  stop(): void {
    this.up = false;
    this.stops += 1;
    this.held.length = 0;
    this.proofs.clear();
  }

  /** As an operator could; whoever creates it next gets a log of another identity. */
  deleteLog(): void {
    const old = this.#log;
    old.exists = false;
    this.#log = this.#mint();
    old.wake();
  }

  deleteCopy(origin: Region): void {
    const old = this.copy(origin);
    old.exists = false;
    this.#copies.set(origin, new Stream(""));
    old.wake();
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Who listens and lives. */
  *listeners(topic: string): Generator<Listener> {
    for (const listener of this.#listeners) {
      if (!listener.process.alive) this.#listeners.delete(listener);
      else if (listener.topic === topic) yield listener;
    }
  }

  #mint(): Stream {
    this.#logsMade += 1;
    return new Stream(
      this.#logsMade === 1 || this.#reusesIdentity
        ? `log-${this.region}`
        : `log-${this.region}-${this.#logsMade}`,
    );
  }
}
