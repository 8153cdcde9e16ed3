/**
 * Logs and copies of a `MemoryServer`, each as one store sees it.
 * Rule: they answer as those on NATS do, failures included.
 */
import type { LogId, Position, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { forbids, laterOf } from "../core/seal.ts";
import type { Seal } from "../core/seal.ts";
import { copyStream, logStream } from "../wire/subjects.ts";
import { MemoryReader } from "./memory-reader.ts";
import type { MemoryServer, MemoryStream } from "./memory.ts";
import * as port from "./port.ts";

export const DOWN = { ok: false, reason: "unavailable", detail: "the server is stopped" } as const;
const FULL = { ok: false, reason: "rejected", detail: "the server is full" } as const;

type Missing = { readonly ok: false; readonly reason: port.OpenFailure; readonly detail: string };

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
    const found = this.stream();
    if (!found.ok) return found;
    const { stream } = found;
    const [first] = stream.entries;
    const last = stream.entries.at(-1);
    const lastGiven = stream.kind === "log" ? stream.lastSequence : 0;
    const head = last?.position ?? lastGiven;
    const logId = last?.logId ?? stream.logId;
    return {
      ok: true,
      extent: { logId, first: first?.position ?? head + 1, head, bytes: stream.bytes },
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

  async entry(position: Position): ReturnType<port.ReadableLog["entry"]> {
    const found = this.stream();
    if (!found.ok) return found;
    const { entries } = found.stream;
    const entry = entries[position - (entries[0]?.position ?? 1)];
    return { ok: true, entry: entry?.position === position ? entry : undefined };
  }

  /** The stream as it is now, or why there is none. */
  stream(): Missing | { readonly ok: true; readonly stream: MemoryStream } {
    if (!this.server.running) return DOWN;
    const stream = this.server.streams.get(this.name);
    if (stream !== undefined) return { ok: true, stream };
    return { ok: false, reason: "absent", detail: `${this.name} does not exist` };
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

export class MemoryOriginLog extends MemoryLog implements port.OriginLog {
  readonly logId: LogId;
  /** The newest position that was acknowledged to this handle or read by it. */
  #known: Position = 0;
  /** When an append was acknowledged last, by the monotonic clock. */
  #ackedAtMs = Number.NEGATIVE_INFINITY;
  /** It was appending when the server stopped, so it knows the end. */
  #vouches = false;
  readonly #unhook: () => void;

  constructor(server: MemoryServer, region: Region, logId: LogId, readers: Set<port.Reader>) {
    super(server, logStream(region), region, readers);
    this.logId = logId;
    this.#unhook = server.onConnection((running) => {
      if (!running) this.#vouches = performance.now() - this.#ackedAtMs < port.VOUCHES_MS;
    });
  }

  /** Another log has taken its place. */
  release(): void {
    this.#unhook();
  }

  override read(from: Position, handlers: port.ReadHandlers): port.Reader {
    return super.read(from, {
      entry: (entry) => {
        if (entry.logId === this.logId) this.#known = Math.max(this.#known, entry.position);
        return handlers.entry(entry);
      },
      interrupted: (detail) => handlers.interrupted(detail),
      resumed: () => handlers.resumed(),
      broken: (reason, detail) => handlers.broken(reason, detail),
    });
  }

  async append(bytes: Uint8Array, messageId: string): Promise<port.AppendResult> {
    const stream = this.server.streams.get(this.name);
    const refusal = this.#refuse(stream, bytes);
    if (refusal !== undefined || stream === undefined) return refusal ?? DOWN;
    if (stream.lastSequence < this.#known)
      return { ...DOWN, detail: port.lostTail(stream.lastSequence, this.#known) };
    if (this.#vouches) this.server.proofs.set(this.logId, "proven");
    if (this.server.proofs.get(this.logId) !== "proven") return { ...DOWN, detail: port.UNPROVEN };
    this.#ackedAtMs = performance.now();
    const earlier = this.server.duplicateOf(stream, messageId);
    if (earlier !== undefined) return { ok: true, position: earlier, duplicate: true };
    const position = this.server.store(stream, bytes);
    if (position === undefined) return FULL;
    this.server.remember(stream, messageId, position);
    this.#known = Math.max(this.#known, position);
    return { ok: true, position, duplicate: false };
  }

  async proof(): ReturnType<port.OriginLog["proof"]> {
    if (!this.server.running) return DOWN;
    return { ok: true, proof: this.server.proofs.get(this.logId) ?? "none" };
  }

  async compared(): ReturnType<port.OriginLog["compared"]> {
    const found = this.#mine();
    if (!found.ok) return found;
    const { proofs } = this.server;
    if (!proofs.has(this.logId)) proofs.set(this.logId, "compared");
    return { ok: true };
  }

  async putBack({ position, logId, bytes }: port.Entry): Promise<port.AppendResult> {
    const stream = this.server.streams.get(this.name);
    const refusal = this.#refuse(stream, bytes);
    if (refusal !== undefined || stream === undefined) return refusal ?? DOWN;
    if (logId !== this.logId)
      return { ok: false, reason: "rejected", detail: `an entry of log ${logId}, not ${this.logId}` };
    if (stream.lastSequence !== position - 1)
      return { ok: false, reason: "fenced", detail: `wrong last sequence: ${stream.lastSequence}` };
    if (this.server.store(stream, bytes) === undefined) return FULL;
    this.#known = Math.max(this.#known, position);
    return { ok: true, position, duplicate: false };
  }

  override async entry(position: Position): ReturnType<port.ReadableLog["entry"]> {
    const found = this.#mine();
    return found.ok ? super.entry(position) : found;
  }

  async truncate(below: Position): ReturnType<port.OriginLog["truncate"]> {
    const found = this.#mine();
    if (!found.ok) return found;
    this.server.truncate(this.name, Math.min(below, found.stream.lastSequence));
    return { ok: true };
  }

  /** The stream, if it is still this log. */
  #mine(): ReturnType<MemoryLog["stream"]> {
    const found = this.stream();
    if (!found.ok || found.stream.logId === this.logId) return found;
    return { ok: false, reason: "absent", detail: `${this.name} is not log ${this.logId} any more` };
  }

  #refuse(stream: MemoryStream | undefined, bytes: Uint8Array): port.AppendResult | undefined {
    const refusal = this.refuse(stream, bytes);
    if (refusal !== undefined || stream?.logId === this.logId) return refusal;
    return { ok: false, reason: "rejected", detail: `${this.name} is not log ${this.logId} any more` };
  }
}

export class MemoryCopyLog extends MemoryLog implements port.CopyLog {
  sealed: Seal | undefined;
  /** Which making of the copy appends are meant for: they get into no other. */
  #making: symbol;

  constructor(server: MemoryServer, origin: Region, making: symbol, readers: Set<port.Reader>) {
    super(server, copyStream(origin), origin, readers);
    this.#making = making;
    this.sealed = server.seals.get(origin);
  }

  async checkpoint(): ReturnType<port.CopyLog["checkpoint"]> {
    const found = this.stream();
    if (!found.ok) return found;
    const last = found.stream.entries.at(-1);
    const sequence = found.stream.lastSequence;
    return { ok: true, logId: last?.logId ?? "", position: last?.position ?? 0, sequence };
  }

  async append(entry: port.Entry, fence: number): Promise<port.AppendResult> {
    const forbidden = forbids(this.sealed, entry.logId, entry.position);
    if (forbidden !== "") return { ok: false, reason: "rejected", detail: forbidden };
    const stream = this.server.streams.get(this.name);
    const refusal = this.refuse(stream, entry.bytes);
    if (refusal !== undefined || stream === undefined) return refusal ?? DOWN;
    if (stream.making !== this.#making)
      return { ok: false, reason: "unavailable", detail: `${this.name} was made anew` };
    if (stream.lastSequence !== fence)
      return { ok: false, reason: "fenced", detail: `wrong last sequence: ${stream.lastSequence}` };
    const position = this.server.store(stream, entry.bytes, entry);
    return position === undefined ? FULL : { ok: true, position, duplicate: false };
  }

  async truncate(below: Position, logId: LogId): ReturnType<port.CopyLog["truncate"]> {
    const found = this.stream();
    if (!found.ok) return found;
    const { stream } = found;
    const oldest = stream.entries[0] ?? { logId, position: below };
    if (oldest.logId !== logId)
      return { ok: false, reason: "absent", detail: `${this.name} is not of log ${logId} any more` };
    const sequence = stream.firstSequence + below - oldest.position;
    this.server.truncate(this.name, Math.min(sequence, stream.lastSequence));
    return { ok: true };
  }

  async reset(through: number): ReturnType<port.CopyLog["reset"]> {
    const found = this.stream();
    if (!found.ok) return found;
    this.#making = Symbol("making");
    found.stream.making = this.#making;
    this.sealed = this.server.seals.get(this.region);
    this.server.truncate(this.name, Math.min(through, found.stream.lastSequence) + 1);
    return { ok: true };
  }

  async seal(next: Seal): ReturnType<port.CopyLog["seal"]> {
    const found = this.stream();
    if (!found.ok) return found;
    const { seals } = this.server;
    const sealed = laterOf(this.region, next, seals.get(this.region));
    seals.set(this.region, sealed);
    this.sealed = sealed;
    this.#making = Symbol("making");
    found.stream.making = this.#making;
    return { ok: true, sealed };
  }
}
