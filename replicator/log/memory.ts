/**
 * The embedded log: the log port in memory, for tests, simulation and single-process demos.
 * Rule: it behaves as the NATS adapter does, failures included, except that its entries die with the process. A `MemoryServer` stands
 * for one region's NATS; stores come and go, share it and see its outages.
 */
import { randomBytes } from "node:crypto";
import { assert } from "../core/assert.ts";
import type { LogId, Position, Region } from "../core/commands.ts";
import type { Seal } from "../core/seal.ts";
import { copyStream, logStream } from "../wire/subjects.ts";
import { DOWN, MemoryCopyLog, MemoryOriginLog } from "./memory-logs.ts";
import { MemorySnapshots, type Shelved } from "./memory-snapshots.ts";
import type * as port from "./port.ts";

const DUPLICATE_WINDOW_MS = 120_000;
const BYTES_MAX = 256 * 1024 * 1024;

export interface MemoryServerOptions {
  /** Bytes of frames and snapshots held together; beyond, appends are `rejected`. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Monotonic milliseconds, for the two minutes in which message ids are remembered. */
  readonly nowMs?: () => number;
}

/** One stored stream. `entries[0]` has the sequence `firstSequence`. */
export class MemoryStream {
  readonly kind: "log" | "copy" | "foreign";
  readonly logId: LogId;
  /** Of a copy, which making of it this is. */
  making = Symbol("making");
  firstSequence = 1;
  entries: port.Entry[] = [];
  bytes = 0;
  /** When each message id was seen and where its entry is, oldest first. */
  readonly seen = new Map<string, { readonly atMs: number; readonly position: Position }>();

  constructor(kind: "log" | "copy" | "foreign") {
    this.kind = kind;
    this.logId = kind === "log" ? randomBytes(9).toString("base64url") : "";
  }

  get lastSequence(): number {
    return this.firstSequence + this.entries.length - 1;
  }
}

/** What one region's NATS is: streams that outlive the clients, announcements, and being up or down. */
export class MemoryServer {
  readonly streams = new Map<string, MemoryStream>();
  /** What is known of the logs' ends since it was started. */
  readonly proofs = new Map<LogId, port.Proof>();
  /** Of the copies, by the region whose log is copied. */
  readonly seals = new Map<Region, Seal>();
  /** By name, oldest first. */
  readonly snapshots = new Map<string, Shelved>();
  readonly #bytesMax: number;
  readonly #nowMs: () => number;
  readonly #watchers = new Set<() => void>();
  readonly #stores = new Set<port.ConnectionHandler>();
  readonly #listeners = new Map<string, Set<(payload: Uint8Array) => void>>();
  #running = true;
  #bytes = 0;

  constructor(options: MemoryServerOptions = {}) {
    this.#bytesMax = options.bytesMax ?? BYTES_MAX;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get running(): boolean {
    return this.#running;
  }

  /** An outage: everything stored stays, nothing answers. */
  stop(): void {
    this.proofs.clear();
    this.#switch(false, "the server is stopped");
  }

  start(): void {
    this.#switch(true, "the server is started");
  }

  /** Deletes the stream of that name with all its entries, as an operator could. */
  deleteStream(name: string): void {
    const stream = this.streams.get(name);
    if (stream === undefined) return;
    this.#bytes -= stream.bytes;
    this.streams.delete(name);
    this.wake();
  }

  /** Drops the entries of the stream below `sequence`. */
  truncate(name: string, sequence: number): void {
    const stream = this.streams.get(name);
    if (stream === undefined) return;
    const dropped = stream.entries.splice(0, Math.max(0, sequence - stream.firstSequence));
    stream.firstSequence += dropped.length;
    this.#forget(stream, dropped);
  }

  /** Loses the newest `entries` of the stream, as when an older copy of a server's store is restored. */
  loseTail(name: string, entries: number): void {
    const stream = this.streams.get(name);
    if (stream === undefined || entries === 0) return;
    const lost = stream.entries.splice(-entries);
    for (const [id, { position }] of stream.seen) if (position > stream.lastSequence) stream.seen.delete(id);
    this.#forget(stream, lost);
  }

