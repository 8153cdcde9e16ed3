/**
 * A reader of a stream: hands out entries as they come, in batches, and goes on by itself after cuts and restarts. Rule: it starts again
 * from its last position or earlier, never later, except where the fault `skip` makes it: that is for its handlers to notice.
 */
import type { LogId, Position } from "../../replicator/core/commands.ts";
import type { BrokenReason, Entry, ReadHandlers, Reader } from "../../replicator/log/port.ts";
import type { Connection } from "./network.ts";
import type { Stored, Stream, Watcher } from "./servers.ts";
import type { World } from "./world.ts";

const BATCH = 16;
/** A reader that hears nothing of its server for this long says so. */
const SILENCE_MS = 1_000;

export class StreamReader implements Reader, Watcher {
  readonly connection: Connection;
  readonly #world: World;
  /** The stream of that name as it is now. */
  readonly #current: () => Stream;
  readonly #handlers: ReadHandlers;
  readonly #from: Position;
  #stream: Stream;
  /** The identity read so far; empty before the first entry of a copy. */
  #logId: LogId;
  #next: Position;
  /** The newest position handed out. */
  #delivered: Position = 0;
  #scheduled = false;
  #held = false;
  #stopped = false;
  #interrupted = false;
  /** The stream was not there when it was looked for last. */
  #absent = false;

  constructor(
    world: World,
    connection: Connection,
    current: () => Stream,
    logId: LogId,
    from: Position,
    handlers: ReadHandlers,
  ) {
    this.#world = world;
    this.connection = connection;
    this.#current = current;
    this.#stream = current();
    this.#logId = logId;
    this.#handlers = handlers;
    this.#from = from;
    this.#next = from;
    this.#stream.watchers.add(this);
    world.readers.add(this);
    this.wake();
    this.pathChanged();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#stream.watchers.delete(this);
    this.#world.readers.delete(this);
    return Promise.resolve();
  }

