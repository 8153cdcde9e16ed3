/**
 * Logs and copies as one process holds them: handles that outlive what they are handles of. Rule: a stream is found anew at each request,
 * as NATS does by name; nothing is appended to a log whose identity and end were not seen again since the connection was lost.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { forbids, laterOf } from "../../replicator/core/seal.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import { UNPROVEN, VOUCHES_MS } from "../../replicator/log/port.ts";
import type {
  AppendResult,
  CopyLog,
  Done,
  Entry,
  Extent,
  OpenFailure,
  OriginLog,
  Proof,
  ReadHandlers,
  Reader,
} from "../../replicator/log/port.ts";
import { StreamReader } from "./reader.ts";
import type { Stream } from "./servers.ts";
import type { SimStore } from "./store.ts";

const APPEND_LATE_MS = 3_000;
export const UNANSWERED = { ok: false, reason: "unavailable", detail: "no answer" } as const;
const ABSENT = { ok: false, reason: "absent", detail: "the stream does not exist" } as const;
const OTHER = { ok: false, reason: "absent", detail: "another log" } as const;
const MISSING = { ok: false, reason: "unavailable", detail: "the stream does not exist" } as const;
const FULL = { ok: false, reason: "rejected", detail: "the server is full" } as const;

type Failed = { readonly ok: false; readonly reason: OpenFailure; readonly detail: string };

abstract class SimLog {
  readonly region: Region;
  protected readonly store: SimStore;

  constructor(store: SimStore, region: Region) {
    this.store = store;
    this.region = region;
  }

  protected abstract current(): Stream;

  extent(): Promise<{ ok: true; extent: Extent } | Failed> {
    return this.found((stream) => {
      const { oldest, newest, bytes } = stream;
      const head = newest?.position ?? (stream.logId === "" ? 0 : stream.last);
      const first = oldest?.position ?? head + 1;
      return { ok: true, extent: { logId: newest?.logId ?? stream.logId, first, head, bytes } };
    });
  }

  entry(position: Position): Promise<Done<{ readonly entry: Entry | undefined }>> {
    return this.found((stream) => {
      const sequence = stream.sequenceOf(position) ?? 0;
      return { ok: true, entry: sequence < stream.first ? undefined : stream.held(sequence) };
    });
  }

  protected dropBelow(below: Position, logId: LogId): Promise<Done<object>> {
    return this.found((stream) => {
      const { newest } = stream;
      if (newest !== undefined && newest.logId !== logId) return OTHER;
      this.store.world.truncated(this.store, this.region, logId, below);
      stream.truncate(stream.sequenceOf(below) ?? 0);
      return { ok: true };
    });
  }

  protected start(logId: LogId, from: Position, handlers: ReadHandlers): Reader {
    const { world, connection } = this.store;
    return new StreamReader(world, connection, () => this.current(), logId, from, handlers);
  }

  /** What the server answers of the stream, if both are there. */
  protected async found<T>(serve: (stream: Stream) => T): Promise<T | Failed> {
    const answer = await this.store.ask(() => {
      const stream = this.current();
      return stream.exists ? serve(stream) : ABSENT;
    });
    return answer ?? UNANSWERED;
  }
}

export class SimOriginLog extends SimLog implements OriginLog {
  readonly logId: LogId;
  /** The newest position that this handle was acknowledged or read: the log does not end before it. */
  #known: Position = 0;
  #provenAt: number;
  #proving = false;
  #ackedSentAtMs = Number.NEGATIVE_INFINITY;
  /** It was appending when the server stopped, so it knows the end. */
  #vouches = false;
  /** Found to be another log: nothing goes there any more. */
  #replaced = false;

  constructor(store: SimStore, region: Region, logId: LogId, proven: boolean) {
    super(store, region);
    this.logId = logId;
    this.#provenAt = proven ? store.connects : -1;
  }

  protected current(): Stream {
    return this.store.server.log;
  }

