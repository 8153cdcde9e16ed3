/**
 * What the contract's tests use to watch a log: a recording reader, and waiting on conditions.
 * Rule: nothing here sleeps a fixed time; a condition that does not come true within its deadline fails by name.
 */
import type { Position } from "../../replicator/core/commands.ts";
import type { BrokenReason, Entry, ReadableLog, Reader } from "../../replicator/log/port.ts";

const DEADLINE_MS = 15_000;
const POLL_MS = 2;

/** Resolves when `condition` is true; fails with `what` after `deadlineMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Reads a log and keeps everything that the handlers were told. */
export class Recorder {
  readonly entries: Entry[] = [];
  /** What came again after an interruption, instead of the next. */
  readonly repeats: Entry[] = [];
  readonly interruptions: string[] = [];
  resumptions = 0;
  broken: BrokenReason | undefined;
  /** When set, every entry waits for the promise it returns. */
  gate: ((entry: Entry) => Promise<void>) | undefined;
  readonly reader: Reader;

  constructor(log: ReadableLog, from: Position, gate?: (entry: Entry) => Promise<void>) {
    this.gate = gate;
    this.reader = log.read(from, {
      entry: (entry) => {
        const again = entry.position === this.entries.at(-1)?.position;
        (again ? this.repeats : this.entries).push(entry);
        return this.gate?.(entry);
      },
      interrupted: (detail) => {
        this.interruptions.push(detail);
      },
      resumed: () => {
        this.resumptions += 1;
      },
      broken: (reason) => {
        this.broken = reason;
      },
    });
  }

  get positions(): Position[] {
    return this.entries.map(({ position }) => position);
  }

  get texts(): string[] {
    return this.entries.map(({ bytes }) => textOf(bytes));
  }

  /** Resolves when `count` entries have been read. */
  async read(count: number): Promise<this> {
    await until(`${count} entries read`, () => this.entries.length >= count || this.broken !== undefined);
    return this;
  }

  /** Resolves when the reader says that it is broken. */
  async breaks(): Promise<BrokenReason | undefined> {
    await until("the reader is broken", () => this.broken !== undefined);
    return this.broken;
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** `from`, …, `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
