/**
 * One process on a stage: a nats-server, a presence node or a replicator, killed, stopped and started again by its pid.
 * Rule: what it is started with is settled before its first start, so a process that comes back is the same one, on the same port
 * and store.
 */
import type { RegionApi } from "../../infra/demo/api.ts";
import { ManagedProcess, type PidListener, type ProcessSpec } from "../../infra/demo/process.ts";
import { waitFor, type Look } from "../../infra/demo/wait.ts";

/** For a process to come up; generous, as the machine may be busy. */
const START_TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 20;
const END_GRACE_MS = 2_000;
const LAST_WORDS = 15;

export interface StageProcessOptions {
  readonly spec: ProcessSpec;
  readonly pids: PidListener;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** Why it is not ready yet, or `undefined` when it is. */
  readonly unready: () => Promise<string | undefined>;
}

export class StageProcess {
  readonly name: string;
  readonly #process: ManagedProcess;
  readonly #signal: AbortSignal;
  readonly #unready: () => Promise<string | undefined>;

  constructor({ spec, pids, signal, unready }: StageProcessOptions) {
    this.name = spec.name;
    this.#process = new ManagedProcess(spec, pids);
    this.#signal = signal;
    this.#unready = unready;
  }

  /** `undefined` while it is down. */
  get pid(): number | undefined {
    return this.#process.status().pid ?? undefined;
  }

  /** Where its output goes, of all its lives. */
  get logFile(): string {
    return this.#process.spec.logFile;
  }

  /** SIGKILL; resolves when it is gone. */
  kill9(): Promise<void> {
    return this.#process.kill();
  }

  /** SIGSTOP: it stands still, its connections stay open. */
  pause(): void {
    this.#process.pause();
  }

  /** SIGCONT. */
  resume(): void {
    this.#process.resume();
  }

  /** Runs it, without waiting until it is of use. It must be down. */
  start(): Promise<void> {
    return this.#process.start();
  }

  /** Resolves when it is of use (a replicator: when it runs); throws with its last words when it has ended. */
  async untilReady(): Promise<void> {
    const waiting = {
      what: `${this.name} to be ready`,
      timeoutMs: START_TIMEOUT_MS,
      everyMs: LOOK_EVERY_MS,
      signal: this.#signal,
    };
    await waitFor(waiting, async (): Promise<Look<undefined>> => {
      const { state, ended } = this.#process.status();
      if (state === "down") throw new Error(`${this.name} ended (${ended}):\n${this.lastWords()}`);
      const reason = await this.#unready();
      return reason === undefined ? { done: true, value: undefined } : { done: false, seen: reason };
    });
  }

  /** Kills it if it runs, starts it, and waits until it is ready. */
  async restart(): Promise<void> {
    await this.kill9();
    await this.start();
    await this.untilReady();
  }

  /** The end of its output. */
  lastWords(lines: number = LAST_WORDS): string {
    return this.#process.lastWords(lines);
  }

  /** SIGTERM, and SIGKILL when that does not help. */
  end(): Promise<void> {
    return this.#process.end(END_GRACE_MS);
  }
}

export class NatsProcess extends StageProcess {
  /** `nats://127.0.0.1:PORT`, not through the WAN. */
  readonly url: string;
  readonly storeDir: string;

  constructor(options: StageProcessOptions, url: string, storeDir: string) {
    super(options);
    this.url = url;
    this.storeDir = storeDir;
  }
}

export class NodeProcess extends StageProcess {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly api: RegionApi;

  constructor(options: StageProcessOptions, api: RegionApi) {
    super(options);
    this.url = api.url;
    this.api = api;
  }
}