  read(from: Position, handlers: ReadHandlers): Reader {
    const entry = (one: Entry): void | Promise<void> => {
      this.#known = Math.max(this.#known, one.position);
      return handlers.entry(one);
    };
    return this.start(this.logId, from, {
      entry,
      interrupted: (detail) => handlers.interrupted(detail),
      resumed: () => handlers.resumed(),
      broken: (reason, detail) => handlers.broken(reason, detail),
    });
  }

  append(bytes: Uint8Array, messageId: string): Promise<AppendResult> {
    const { server } = this.store;
    const { machine, mishap, bugs, bugRandom } = this.store.world;
    const kept = bytes.slice();
    return this.#send((stream) => {
      const known = stream.duplicateOf(messageId, machine.nowMs);
      if (known !== undefined && !mishap("message-id-forgotten"))
        return { ok: true, position: known, duplicate: true };
      if (server.full) return FULL;
      const position = stream.last + 1;
      if (bugs.ackBeforeApply && bugRandom.chance(0.05)) return { ok: true, position, duplicate: false };
      stream.remember(messageId, machine.nowMs, position);
      return this.#stored(stream, { position, logId: stream.logId, bytes: kept });
    });
  }

  putBack(entry: Entry): Promise<AppendResult> {
    return this.#send((stream) => {
      if (this.store.server.full) return FULL;
      if (stream.last + 1 === entry.position) return this.#stored(stream, entry);
      return { ok: false, reason: "fenced", detail: `the log ends at ${stream.last}` };
    }, true);
  }

  disconnected(): void {
    this.#vouches = this.store.world.machine.nowMs - this.#ackedSentAtMs < VOUCHES_MS;
  }

  truncate(below: Position): Promise<Done<object>> {
    return this.dropBelow(below, this.logId);
  }

  async proof(): Promise<Done<{ readonly proof: Proof }>> {
    const proof = await this.store.ask(() => this.store.server.proofs.get(this.logId) ?? "none");
    return proof === undefined ? UNANSWERED : { ok: true, proof };
  }

  compared(): Promise<Done<object>> {
    const { proofs } = this.store.server;
    return this.#mark(() => {
      if (!proofs.has(this.logId)) proofs.set(this.logId, "compared");
    });
  }

  #mark(mark: () => void): Promise<Done<object>> {
    return this.found<Done<object>>(({ logId }) => {
      if (logId !== this.logId) return OTHER;
      mark();
      return { ok: true };
    });
  }

  /** Sees after a reconnect whether the log is still the one that this is a handle of, and its end is proven. */
  check(): void {
    if (this.#proving || this.#replaced || this.#provenAt === this.store.connects) return;
    this.#proving = true;
    void this.#look(this.store.connects);
  }

  async #look(connects: number): Promise<void> {
    const extent = await this.extent();
    const whole = extent.ok && extent.extent.logId === this.logId && extent.extent.head >= this.#known;
    if (whole && this.#vouches) await this.#mark(() => this.store.server.proofs.set(this.logId, "proven"));
    const known = whole ? await this.proof() : undefined;
    const proven = known?.ok === true && known.proof === "proven";
    this.#proving = false;
    if (extent.ok && extent.extent.logId !== this.logId) this.#replaced = true;
    else if (proven) this.#provenAt = connects;
    else if (this.store.connected()) setTimeout(() => this.check(), LIMITS.tickMs);
  }

  async #send(store: (stream: Stream) => AppendResult, unproven = false): Promise<AppendResult> {
    if (this.#replaced) return this.#other();
    if (this.#provenAt !== this.store.connects && !unproven) {
      this.check();
      return { ok: false, reason: "unavailable", detail: UNPROVEN };
    }
    const { world, connection } = this.store;
    const requestLost = world.drawn("request-lost");
    const late = world.drawn("append-late");
    const answerLost = world.drawn("ack-lost");
    const serve = (): AppendResult => {
      const stream = this.current();
      if (!stream.exists) return MISSING;
      return stream.logId === this.logId ? store(stream) : this.#other();
    };
    const sentAtMs = world.machine.nowMs;
    const result = await new Promise<AppendResult | undefined>((resolve) => {
      const extraMs = late ? APPEND_LATE_MS : 0;
      world.network.request(connection, serve, resolve, { extraMs, answerLost, requestLost });
    });
    if (result?.ok === true) {
      this.#known = Math.max(this.#known, result.position);
      if (!unproven) this.#ackedSentAtMs = Math.max(this.#ackedSentAtMs, sentAtMs);
    }
    return result ?? UNANSWERED;
  }

  #stored(stream: Stream, entry: Entry): AppendResult {
    const { machine } = this.store.world;
    const position = stream.append(entry, machine.nowMs);
    machine.note(position);
    const stored = stream.held(position);
    if (stored !== undefined) this.store.world.appended(this.store.server.region, stored);
    return { ok: true, position, duplicate: false };
  }

  #other(): AppendResult {
    return { ok: false, reason: "rejected", detail: `this is not log ${this.logId} any more` };
  }
}

