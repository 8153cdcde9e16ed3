/**
 * Reads one stream of a `MemoryServer` as a log.
 * Rule: the same as the NATS reader's: in order, each position once, none skipped, the newest again after an interruption, and never
 * inside the caller's own call.
 */
import type { LogId, Position } from "../core/commands.ts";
import type { MemoryServer, MemoryStream } from "./memory.ts";
import type { BrokenReason, Entry, ReadHandlers, Reader } from "./port.ts";

/** Entries handed out before the event loop gets its turn. */
const BATCH_MAX = 256;

export class MemoryReader implements Reader {
  readonly #server: MemoryServer;
  readonly #name: string;
  readonly #handlers: ReadHandlers;
  readonly #unwatch: () => void;
  #wanted: Position;
  #delivered: Position = 0;
  /** The stream read so far: another object of the same name is another stream. */
  #stream: MemoryStream | undefined;
  #logId: LogId = "";
  #scheduled = false;
  #busy = false;
  #interrupted = false;
  #stopped = false;

  constructor(server: MemoryServer, name: string, from: Position, handlers: ReadHandlers) {
    this.#server = server;
    this.#name = name;
    this.#handlers = handlers;
    this.#wanted = Math.max(1, from);
    this.#stream = server.streams.get(name);
    this.#unwatch = server.watch(() => this.#schedule());
    this.#schedule();
  }

  stop(): Promise<void> {
    this.#halt();
    return Promise.resolve();
  }

  #halt(): void {
    this.#stopped = true;
    this.#unwatch();
  }

  #schedule(): void {
    if (this.#scheduled || this.#busy || this.#stopped) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    for (let handed = 0; handed < BATCH_MAX && !this.#busy && !this.#stopped; handed += 1) {
      const stream = this.#readable();
      if (stream === undefined) return;
      const entry = this.#next(stream);
      this.#flowing();
      if (entry === undefined) return;
      this.#hand(entry);
    }
    this.#schedule();
  }

  /** The stream, if it can be read now and is still the same. */
  #readable(): MemoryStream | undefined {
    if (!this.#server.running) return this.#interrupt("the server is stopped");
    const stream = this.#server.streams.get(this.#name);
    if (stream === undefined) return this.#interrupt(`${this.#name} does not exist`);
    this.#stream ??= stream;
    const before = this.#stream;
    const changed = before !== stream && (stream.kind !== "copy" || this.#delivered > 0);
    if (changed) return this.#break("identity-changed", `log ${before.logId} is now ${stream.logId}`);
    if (stream.kind === "log" && stream.lastSequence < this.#delivered)
      return this.#break(
        "identity-changed",
        `ends at ${stream.lastSequence}, was read up to ${this.#delivered}`,
      );
    this.#stream = stream;
    return stream;
  }

  /** The entry at the position wanted, if it is there. */
  #next(stream: MemoryStream): Entry | undefined {
    const [first] = stream.entries;
    if (first === undefined) {
      const lost = stream.kind === "log" && this.#wanted < stream.firstSequence;
      return lost ? this.#break("missing", `wanted ${this.#wanted}, nothing is held`) : undefined;
    }
    if (!this.#isSame(first)) return this.#changed(first);
    if (this.#wanted === this.#delivered && this.#wanted < first.position) this.#wanted += 1;
    if (this.#wanted < first.position)
      return this.#break("missing", `wanted ${this.#wanted}, the first held is ${first.position}`);
    const entry = stream.entries[this.#wanted - first.position];
    if (entry === undefined) return undefined;
    if (entry.position !== this.#wanted)
      return this.#break("missing", `wanted ${this.#wanted}, the next held is ${entry.position}`);
    return this.#isSame(entry) ? entry : this.#changed(entry);
  }

  #isSame({ logId }: Entry): boolean {
    return this.#logId === "" || logId === this.#logId;
  }

  #changed({ position, logId }: Entry): undefined {
    return this.#break("identity-changed", `entry ${position} is of log ${logId}, not ${this.#logId}`);
  }

  /** A handler that throws or rejects breaks the rule of the port; nothing here catches it, and it ends the process. */
  #hand(entry: Entry): void {
    if (this.#stopped) return;
    this.#logId = entry.logId;
    this.#delivered = entry.position;
    this.#wanted = entry.position + 1;
    const waiting = this.#handlers.entry(entry);
    if (waiting === undefined) return;
    this.#busy = true;
    void waiting.then(() => {
      this.#busy = false;
      return this.#schedule();
    });
  }

  #flowing(): void {
    if (!this.#interrupted || this.#stopped) return;
    this.#interrupted = false;
    this.#handlers.resumed();
  }

  #interrupt(detail: string): undefined {
    if (this.#interrupted) return undefined;
    this.#interrupted = true;
    if (this.#delivered > 0) this.#wanted = this.#delivered;
    this.#handlers.interrupted(detail);
    return undefined;
  }

  #break(reason: BrokenReason, detail: string): undefined {
    this.#halt();
    this.#handlers.broken(reason, detail);
    return undefined;
  }
}
