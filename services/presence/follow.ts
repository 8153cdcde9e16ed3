/**
 * Follows one log from where the fold stands: entries become frames, frames go to the fold. A log that cannot be read on (garbage, a
 * gap, another identity) stands still with its reason, is tried again, and never stops the others.
 */
import type { Frame, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Opened, ReadableLog, Reader } from "../../replicator/log/port.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";

export interface FollowOptions<T extends ReadableLog> {
  readonly region: Region;
  readonly open: () => Promise<Opened<T>>;
  /** The log is open; called again when it was opened anew. */
  readonly opened?: (log: T) => void;
  /** Position folded so far. */
  readonly position: () => Position;
  readonly fold: (position: Position, frame: Frame) => void;
  /** Something stands in the way; an empty detail means that it is over. */
  readonly trouble: (detail: string) => void;
}

const RETRY_MS = 500;

export class Follower<T extends ReadableLog> {
  /** Where the log ended when it was first opened; unknown until then. */
  startHead: Position | undefined;
  readonly #options: FollowOptions<T>;
  #reader: Reader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: FollowOptions<T>) {
    this.#options = options;
  }

  get region(): Region {
    return this.#options.region;
  }

  start(): void {
    this.#running = this.#open();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#reader?.stop();
  }

  async #open(): Promise<void> {
    const opened = await this.#options.open();
    if (this.#stopped) return;
    if (!opened.ok) {
      // A peer's copy is made by the replicator: until then there is nothing to wait for at start.
      if (opened.reason === "absent") this.startHead ??= 0;
      return this.#again(`${opened.reason}: ${opened.detail}`);
    }
    const extent = await opened.log.extent();
    if (this.#stopped) return;
    if (!extent.ok) return this.#again(`${extent.reason}: ${extent.detail}`);
    this.startHead ??= extent.extent.head;
    this.#options.opened?.(opened.log);
    this.#read(opened.log);
  }

  #read(log: T): void {
    let refused = false;
    this.#reader = log.read(this.#options.position() + 1, {
      entry: (entry) => {
        if (refused) return;
        const decoded = decodeFrame(entry.bytes);
        if (!decoded.ok) {
          refused = true;
          return this.#restart(`frame ${entry.position}: ${decoded.reason}, ${decoded.detail}`);
        }
        this.#options.fold(entry.position, decoded.frame);
        refused = this.#options.position() < entry.position;
        if (refused) this.#restart(`frame ${entry.position} was refused by the fold`);
      },
      interrupted: (detail) => this.#options.trouble(detail),
      resumed: () => this.#options.trouble(""),
      broken: (reason, detail) => this.#restart(`${reason}: ${detail}`),
    });
  }

  #restart(detail: string): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) this.#running = reader.stop();
    this.#again(detail);
  }

  #again(detail: string): void {
    this.#options.trouble(detail);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#open());
    }, RETRY_MS + LIMITS.tickMs);
  }
}