  /** Flips a bit of the snapshot of that name as it is stored. */
  damageSnapshot(name: string): void {
    const { bytes } = this.#shelved(name);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  }

  /** Loses the second half of the snapshot of that name as it is stored. */
  tearSnapshot(name: string): void {
    const shelved = this.#shelved(name);
    this.snapshots.set(name, { ...shelved, bytes: shelved.bytes.slice(0, shelved.bytes.length >> 1) });
  }

  /** Puts a stream there that is not Rollcall's. */
  plantForeign(name: string): void {
    this.streams.set(name, new MemoryStream("foreign"));
  }

  /** Appends with the place the entry gets; undefined without room. The bytes are copied: the caller may reuse its buffer. */
  store(stream: MemoryStream, bytes: Uint8Array, provenance?: port.Entry): Position | undefined {
    if (!this.hold(bytes.length)) return undefined;
    const sequence = stream.lastSequence + 1;
    const { position, logId } = provenance ?? { position: sequence, logId: stream.logId };
    stream.entries.push({ position, logId, bytes: bytes.slice() });
    stream.bytes += bytes.length;
    this.wake();
    return sequence;
  }

  /** Takes room for so many bytes; false, and nothing taken, when there is not so much. A negative number gives room back. */
  hold(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  /** The position at which this message id was stored within the last two minutes. */
  duplicateOf(stream: MemoryStream, messageId: string): Position | undefined {
    const forgetBeforeMs = this.#nowMs() - DUPLICATE_WINDOW_MS;
    for (const [id, { atMs }] of stream.seen) {
      if (atMs >= forgetBeforeMs) break;
      stream.seen.delete(id);
    }
    return stream.seen.get(messageId)?.position;
  }

  remember(stream: MemoryStream, messageId: string, position: Position): void {
    stream.seen.set(messageId, { atMs: this.#nowMs(), position });
  }

  announce(topic: string, payload: Uint8Array): void {
    const copy = payload.slice();
    const listeners = [...(this.#listeners.get(topic) ?? [])];
    setImmediate(() => {
      const current = this.#running ? this.#listeners.get(topic) : undefined;
      for (const listener of listeners) if (current?.has(listener) === true) listener(copy);
    });
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    const listener = (payload: Uint8Array): void => handler(payload);
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Calls `watcher` whenever there may be something to read, or the server stopped or started. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  onConnection(handler: port.ConnectionHandler): () => void {
    this.#stores.add(handler);
    return () => this.#stores.delete(handler);
  }

  wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #forget(stream: MemoryStream, entries: readonly port.Entry[]): void {
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    stream.bytes -= bytes;
    this.hold(-bytes);
    this.wake();
  }

  #shelved(name: string): Shelved {
    const shelved = this.snapshots.get(name);
    assert(shelved !== undefined, `there is a snapshot ${name}`);
    return shelved;
  }

  #switch(running: boolean, detail: string): void {
    if (this.#running === running) return;
    this.#running = running;
    for (const handler of this.#stores) handler(running, detail);
    this.wake();
  }
}

export class MemoryLogStore implements port.LogStore {
  readonly #server: MemoryServer;
  readonly #readers = new Set<port.Reader>();
  readonly #unhooks: (() => void)[] = [];
  readonly #logs = new Map<Region, MemoryOriginLog>();
  #closed = false;

  constructor(server: MemoryServer) {
    this.#server = server;
  }

  connected(): boolean {
    return this.#server.running && !this.#closed;
  }

  describe(): string {
    return "memory";
  }

  async openLog(region: Region, options: { create: boolean }): Promise<port.Opened<port.OriginLog>> {
    const found = this.#find(logStream(region), "log", options.create);
    if (!found.ok) return found;
    const { logId } = found.stream;
    const held = this.#logs.get(region);
    if (held?.logId === logId) return { ok: true, log: held };
    held?.release();
    const log = new MemoryOriginLog(this.#server, region, logId, this.#readers);
    this.#logs.set(region, log);
    return { ok: true, log };
  }

  async renewLog(region: Region, replaced: LogId): Promise<port.Opened<port.OriginLog>> {
    const found = this.#find(logStream(region), "log", true);
    if (found.ok && found.stream.logId === replaced) this.#server.deleteStream(logStream(region));
    return this.openLog(region, { create: true });
  }

  snapshots(): port.SnapshotStore {
    return new MemorySnapshots(this.#server, () => this.connected());
  }

  async openCopy(origin: Region, options: { create: boolean }): Promise<port.Opened<port.CopyLog>> {
    const found = this.#find(copyStream(origin), "copy", options.create);
    if (!found.ok) return found;
    return { ok: true, log: new MemoryCopyLog(this.#server, origin, found.stream.making, this.#readers) };
  }

  announce(topic: string, payload: Uint8Array): void {
    if (this.connected()) this.#server.announce(topic, payload);
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    const unhook = this.#server.listen(topic, handler);
    this.#unhooks.push(unhook);
    return unhook;
  }

  onConnection(handler: port.ConnectionHandler): void {
    this.#unhooks.push(this.#server.onConnection(handler));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const unhook of this.#unhooks) unhook();
    for (const log of this.#logs.values()) log.release();
    await Promise.all([...this.#readers].map((reader) => reader.stop()));
  }

  #find(
    name: string,
    kind: "log" | "copy",
    create: boolean,
  ): { ok: true; stream: MemoryStream } | { ok: false; reason: port.OpenFailure; detail: string } {
    if (!this.connected()) return DOWN;
    const existing = this.#server.streams.get(name);
    if (existing === undefined && !create)
      return { ok: false, reason: "absent", detail: `${name} does not exist` };
    if (existing !== undefined && existing.kind !== kind)
      return {
        ok: false,
        reason: "wrong-shape",
        detail: `${name} is not Rollcall's: it is a ${existing.kind} stream`,
      };
    const stream = existing ?? new MemoryStream(kind);
    this.#server.streams.set(name, stream);
    if (existing === undefined) {
      this.#server.proofs.set(stream.logId, "proven");
      this.#server.wake();
    }
    return { ok: true, stream };
  }
}