  /** Something was stored, or the stream is another. */
  wake(): void {
    if (this.#scheduled || this.#held || this.#stopped || !this.#hasNews()) return;
    const { network } = this.#world;
    if (!this.connection.process.alive) return void this.stop();
    if (network.flows(this.connection)) this.#deliverAt(network.arrivalDown(this.connection));
  }

  /** The way to the server was cut, or is free again. */
  pathChanged(): void {
    const { network, machine } = this.#world;
    const { process } = this.connection;
    if (!process.alive) return void this.stop();
    const flows = network.flows(this.connection);
    if (flows && !this.#interrupted) return this.wake();
    // A server that stops closes its connections; of a cut nobody hears.
    const stops = !this.connection.server.up;
    const silentMs = stops ? 0 : SILENCE_MS;
    const waitMs = flows ? this.#world.readerRandom.between(20, 500) : silentMs;
    machine.after(process, waitMs, "path", () => {
      if (this.#stopped || (network.flows(this.connection) !== flows && !stops)) return;
      if (!flows && !this.#interrupted) {
        this.#interrupted = true;
        this.#handlers.interrupted("nothing heard of the server");
        // It may be back by now, and whoever stood still hears of both at once.
        if (stops) this.pathChanged();
      } else if (flows && this.#interrupted) {
        this.#interrupted = false;
        this.#again();
        // Of a stream that is not there nothing flows until it is.
        this.#absent = !this.#current().exists;
        if (!this.#absent) this.#handlers.resumed();
        this.wake();
      }
    });
  }

  #hasNews(): boolean {
    const stream = this.#stream;
    if (this.#current() !== stream) return true;
    if (stream.exists === this.#absent) return true;
    const sequence = stream.sequenceOf(this.#next);
    if (sequence === undefined) return this.#delivered > 0;
    return sequence <= stream.last || this.#rewound(stream);
  }

  /** The stream ends before what was read of it. */
  #rewound(stream: Stream): boolean {
    return (stream.sequenceOf(this.#delivered) ?? 0) > stream.last;
  }

  #break(reason: BrokenReason, detail: string): void {
    void this.stop();
    this.#handlers.broken(reason, detail);
  }

  /** Starts again from the last position, or, as the seed says, from before it. */
  #again(): void {
    const back = 1 + this.#world.readerRandom.below(8);
    this.#next = Math.max(this.#from, this.#next - back);
  }

  #deliverAt(atMs: number): void {
    this.#scheduled = true;
    this.#world.machine.schedule(this.connection.process, atMs, "entries", () => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const { network, machine, mishap } = this.#world;
    const { server } = this.connection;
    // What was under way when the connection was lost is lost with it.
    if (this.#stopped || this.#interrupted || !network.flows(this.connection)) return;
    if (server.pausedUntilMs > machine.nowMs) {
      this.#scheduled = true;
      server.halted.push(() => this.#deliverAt(machine.nowMs));
      return;
    }
    const stream = this.#readable();
    if (stream === undefined) return;
    if (this.#next > this.#from && mishap("replay")) this.#again();
    const skips = this.#next > this.#delivered && (stream.sequenceOf(this.#next) ?? 0) < stream.last;
    if (skips && mishap("skip")) {
      this.#next += 1;
      this.#world.spoiled(this.connection);
    }
    const leastMs = network.minimumMs(this.connection);
    for (let count = 0; count < BATCH && !this.#stopped; count++) {
      const stored = stream.held(stream.sequenceOf(this.#next) ?? 0);
      if (stored === undefined) break;
      if (stored.atMs + leastMs > machine.nowMs) return this.#deliverAt(stored.atMs + leastMs);
      if (this.#logId !== "" && stored.logId !== this.#logId)
        return this.#break("identity-changed", `log ${this.#logId} is now ${stored.logId}`);
      const wait = this.#hand(stored);
      if (wait !== undefined) return this.#hold(wait);
    }
    this.wake();
  }

  /** The stream, if what is wanted next is or will be in it. */
  #readable(): Stream | undefined {
    const stream = this.#current();
    if (stream !== this.#stream) {
      this.#stream.watchers.delete(this);
      stream.watchers.add(this);
      this.#stream = stream;
    }
    const was = this.#absent;
    this.#absent = !stream.exists;
    if (this.#absent && !was) this.#handlers.interrupted("the stream does not exist");
    if (this.#absent) return undefined;
    if (was) this.#handlers.resumed();
    const fault = this.#faultOf(stream);
    if (fault !== undefined) this.#break(...fault);
    return fault === undefined ? stream : undefined;
  }

  #faultOf(stream: Stream): [BrokenReason, string] | undefined {
    if (stream.logId !== "" && stream.logId !== this.#logId)
      return ["identity-changed", `log ${this.#logId} is now ${stream.logId}`];
    const sequence = stream.sequenceOf(this.#next);
    const emptied = sequence === undefined && this.#delivered > 0;
    if (emptied || this.#rewound(stream))
      return ["identity-changed", `was read up to ${this.#delivered}, ends before`];
    if (sequence !== undefined && sequence < stream.first)
      return ["missing", `position ${this.#next} is not held any more`];
    return undefined;
  }

  #hand(stored: Stored): void | Promise<void> {
    const fresh = this.#next > this.#delivered;
    this.#delivered = Math.max(this.#delivered, this.#next);
    this.#logId = stored.logId;
    this.#next += 1;
    if (!fresh || !this.#world.mishap("corruption")) return this.#handlers.entry(stored);
    this.#world.spoiled(this.connection);
    return this.#handlers.entry(corrupted(stored, this.#next));
  }

  #hold(wait: Promise<void>): void {
    this.#held = true;
    void this.#release(wait);
  }

  async #release(wait: Promise<void>): Promise<void> {
    await wait;
    this.#held = false;
    this.wake();
  }
}

/** One byte flipped on the way. */
function corrupted(entry: Entry, salt: number): Entry {
  const bytes = entry.bytes.slice();
  const at = (salt * 31) % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return { ...entry, bytes };
}
