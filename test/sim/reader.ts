/**
 * A reader of a stream: hands out entries as they come, in batches, and goes on by itself after cuts and restarts. Rule: it starts again
 * from its last position or earlier, never later, except where the fault `skip` makes it: that is for its handlers to notice.
 */
import type { Position } from "../../replicator/core/commands.ts";
import type { Entry, ReadHandlers, Reader } from "../../replicator/log/port.ts";
import type { Connection } from "./network.ts";
import type { Stream, Watcher } from "./servers.ts";
import type { World } from "./world.ts";

const BATCH = 16;
/** A reader that hears nothing of its server for this long says so. */
const SILENCE_MS = 1_000;

export class StreamReader implements Reader, Watcher {
  readonly #world: World;
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #handlers: ReadHandlers;
  readonly #from: Position;
  #next: Position;
  #scheduled = false;
  #held = false;
  #stopped = false;
  #interrupted = false;

  constructor(world: World, connection: Connection, stream: Stream, from: Position, handlers: ReadHandlers) {
    this.#world = world;
    this.#connection = connection;
    this.#stream = stream;
    this.#handlers = handlers;
    this.#from = from;
    this.#next = from;
    stream.watchers.add(this);
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

  /** Something was stored. */
  wake(): void {
    if (this.#scheduled || this.#held || this.#stopped || this.#next > this.#stream.last) return;
    const { network, machine } = this.#world;
    if (!this.#connection.process.alive) return void this.stop();
    if (!network.flows(this.#connection)) return;
    this.#scheduled = true;
    machine.schedule(this.#connection.process, network.arrivalDown(this.#connection), "entries", () => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  /** The way to the server was cut, or is free again. */
  pathChanged(): void {
    const { network, machine } = this.#world;
    const { process } = this.#connection;
    if (!process.alive) return void this.stop();
    const flows = network.flows(this.#connection);
    if (flows && !this.#interrupted) return this.wake();
    const waitMs = flows ? this.#world.readerRandom.between(20, 500) : SILENCE_MS;
    machine.after(process, waitMs, "path", () => {
      if (this.#stopped || network.flows(this.#connection) !== flows) return;
      if (!flows && !this.#interrupted) {
        this.#interrupted = true;
        this.#handlers.interrupted("nothing heard of the server");
      } else if (flows && this.#interrupted) {
        this.#interrupted = false;
        this.#again();
        this.#handlers.resumed();
        this.wake();
      }
    });
  }

  /** Starts again from the last position, or, as the seed says, from before it. */
  #again(): void {
    const back = 1 + this.#world.readerRandom.below(8);
    this.#next = Math.max(this.#from, this.#next - back);
  }

  #deliver(): void {
    const { network, machine, mishap } = this.#world;
    const { process, server } = this.#connection;
    if (this.#stopped) return;
    if (!network.flows(this.#connection)) return;
    if (server.pausedUntilMs > machine.nowMs) {
      this.#scheduled = true;
      machine.schedule(process, server.pausedUntilMs, "entries", () => {
        this.#scheduled = false;
        this.#deliver();
      });
      return;
    }
    if (this.#next < this.#stream.first) {
      void this.stop();
      return this.#handlers.broken("missing", `position ${this.#next} is not held any more`);
    }
    const leastMs = network.minimumMs(this.#connection);
    if (this.#next > 1 && mishap("replay")) this.#again();
    if (this.#next < this.#stream.last && mishap("skip")) this.#next += 1;
    for (let count = 0; count < BATCH && !this.#stopped; count++) {
      const stored = this.#stream.entries[this.#next - 1];
      if (stored === undefined) break;
      if (stored.atMs + leastMs > machine.nowMs) {
        this.#scheduled = true;
        machine.schedule(process, stored.atMs + leastMs, "entries", () => {
          this.#scheduled = false;
          this.#deliver();
        });
        return;
      }
      this.#next += 1;
      const wait = this.#handlers.entry(mishap("corruption") ? corrupted(stored, this.#next) : stored);
      if (wait !== undefined) return this.#hold(wait);
    }
    this.wake();
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
