/**
 * The log port on NATS JetStream: one store is one connection to one region's NATS.
 * Rule: expected failures are values; the stream's order is the log's order; nothing is appended to a log whose identity has not
 * been seen again since the connection was last lost.
 */
import { headers, type MsgHdrs } from "nats";
import type { LogId, Position, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { HEADER_LOG, HEADER_POSITION, announceSubject } from "../wire/subjects.ts";
import { Connection, parseJetStreamAnswer, type Answer, type ConnectOptions } from "./connection.ts";
import type * as port from "./port.ts";
import { LogReader, type Plan, type Progress, type Source } from "./reader.ts";
import * as streams from "./streams.ts";

const WRONG_LAST_SEQUENCE = 10_071;

/** What the server answers to an append. */
interface PubAck {
  readonly stream: string;
  readonly seq: number;
  /** Left out when false. */
  readonly duplicate?: boolean;
}

export interface LogStoreOptions extends ConnectOptions {
  /** Replicas of each stream created, inside the region's NATS cluster. Default 1. */
  readonly replicas?: number;
}

/** Returns at once and connects in the background; until then calls fail with `unavailable` and readers wait. */
export function connectLogStore(options: LogStoreOptions): port.LogStore {
  return new NatsLogStore(options);
}

interface Shared {
  readonly connection: Connection;
  readonly readers: Set<port.Reader>;
}

function startReader(
  shared: Shared,
  source: Source,
  from: Position,
  handlers: port.ReadHandlers,
): port.Reader {
  const reader = new LogReader(shared.connection, source, from, handlers);
  const handle = {
    stop: async () => {
      await reader.stop();
      shared.readers.delete(handle);
    },
  };
  shared.readers.add(handle);
  return handle;
}

function rejected(detail: string): port.AppendResult {
  return { ok: false, reason: "rejected", detail };
}

/** What is wrong with a frame of this size, or empty. */
function sizeFault(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an entry must not be empty";
  return bytes.length > LIMITS.frameBytesMax ? `${bytes.length} bytes exceed ${LIMITS.frameBytesMax}` : "";
}

async function append(
  connection: Connection,
  kind: streams.StreamKind,
  bytes: Uint8Array,
  heads: MsgHdrs,
): Promise<port.AppendResult> {
  const fault = sizeFault(bytes);
  if (fault !== "") return rejected(fault);
  const answer = await connection.request(kind.subject, bytes, heads);
  const ack: Answer<PubAck> = answer.ok ? parseJetStreamAnswer<PubAck>(answer.value) : answer;
  if (ack.ok) {
    const { stream, seq, duplicate = false } = ack.value;
    if (stream !== kind.stream) return rejected(`stored by ${stream}, not ${kind.stream}`);
    return { ok: true, position: seq, duplicate };
  }
  if (ack.code === WRONG_LAST_SEQUENCE) return { ok: false, reason: "fenced", detail: ack.detail };
  return { ok: false, reason: ack.kind === "unavailable" ? "unavailable" : "rejected", detail: ack.detail };
}

class NatsOriginLog implements port.OriginLog {
  readonly region: Region;
  readonly logId: LogId;
  readonly #shared: Shared;
  readonly #kind: streams.StreamKind;
  /** Why nothing may be appended now: the identity is unproven since a reconnect, or is known to be another. */
  #barred: { readonly reason: "unavailable" | "rejected"; readonly detail: string } | undefined;

  constructor(shared: Shared, region: Region, logId: LogId) {
    this.region = region;
    this.logId = logId;
    this.#shared = shared;
    this.#kind = streams.logKind(region);
    shared.connection.onChange((connected) => {
      if (!connected || this.#barred?.reason === "rejected") return;
      this.#barred = {
        reason: "unavailable",
        detail: "the log's identity is being checked after a reconnect",
      };
      void this.#prove();
    });
  }

  async extent(): ReturnType<port.OriginLog["extent"]> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { logId, info } = finding.found;
    return {
      ok: true,
      extent: { logId, first: Math.max(1, info.state.first_seq), head: info.state.last_seq },
    };
  }

  append(bytes: Uint8Array, messageId: string): Promise<port.AppendResult> {
    if (this.#barred !== undefined) return Promise.resolve({ ok: false, ...this.#barred });
    const heads = headers();
    heads.set("Nats-Msg-Id", messageId);
    return append(this.#shared.connection, this.#kind, bytes, heads);
  }

  read(from: Position, handlers: port.ReadHandlers): port.Reader {
    const source: Source = {
      stream: this.#kind.stream,
      plan: (progress) => this.#plan(progress),
      decode: (message, sequence) => streams.logEntry(this.logId, message, sequence),
    };
    return startReader(this.#shared, source, from, handlers);
  }

  async #prove(): Promise<void> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (finding.ok && finding.found.logId === this.logId) this.#barred = undefined;
    else if (finding.ok || finding.reason === "wrong-shape")
      this.#barred = { reason: "rejected", detail: `${this.#kind.stream} is not log ${this.logId} any more` };
    else if (this.#shared.connection.connected()) setTimeout(() => void this.#prove(), LIMITS.tickMs);
  }

  async #plan({ wanted, delivered }: Progress): Promise<Plan> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) {
      return finding.reason === "wrong-shape"
        ? { kind: "broken", reason: "identity-changed", detail: finding.detail }
        : { kind: "wait", detail: finding.detail };
    }
    const { logId, info } = finding.found;
    const { first_seq: first, last_seq: head } = info.state;
    if (logId !== this.logId)
      return { kind: "broken", reason: "identity-changed", detail: `log ${this.logId} is now ${logId}` };
    if (head < delivered)
      return {
        kind: "broken",
        reason: "identity-changed",
        detail: `ends at ${head}, was read up to ${delivered}`,
      };
    if (wanted < first)
      return { kind: "broken", reason: "missing", detail: `wanted ${wanted}, the first held is ${first}` };
    return { kind: "start", sequence: Math.min(wanted, head + 1) };
  }
}

class NatsCopyLog implements port.CopyLog {
  readonly region: Region;
  readonly #shared: Shared;
  readonly #kind: streams.StreamKind;

  constructor(shared: Shared, origin: Region) {
    this.region = origin;
    this.#shared = shared;
    this.#kind = streams.copyKind(origin);
  }

  async extent(): ReturnType<port.CopyLog["extent"]> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { messages, first_seq, last_seq } = finding.found.info.state;
    if (messages === 0) return { ok: true, extent: { logId: "", first: 1, head: 0 } };
    const [first, last] = await Promise.all([
      this.#stored({ seq: first_seq }),
      this.#stored({ seq: last_seq }),
    ]);
    if (!first.ok) return first;
    if (!last.ok) return last;
    const { logId, position } = last.provenance;
    return { ok: true, extent: { logId, first: first.provenance.position, head: position } };
  }

  async checkpoint(): ReturnType<port.CopyLog["checkpoint"]> {
    const last = await this.#stored({ last_by_subj: this.#kind.subject });
    if (last.ok) return { ok: true, ...last.provenance };
    if (last.reason !== "absent") return last;
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { messages, last_seq } = finding.found.info.state;
    if (messages > 0)
      return { ok: false, reason: "unavailable", detail: "written to at this moment, ask again" };
    return { ok: true, logId: "", position: 0, sequence: last_seq };
  }

  append(entry: port.Entry, fence: number): Promise<port.AppendResult> {
    const heads = headers();
    heads.set("Nats-Expected-Last-Sequence", String(fence));
    heads.set(HEADER_POSITION, String(entry.position));
    heads.set(HEADER_LOG, entry.logId);
    return append(this.#shared.connection, this.#kind, entry.bytes, heads);
  }

  read(from: Position, handlers: port.ReadHandlers): port.Reader {
    const source: Source = {
      stream: this.#kind.stream,
      plan: (progress) => this.#plan(progress),
      decode: streams.copyEntry,
    };
    return startReader(this.#shared, source, from, handlers);
  }

  #stored(which: { readonly seq: number } | { readonly last_by_subj: string }) {
    return streams.storedProvenance(this.#shared.connection, this.#kind, which);
  }

  /** A copy has no gaps, so one message tells where in the stream every origin position is. */
  async #plan({ wanted, logId, delivered }: Progress): Promise<Plan> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) {
      return finding.reason === "wrong-shape"
        ? { kind: "broken", reason: "identity-changed", detail: finding.detail }
        : { kind: "wait", detail: finding.detail };
    }
    const { messages, first_seq, last_seq } = finding.found.info.state;
    if (messages === 0) {
      return delivered > 0
        ? { kind: "broken", reason: "identity-changed", detail: `empty, was read up to ${delivered}` }
        : { kind: "start", sequence: last_seq + 1 };
    }
    const first = await this.#stored({ seq: first_seq });
    if (!first.ok && first.reason === "wrong-shape")
      return { kind: "broken", reason: "malformed", detail: first.detail };
    if (!first.ok) return { kind: "wait", detail: first.detail };
    const { position, logId: actual } = first.provenance;
    const head = position + last_seq - first_seq;
    if (logId !== "" && logId !== actual)
      return {
        kind: "broken",
        reason: "identity-changed",
        detail: `copy of log ${logId} is now of ${actual}`,
      };
    if (head < delivered)
      return {
        kind: "broken",
        reason: "identity-changed",
        detail: `ends at ${head}, was read up to ${delivered}`,
      };
    if (wanted < position)
      return { kind: "broken", reason: "missing", detail: `wanted ${wanted}, the first held is ${position}` };
    return { kind: "start", sequence: first_seq + Math.min(wanted, head + 1) - position };
  }
}

