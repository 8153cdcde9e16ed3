/**
 * Calls between the benchmark and its worker processes, over the channel that `fork` gives.
 * Rule: a worker answers every call, with a value or with the error; it ends when the benchmark does.
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a worker can do, by name. Arguments and results travel as JSON. */
export type Calls = Readonly<Record<string, (argument: never) => unknown>>;
type Argument<C extends Calls, K extends keyof C> = Parameters<C[K]>[0];
type Result<C extends Calls, K extends keyof C> = Awaited<ReturnType<C[K]>>;

interface Request {
  readonly call: number;
  readonly name: string;
  readonly argument: never;
}
interface Reply {
  readonly call: number;
  readonly error?: string;
  readonly value: never;
}
interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

const END_GRACE_MS = 3_000;

/** The benchmark's end of a worker process. */
export class Worker<C extends Calls> {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #calls = 0;

  /** `name` is that of a file in `workers/`, without the extension. */
  constructor(name: string, env: Readonly<Record<string, string | undefined>>) {
    this.#name = name;
    const script = fileURLToPath(new URL(`../workers/${name}.js`, import.meta.url));
    this.#child = fork(script, [], { env, execArgv: [], stdio: ["ignore", 2, 2, "ipc"] });
    this.#child.on("message", (text) => this.#hear(text));
    this.#child.on("error", (error) => this.#fail(error.message));
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        this.#fail(`ended (${signal ?? code})`);
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves with what the worker's function of this name returned; rejects with what it threw, or when the worker is gone. */
  call<K extends keyof C & string>(name: K, argument: Argument<C, K>): Promise<Result<C, K>> {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error(`worker ${this.#name} is gone`));
        return;
      }
      this.#calls += 1;
      this.#waiting.set(this.#calls, { resolve, reject });
      this.#child.send(JSON.stringify({ call: this.#calls, name, argument }));
    });
  }

  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_GRACE_MS);
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#exited;
    clearTimeout(timer);
  }

  #hear(text: unknown): void {
    if (typeof text !== "string") throw new Error(`worker ${this.#name} does not speak the protocol`);
    const reply: Reply = JSON.parse(text);
    const waiting = this.#waiting.get(reply.call);
    this.#waiting.delete(reply.call);
    if (reply.error === undefined) waiting?.resolve(reply.value);
    else waiting?.reject(new Error(`worker ${this.#name}: ${reply.error}`));
  }

  #fail(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`worker ${this.#name}: ${why}`));
    this.#waiting.clear();
  }
}

/** In a worker: answers calls by these functions until the benchmark is gone. */
export function serve(calls: Calls): void {
  process.on("disconnect", () => process.exit());
  process.on("message", (text) => {
    if (typeof text !== "string") throw new Error("the benchmark does not speak the protocol");
    const { call, name, argument }: Request = JSON.parse(text);
    const answer = (reply: object): boolean | undefined => process.send?.(JSON.stringify({ call, ...reply }));
    Promise.resolve(argument)
      .then((given) => {
        const action = calls[name];
        if (action === undefined) throw new Error(`there is no call ${name}`);
        return action(given);
      })
      .then(
        (value) => answer({ value: value ?? null }),
        (error: unknown) =>
          answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
}
