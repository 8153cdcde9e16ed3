/**
 * The machine that everything runs on: virtual time, one heap of events, and processes that can be paused and killed. While it runs, the
 * timers of the language are its own. Rule: nothing happens but by an event of the heap, and after each event the promises that
 * it settled run to their end; so equal seeds give equal traces.
 */
import { nextTick } from "node:process";
import type { Now } from "../../replicator/core/lag.ts";
import { Heap } from "./heap.ts";
import type { Scheduled } from "./heap.ts";

interface Event extends Scheduled {
  /** Whose event it is; the world's own without one. */
  readonly process: Process | undefined;
  readonly kind: string;
  readonly run: () => void;
}

const WALL_START_MS = 1_700_000_000_000;
const RECENT = 100_000;

export class Process {
  readonly name: string;
  readonly region: string;
  readonly number: number;
  alive = true;
  pausedUntilMs = 0;
  /** Since when, in virtual time, it has run without standing still. */
  runningSinceMs = 0;
  /** What would have happened to it while it was paused. */
  readonly held: Event[] = [];
  readonly #machine: Machine;
  readonly #skewMs: number;
  readonly #rate: number;
  readonly #bootMs: number;

  constructor(machine: Machine, name: string, region: string, clock: { skewMs: number; driftPpm: number }) {
    this.#machine = machine;
    this.name = name;
    this.region = region;
    this.number = machine.nextNumber();
    this.#skewMs = clock.skewMs;
    this.#rate = 1 + clock.driftPpm / 1e6;
    this.#bootMs = 1_000 + 7 * this.number;
    this.runningSinceMs = machine.nowMs;
  }

  get paused(): boolean {
    return this.pausedUntilMs > this.#machine.nowMs;
  }

  readonly clock = (): Now => {
    const ranMs = this.#machine.nowMs * this.#rate;
    return { monoMs: this.#bootMs + ranMs, wallMs: Math.round(WALL_START_MS + ranMs + this.#skewMs) };
  };
}

class Timer {
  cleared = false;

  /** Nothing here keeps a run going. */
  unref(): this {
    return this;
  }
}

/** Every promise that was settled, and those that it settled in turn, has run: a tick of Node comes after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTick(resolve);
  });
}

function clear(timer: unknown): void {
  if (timer instanceof Timer) timer.cleared = true;
}

export class Machine {
  nowMs = 0;
  events = 0;
  /** Timers of less than this are this late: a busy machine. */
  timerMs = 50;
  hash = 0x811c9dc5;
  /** What went wrong; the run ends with the first. */
  failure: string | undefined;
  readonly recent: string[] = [];
  tracing = false;
  readonly #heap = new Heap<Event>();
  #sequence = 0;
  #numbers = 0;
  #current: Process | undefined;

  /** Events to come. */
  get pending(): number {
    return this.#heap.size;
  }

  nextNumber(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  schedule(process: Process | undefined, atMs: number, kind: string, run: () => void): void {
    this.#sequence += 1;
    this.#heap.push({ atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence, process, kind, run });
  }

  after(process: Process | undefined, ms: number, kind: string, run: () => void): void {
    this.schedule(process, this.nowMs + ms, kind, run);
  }

  /** The rest of this event is part of that process: a request reaches it. */
  enter(process: Process): void {
    this.#current = process;
  }

  pause(process: Process, ms: number): void {
    process.pausedUntilMs = this.nowMs + ms;
    this.after(undefined, ms, "resumes", () => {
      if (!process.paused) this.resume(process);
    });
  }

  resume(process: Process): void {
    process.pausedUntilMs = Math.min(process.pausedUntilMs, this.nowMs);
    process.runningSinceMs = this.nowMs;
    for (const { kind, run } of process.held.splice(0)) this.schedule(process, this.nowMs, kind, run);
  }

  fail(what: string): void {
    this.failure ??= what;
  }

  /** Notes something in the trace. */
  note(number: number): void {
    this.hash = Math.imul(this.hash ^ (number | 0), 0x01000193) >>> 0;
  }

  trace(what: () => string): void {
    if (!this.tracing) return;
    this.recent.push(`${this.nowMs.toFixed(1).padStart(9)}  ${what()}`);
    if (this.recent.length > RECENT) this.recent.shift();
  }

  /** Calls with the machine's timers. */
  within<T>(call: () => T): T {
    const restore = this.#takeTimers();
    try {
      return call();
    } finally {
      restore();
    }
  }

  /** Runs until that time, that many events in all, or the first failure. */
  async run(untilMs: number, eventsMax: number = Number.POSITIVE_INFINITY): Promise<void> {
    const restore = this.#takeTimers();
    try {
      while (this.events < eventsMax && this.failure === undefined) {
        const next = this.#heap.peek();
        if (next === undefined || next.atMs > untilMs) break;
        this.#heap.pop();
        if (this.#step(next)) await settled();
      }
    } catch (error) {
      this.fail(`crash: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    } finally {
      this.#current = undefined;
      restore();
    }
    if (Number.isFinite(untilMs) && this.failure === undefined && this.events < eventsMax) {
      this.nowMs = Math.max(this.nowMs, untilMs);
    }
  }

  #step(event: Event): boolean {
    const { process } = event;
    this.nowMs = event.atMs;
    if (process !== undefined) {
      if (!process.alive) return false;
      if (process.paused) {
        process.held.push(event);
        return false;
      }
    }
    this.events += 1;
    this.note(Math.round(event.atMs * 1_000) ^ (process?.number ?? 0) ^ (event.kind.charCodeAt(0) << 20));
    this.#current = process;
    event.run();
    return true;
  }

  #later(kind: string, ms: number, timer: Timer, run: () => void, again: boolean): void {
    const process = this.#current;
    const fire = (): void => {
      if (timer.cleared) return;
      if (again) this.after(process, lateMs, kind, fire);
      run();
    };
    const lateMs = again ? Math.max(ms, this.timerMs) : Math.max(ms, 1);
    this.after(process, lateMs, kind, fire);
  }

  /** The language's timers become events here; returns what gives them back. */
  #takeTimers(): () => void {
    const names = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
    const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
    const maker =
      (kind: string, again: boolean) =>
      (run: () => void, ms = 0): Timer => {
        const timer = new Timer();
        this.#later(kind, ms, timer, run, again);
        return timer;
      };
    const values = {
      setTimeout: maker("timer", false),
      clearTimeout: clear,
      setInterval: maker("interval", true),
      clearInterval: clear,
    };
    for (const name of names) {
      Object.defineProperty(globalThis, name, { value: values[name], configurable: true, writable: true });
    }
    return () => {
      for (const [name, descriptor] of before) {
        if (descriptor !== undefined) Object.defineProperty(globalThis, name, descriptor);
      }
    };
  }
}