class NatsLogStore implements port.LogStore {
  readonly #shared: Shared;
  readonly #replicas: number;

  constructor(options: LogStoreOptions) {
    this.#shared = { connection: new Connection(options), readers: new Set() };
    this.#replicas = options.replicas ?? 1;
  }

  connected(): boolean {
    return this.#shared.connection.connected();
  }

  describe(): string {
    return this.#shared.connection.describe();
  }

  async openLog(region: Region, options: { create: boolean }): Promise<port.Opened<port.OriginLog>> {
    const finding = await this.#find(streams.logKind(region), options.create);
    if (!finding.ok) return finding;
    return { ok: true, log: new NatsOriginLog(this.#shared, region, finding.found.logId) };
  }

  async openCopy(origin: Region, options: { create: boolean }): Promise<port.Opened<port.CopyLog>> {
    const finding = await this.#find(streams.copyKind(origin), options.create);
    return finding.ok ? { ok: true, log: new NatsCopyLog(this.#shared, origin) } : finding;
  }

  announce(topic: string, payload: Uint8Array): void {
    this.#shared.connection.publish(announceSubject(topic), payload);
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.#shared.connection.listen(announceSubject(topic), handler);
  }

  onConnection(handler: port.ConnectionHandler): void {
    this.#shared.connection.onChange(handler);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shared.readers].map((reader) => reader.stop()));
    await this.#shared.connection.close();
  }

  #find(kind: streams.StreamKind, create: boolean): Promise<streams.Finding> {
    const { connection } = this.#shared;
    return create
      ? streams.createStream(connection, kind, this.#replicas)
      : streams.findStream(connection, kind);
  }
}
