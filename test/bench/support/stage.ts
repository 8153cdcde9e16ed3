/**
 * Everything a benchmark has running: servers on free loopback ports with stores in one temporary folder, shipped processes, workers.
 * Rule: whatever was put on the stage is ended and removed when the run is over, newest first, however it went; a watchdog does so
 * after a SIGKILL.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Guard } from "../../../infra/demo/guard.ts";
import { freePorts } from "../../../infra/demo/ports.ts";
import { ManagedProcess, type ProcessSpec } from "../../../infra/demo/process.ts";
import { natsSilence } from "../../../infra/demo/region-processes.ts";
import { waitFor, type Look } from "../../../infra/demo/wait.ts";
import { readInfraEnv } from "../../../infra/env.ts";
import { findNatsServer } from "../../../infra/nats-server.ts";
import { NodeClient } from "./node-client.ts";
import { type Calls, Worker } from "./rpc.ts";

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 20;
const END_GRACE_MS = 5_000;
const LAST_WORDS = 20;

type Env = Readonly<Record<string, string | undefined>>;

export class Stage {
  readonly #guard = new Guard();
  readonly #signal: AbortSignal;
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #env: Env;
  #cleared = false;

  /** `signal` ends whatever is being waited for. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    const { all } = readInfraEnv();
    this.#env = Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith("ROLLCALL_")));
  }

  /** Exists as long as the stage; for stores, logs and scripts. */
  get folder(): string {
    return this.#guard.folder;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Runs `end` when the stage is cleared, before what was put on it earlier. */
  onEnd(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  /** Starts a nats-server with JetStream; returns its address. */
  async natsServer(name: string): Promise<{ readonly url: string; readonly port: number }> {
    const found = findNatsServer();
    if (!found.ok) throw new Error(found.detail);
    const port = await this.freePort();
    const store = join(this.folder, `${name}-store`);
    const args = [
      "--addr",
      HOST,
      "--port",
      String(port),
      "--name",
      name,
      "--jetstream",
      "--store_dir",
      store,
    ];
    await this.process({ name, command: found.server.path, args, env: {}, exitsWithParent: false }, () =>
      natsSilence(port),
    );
    return { url: `nats://${HOST}:${port}`, port };
  }

  /** Starts a presence node process and waits until it is ready. */
  async node(
    region: string,
    natsUrl: string,
    peers: readonly string[] = [],
    more: Env = {},
  ): Promise<NodeClient> {
    return this.nodeUntil(region, natsUrl, peers, more, (client) => client.unreadiness());
  }

  /** Starts a presence node process and waits until `silence` has nothing to say of it. */
  async nodeUntil(
    region: string,
    natsUrl: string,
    peers: readonly string[],
    more: Env,
    silence: (client: NodeClient) => Promise<string | undefined>,
  ): Promise<NodeClient> {
    const port = await this.freePort();
    const client = new NodeClient(`http://${HOST}:${port}`);
    this.onEnd(() => client.close());
    const env = {
      ...more,
      ROLLCALL_REGION: region,
      ROLLCALL_PEERS: peers.join(","),
      ROLLCALL_NATS_URL: natsUrl,
      ROLLCALL_HTTP_PORT: String(port),
      ROLLCALL_LOG_LEVEL: "warn",
    };
    await this.#shipped(`node-${region}`, "services/presence/main.js", env, () => silence(client));
    return client;
  }

  /** Starts a replicator process that brings each peer's log, from the address given for it. */
  async replicator(region: string, natsUrl: string, peers: Readonly<Record<string, string>>): Promise<void> {
    const addresses = Object.entries(peers).map(([peer, url]) => `${peer}=${url}`);
    const env = {
      ROLLCALL_REGION: region,
      ROLLCALL_PEERS: addresses.join(","),
      ROLLCALL_NATS_URL: natsUrl,
      ROLLCALL_LOG_LEVEL: "warn",
    };
    await this.#shipped(`replicator-${region}`, "replicator/main.js", env, () => Promise.resolve(undefined));
  }

  /** Starts `workers/NAME.js`. */
  worker<C extends Calls>(name: string): Worker<C> {
    this.#mustBeSet();
    const worker = new Worker<C>(name, this.#env);
    const { pid } = worker;
    if (pid !== undefined) this.#guard.started(pid);
    this.onEnd(async () => {
      await worker.end();
      if (pid !== undefined) this.#guard.ended(pid);
    });
    return worker;
  }

  /** Starts a program and waits until `silence` has nothing to say. Its output goes to a file in the stage's folder. */
  async process(
    spec: Omit<ProcessSpec, "logFile">,
    silence: () => Promise<string | undefined>,
  ): Promise<ManagedProcess> {
    this.#mustBeSet();
    const logFile = join(this.folder, `${spec.name}.log`);
    const started = new ManagedProcess({ ...spec, env: { ...this.#env, ...spec.env }, logFile }, this.#guard);
    await started.start();
    this.onEnd(() => started.end(END_GRACE_MS));
    const waiting = {
      what: `${spec.name} to be ready`,
      timeoutMs: START_TIMEOUT_MS,
      everyMs: LOOK_EVERY_MS,
      signal: this.#signal,
    };
    await waitFor(waiting, async (): Promise<Look<undefined>> => {
      const { state, ended } = started.status();
      if (state === "down")
        throw new Error(`${spec.name} ended (${ended}):\n${started.lastWords(LAST_WORDS)}`);
      const reason = await silence();
      return reason === undefined ? { done: true, value: undefined } : { done: false, seen: reason };
    });
    return started;
  }

  async freePort(): Promise<number> {
    const [port] = await freePorts(1);
    if (port === undefined) throw new Error("no free port");
    return port;
  }

  /** Whether a program of this name is on the path. */
  has(program: string): boolean {
    return spawnSync(program, ["--version"], { stdio: "ignore", timeout: 5_000 }).error === undefined;
  }

  /** Ends everything, newest first, and removes the folder. */
  async clear(): Promise<void> {
    this.#cleared = true;
    const failures: unknown[] = [];
    for (const end of this.#ends.splice(0).toReversed()) {
      await end().catch((error: unknown) => failures.push(error));
    }
    await this.#guard.close();
    if (failures.length > 0) throw new AggregateError(failures, "the stage could not be cleared");
  }

  /** A run that was ended from outside may still be at it. */
  #mustBeSet(): void {
    if (this.#cleared) throw new Error("the stage is cleared");
  }

  async #shipped(
    name: string,
    script: string,
    env: Env,
    silence: () => Promise<string | undefined>,
  ): Promise<void> {
    const path = fileURLToPath(new URL(`../../../${script}`, import.meta.url));
    const own = { ...env, ROLLCALL_EXIT_WITH_PARENT: "1" };
    const spec = { name, command: process.execPath, args: [path], env: own, exitsWithParent: true };
    await this.process(spec, silence);
  }
}