export class SimCopyLog extends SimLog implements CopyLog {
  sealed: Seal | undefined;
  #making: symbol;

  constructor(
    store: SimStore,
    origin: Region,
    { making, sealed }: { readonly making: symbol; readonly sealed: Seal | undefined },
  ) {
    super(store, origin);
    this.#making = making;
    this.sealed = sealed;
  }

  protected current(): Stream {
    return this.store.server.copy(this.region);
  }

  read(from: Position, handlers: ReadHandlers): Reader {
    return this.start("", from, handlers);
  }

  checkpoint(): Promise<{ ok: true; logId: LogId; position: Position; sequence: number } | Failed> {
    return this.found(({ newest, last }) => {
      return { ok: true, logId: newest?.logId ?? "", position: newest?.position ?? 0, sequence: last };
    });
  }

  append(entry: Entry, fence: number): Promise<AppendResult> {
    const { server, connection } = this.store;
    const { machine, network, bugs } = this.store.world;
    const forbidden = forbids(this.sealed, entry.logId, entry.position);
    if (forbidden !== "") return Promise.resolve({ ok: false, reason: "rejected", detail: forbidden });
    const making = this.#making;
    const bytes = entry.bytes.slice();
    const serve = (): AppendResult => {
      const stream = this.current();
      if (!stream.exists || stream.making !== making) return MISSING;
      if (stream.last !== fence && !bugs.dropFencing)
        return { ok: false, reason: "fenced", detail: `the last sequence is ${stream.last}, not ${fence}` };
      if (server.full) return FULL;
      const sequence = stream.append({ ...entry, bytes }, machine.nowMs);
      machine.note(sequence);
      this.store.world.copied(server.region, this.region, stream, entry);
      return { ok: true, position: sequence, duplicate: false };
    };
    const answerLost = this.store.world.drawn("ack-lost");
    return new Promise((resolve) => {
      network.request(connection, serve, (result) => resolve(result ?? UNANSWERED), { answerLost });
    });
  }

  truncate(below: Position, logId: LogId): Promise<Done<object>> {
    return this.dropBelow(below, logId);
  }

  async reset(through: number): Promise<Done<object>> {
    const making = Symbol("making");
    const done = await this.found<Done<{ sealed: Seal | undefined }>>((stream) => {
      stream.making = making;
      if (through < stream.last) stream.truncate(through + 1);
      else stream.purge();
      return { ok: true, sealed: this.store.server.seals.get(this.region) };
    });
    if (!done.ok) return done;
    this.#making = making;
    this.sealed = done.sealed;
    return done;
  }

  async seal(next: Seal): Promise<Done<{ readonly sealed: Seal }>> {
    const making = Symbol("making");
    const { seals } = this.store.server;
    const done = await this.found<Done<{ sealed: Seal }>>((stream) => {
      stream.making = making;
      const sealed = laterOf(this.region, next, seals.get(this.region));
      seals.set(this.region, sealed);
      return { ok: true, sealed };
    });
    if (!done.ok) return done;
    this.#making = making;
    this.sealed = done.sealed;
    return done;
  }
}
