/**
 * The embedded log: the log port in memory, for tests, simulation and single-process demos.
 * Rule: it behaves as the NATS adapter does, failures included, except that its entries die with the process. A `MemoryServer` stands
 * for one region's NATS; stores come and go, share it and see its outages.
 */
import { randomBytes } from "node:crypto";
import type { LogId, Position, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { copyStream, logStream } from "../wire/subjects.ts";
import { MemoryReader } from "./memory-reader.ts";
import type * as port from "./port.ts";

const DUPLICATE_WINDOW_MS = 120_000;
const BYTES_MAX = 256 * 1024 * 1024;

export interface MemoryServerOptions {
  /** Bytes of frames held in all streams together; beyond, appends are `rejected`. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Monotonic milliseconds, for the two minutes in which message ids are remembered. */
  readonly nowMs?: () => number;
}

/** One stored stream. `entries[0]` has the sequence `firstSequence`. */
export class MemoryStream {
  readonly kind: "log" | "copy" | "foreign";
  readonly logId: LogId;
  firstSequence = 1;
  entries: port.Entry[] = [];
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
    this.#switch(false, "the server is stopped");
  }

  start(): void {
    this.#switch(true, "the server is started");
  }

  /** Deletes the stream of that name with all its entries, as an operator could. */
  deleteStream(name: string): void {
    const stream = this.streams.get(name);
    if (stream === undefined) return;
    for (const entry of stream.entries) this.#bytes -= entry.bytes.length;
    this.streams.delete(name);
    this.wake();
  }

  /** Drops the entries of the stream below `sequence`. */
  truncate(name: string, sequence: number): void {
    const stream = this.streams.get(name);
    if (stream === undefined) return;
    const dropped = stream.entries.splice(0, Math.max(0, sequence - stream.firstSequence));
    stream.firstSequence += dropped.length;
    for (const entry of dropped) this.#bytes -= entry.bytes.length;
    this.wake();
  }

  /** Puts a stream there that is not Rollcall's. */
  plantForeign(name: string): void {
    this.streams.set(name, new MemoryStream("foreign"));
  }

  /** Appends with the place the entry gets; undefined without room. The bytes are copied: the caller may reuse its buffer. */
  store(stream: MemoryStream, bytes: Uint8Array, provenance?: port.Entry): Position | undefined {
    if (this.#bytes + bytes.length > this.#bytesMax) return undefined;
    const sequence = stream.lastSequence + 1;
    const { position, logId } = provenance ?? { position: sequence, logId: stream.logId };
    stream.entries.push({ position, logId, bytes: bytes.slice() });
    this.#bytes += bytes.length;
    this.wake();
    return sequence;
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

  #switch(running: boolean, detail: string): void {
    if (this.#running === running) return;
    this.#running = running;
    for (const handler of this.#stores) handler(running, detail);
    this.wake();
  }
}

const DOWN = { ok: false, reason: "unavailable", detail: "the server is stopped" } as const;

/** One log or copy as one store sees it. */
class MemoryLog {
  readonly region: Region;
  readonly server: MemoryServer;
  readonly name: string;
  readonly #readers: Set<port.Reader>;

  constructor(server: MemoryServer, name: string, region: Region, readers: Set<port.Reader>) {
    this.server = server;
    this.name = name;
    this.region = region;
    this.#readers = readers;
  }

  async extent(): ReturnType<port.ReadableLog["extent"]> {
    if (!this.server.running) return DOWN;
    const stream = this.server.streams.get(this.name);
    if (stream === undefined) return { ok: false, reason: "absent", detail: `${this.name} does not exist` };
    const [first] = stream.entries;
    const last = stream.entries.at(-1);
    const lastGiven = stream.kind === "log" ? stream.lastSequence : 0;
    const head = last?.position ?? lastGiven;
    return {
      ok: true,
      extent: { logId: last?.logId ?? stream.logId, first: first?.position ?? head + 1, head },
    };
  }

  read(from: Position, handlers: port.ReadHandlers): port.Reader {
    const reader = new MemoryReader(this.server, this.name, from, handlers);
    const handle = {
      stop: () => {
        this.#readers.delete(handle);
        return reader.stop();
      },
    };
    this.#readers.add(handle);
    return handle;
  }

  /** Why an entry of these bytes cannot be appended to this stream now, if so. */
  refuse(stream: MemoryStream | undefined, bytes: Uint8Array): port.AppendResult | undefined {
    if (!this.server.running) return DOWN;
    if (stream === undefined) return { ...DOWN, detail: `${this.name} does not exist` };
    if (bytes.length === 0) return { ok: false, reason: "rejected", detail: "an entry must not be empty" };
    if (bytes.length <= LIMITS.frameBytesMax) return undefined;
    return { ok: false, reason: "rejected", detail: `${bytes.length} bytes exceed ${LIMITS.frameBytesMax}` };
  }
}

const FULL = { ok: false, reason: "rejected", detail: "the server is full" } as const;

class MemoryOriginLog extends MemoryLog implements port.OriginLog {
  readonly logId: LogId;

  constructor(server: MemoryServer, region: Region, logId: LogId, readers: Set<port.Reader>) {
    super(server, logStream(region), region, readers);
    this.logId = logId;
  }

  async append(bytes: Uint8Array, messageId: string): Promise<port.AppendResult> {
    const stream = this.server.streams.get(this.name);
    const refusal = this.refuse(stream, bytes);
    if (refusal !== undefined || stream === undefined) return refusal ?? DOWN;
    if (stream.logId !== this.logId)
      return { ok: false, reason: "rejected", detail: `${this.name} is not log ${this.logId} any more` };
    const earlier = this.server.duplicateOf(stream, messageId);
    if (earlier !== undefined) return { ok: true, position: earlier, duplicate: true };
    const position = this.server.store(stream, bytes);
    if (position === undefined) return FULL;
    this.server.remember(stream, messageId, position);
    return { ok: true, position, duplicate: false };
  }
}

class MemoryCopyLog extends MemoryLog implements port.CopyLog {
  constructor(server: MemoryServer, origin: Region, readers: Set<port.Reader>) {
    super(server, copyStream(origin), origin, readers);
  }

  async checkpoint(): ReturnType<port.CopyLog["checkpoint"]> {
    if (!this.server.running) return DOWN;
    const stream = this.server.streams.get(this.name);
    if (stream === undefined) return { ok: false, reason: "absent", detail: `${this.name} does not exist` };
    const last = stream.entries.at(-1);
    const sequence = stream.lastSequence;
    return { ok: true, logId: last?.logId ?? "", position: last?.position ?? 0, sequence };
  }

  async append(entry: port.Entry, fence: number): Promise<port.AppendResult> {
    const stream = this.server.streams.get(this.name);
    const refusal = this.refuse(stream, entry.bytes);
    if (refusal !== undefined || stream === undefined) return refusal ?? DOWN;
    if (stream.lastSequence !== fence)
      return { ok: false, reason: "fenced", detail: `wrong last sequence: ${stream.lastSequence}` };
    const position = this.server.store(stream, entry.bytes, entry);
    return position === undefined ? FULL : { ok: true, position, duplicate: false };
  }
}

export class MemoryLogStore implements port.LogStore {
  readonly #server: MemoryServer;
  readonly #readers = new Set<port.Reader>();
  readonly #unhooks: (() => void)[] = [];
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
    return { ok: true, log: new MemoryOriginLog(this.#server, region, found.stream.logId, this.#readers) };
  }

  async openCopy(origin: Region, options: { create: boolean }): Promise<port.Opened<port.CopyLog>> {
    const found = this.#find(copyStream(origin), "copy", options.create);
    return found.ok ? { ok: true, log: new MemoryCopyLog(this.#server, origin, this.#readers) } : found;
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
    if (existing === undefined) this.#server.wake();
    return { ok: true, stream };
  }
}
