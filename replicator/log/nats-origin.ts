/**
 * The region's own log on NATS JetStream.
 * Rule: nothing is appended to a log whose identity has not been seen again since the connection was last lost, nor to one that ends
 * before something that is known to have been in it, nor to one whose end nobody has proven since the server started.
 */
import { headers, type MsgHdrs } from "nats";
import type { LogId, Position, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { pause } from "./connection.ts";
import { logEntry, purge, storedMessage } from "./messages.ts";
import {
  append,
  planWithin,
  planWithout,
  rejected,
  startReader,
  type Destination,
  type Shared,
} from "./nats-shared.ts";
import * as port from "./port.ts";
import { markProof, proofOf } from "./proof.ts";
import type { Plan, Progress, Source } from "./reader.ts";
import * as streams from "./streams.ts";

/** First position held, and newest ever given. */
function boundsOf({ info, after }: streams.Found): { readonly first: Position; readonly head: Position } {
  const { first_seq, last_seq } = info.state;
  return { first: Math.max(1, first_seq - after), head: Math.max(0, last_seq - after) };
}

/** Why nothing may be appended now: the identity or the end is unproven, the tail is lost, or it is known to be another log. */
interface Bar {
  readonly reason: "unavailable" | "rejected";
  readonly detail: string;
}

export interface OriginLogOptions extends streams.Identity {
  readonly region: Region;
  /** Of streams created. */
  readonly replicas: number;
  /** Its end is proven. */
  readonly proven: boolean;
}

export class NatsOriginLog implements port.OriginLog {
  readonly region: Region;
  readonly logId: LogId;
  readonly #shared: Shared;
  readonly #kind: streams.StreamKind;
  readonly #destination: Destination;
  /** Sequence in the stream less position in the log. */
  readonly #after: number;
  readonly #replicas: number;
  readonly #unhook: () => void;
  #barred: Bar | undefined;
  #proving = false;
  /** The newest position that was acknowledged to this handle or read by it. */
  #known: Position = 0;
  /**
   * When the newest append that was acknowledged was sent, by the monotonic clock. Not when that was heard: a process that stood still
   * hears it when it goes on, and the server may have stopped long since.
   */
  #ackedSentAtMs = Number.NEGATIVE_INFINITY;
  /** It was appending when the connection was lost, so it knows the end. */
  #vouches = false;

  constructor(shared: Shared, { region, logId, after, replicas, proven }: OriginLogOptions) {
    this.region = region;
    this.logId = logId;
    this.#after = after;
    this.#replicas = replicas;
    this.#shared = shared;
    this.#kind = streams.logKind(region);
    this.#destination = {
      stream: this.#kind.stream,
      subject: this.#kind.subject(logId),
      unheard: () => this.#doubt("nobody takes appends to this log"),
    };
    this.#unhook = shared.connection.onChange((connected) => {
      if (connected) this.#doubt("the log's identity is being checked after a reconnect");
      else this.#vouches = performance.now() - this.#ackedSentAtMs < port.VOUCHES_MS;
    });
    if (!proven) this.#doubt(port.UNPROVEN);
  }

  /** Another log has taken its place: it looks after itself no more. */
  release(): void {
    this.#unhook();
  }

  proof(): ReturnType<port.OriginLog["proof"]> {
    return proofOf(this.#shared.connection, this.logId);
  }

  async compared(): ReturnType<port.OriginLog["compared"]> {
    const finding = await this.#find();
    return finding.ok ? markProof(this.#shared.connection, this.logId, "compared", this.#replicas) : finding;
  }

  async extent(): ReturnType<port.OriginLog["extent"]> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { found } = finding;
    return {
      ok: true,
      extent: { logId: found.logId, ...boundsOf(found), bytes: found.info.state.bytes },
    };
  }

  async append(bytes: Uint8Array, messageId: string): Promise<port.AppendResult> {
    if (this.#barred !== undefined) return { ok: false, ...this.#barred };
    const heads = headers();
    // The server remembers the ids of the log that the stream held before, too.
    heads.set("Nats-Msg-Id", `${this.logId}.${messageId}`);
    const sentAtMs = performance.now();
    const result = await this.#append(bytes, heads);
    if (result.ok) this.#ackedSentAtMs = Math.max(this.#ackedSentAtMs, sentAtMs);
    return result;
  }

  /** Needs no proof of the identity: the subject names it. */
  async putBack({ position, logId, bytes }: port.Entry): Promise<port.AppendResult> {
    if (this.#barred?.reason === "rejected") return { ok: false, ...this.#barred };
    if (logId !== this.logId) return rejected(`an entry of log ${logId}, not ${this.logId}`);
    const heads = headers();
    heads.set("Nats-Expected-Last-Sequence", String(position - 1 + this.#after));
    return this.#append(bytes, heads);
  }

  read(from: Position, handlers: port.ReadHandlers): port.Reader {
    const source: Source = {
      stream: this.#kind.stream,
      plan: (progress) => this.#plan(progress),
      decode: (message, sequence) => {
        const position = sequence - this.#after;
        const entry = logEntry(this.#destination.subject, this.logId, message, position);
        if (typeof entry !== "string" && entry.logId === this.logId) this.#know(position);
        return entry;
      },
    };
    return startReader(this.#shared, source, from, handlers);
  }

  async entry(position: Position): ReturnType<port.OriginLog["entry"]> {
    if (position < 1) return { ok: true, entry: undefined };
    const seq = position + this.#after;
    const stored = await storedMessage(this.#shared.connection, this.#kind, { seq });
    if (!stored.ok && stored.reason === "absent") {
      const finding = await this.#find();
      return finding.ok ? { ok: true, entry: undefined } : finding;
    }
    if (!stored.ok) return stored;
    const entry = logEntry(this.#destination.subject, this.logId, stored.message, position);
    if (typeof entry === "string") return { ok: false, reason: "wrong-shape", detail: entry };
    return entry.logId === this.logId ? { ok: true, entry } : this.#another();
  }

  async truncate(below: Position): ReturnType<port.OriginLog["truncate"]> {
    const finding = await this.#find();
    if (!finding.ok) return finding;
    const { head } = boundsOf(finding.found);
    const sequence = Math.min(below, head) + this.#after;
    return purge(this.#shared.connection, this.#kind, sequence);
  }

  /** The stream, if it is still this log. */
  async #find(): Promise<streams.Finding> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    return finding.ok && finding.found.logId !== this.logId ? this.#another() : finding;
  }

  #another(): { readonly ok: false; readonly reason: "absent"; readonly detail: string } {
    return { ok: false, reason: "absent", detail: `${this.#kind.stream} is not log ${this.logId} any more` };
  }

  async #append(bytes: Uint8Array, heads: MsgHdrs): Promise<port.AppendResult> {
    const result = await append(this.#shared.connection, this.#destination, bytes, heads);
    if (!result.ok) return result;
    const position = result.position - this.#after;
    this.#know(position);
    return { ok: true, position, duplicate: result.duplicate };
  }

  #know(position: Position): void {
    if (position > this.#known) this.#known = position;
  }

  /** Bars appends until the log is seen to be this one, and whole. */
  #doubt(detail: string): void {
    if (this.#barred?.reason === "rejected") return;
    this.#barred ??= { reason: "unavailable", detail };
    if (!this.#proving) void this.#prove();
  }

  async #prove(): Promise<void> {
    this.#proving = true;
    while (this.#barred?.reason === "unavailable" && this.#shared.connection.connected()) {
      this.#barred = await this.#judge(await streams.findStream(this.#shared.connection, this.#kind));
      if (this.#barred !== undefined) await pause(LIMITS.tickMs);
    }
    this.#proving = false;
  }

  /** Why nothing may be appended, by what the stream looks like now. */
  async #judge(finding: streams.Finding): Promise<Bar | undefined> {
    const reason = "unavailable";
    if (!finding.ok && finding.reason !== "wrong-shape") return { reason, detail: finding.detail };
    if (!finding.ok || finding.found.logId !== this.logId)
      return { reason: "rejected", detail: this.#another().detail };
    const { head } = boundsOf(finding.found);
    if (head < this.#known) return { reason, detail: port.lostTail(head, this.#known) };
    const { connection } = this.#shared;
    if (this.#vouches) {
      const marked = await markProof(connection, this.logId, "proven", this.#replicas);
      return marked.ok ? undefined : { reason, detail: marked.detail };
    }
    const known = await proofOf(connection, this.logId);
    if (!known.ok) return { reason, detail: known.detail };
    return known.proof === "proven" ? undefined : { reason, detail: port.UNPROVEN };
  }

  async #plan(progress: Progress): Promise<Plan> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return planWithout(finding);
    const { logId } = finding.found;
    const { first, head } = boundsOf(finding.found);
    if (logId !== this.logId)
      return { kind: "broken", reason: "identity-changed", detail: `log ${this.logId} is now ${logId}` };
    return planWithin(progress, { first, head, offset: this.#after });
  }
}
