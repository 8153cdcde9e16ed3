/**
 * A real nats-server with JetStream for one test: own port, own store directory, killable and restartable.
 * Rule: without the binary a test fails and says what to install; no server and no directory outlives the test process; nothing here
 * stands in the way of clients that notice when the server goes.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const START_DEADLINE_MS = 15_000;
const POLL_MS = 20;
const PORT_MIN = 10_000;
const PORT_MAX = 32_000;
const OUTPUT_CHARS_MAX = 8_000;

export interface NatsServerOptions {
  /** Kept when given; otherwise a temporary directory, removed by `stop`. */
  readonly storeDir?: string;
  readonly port?: number;
  /** More command-line arguments. */
  readonly extra?: readonly string[];
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  /** Of the running process; undefined while it is down. */
  pid(): number | undefined;
  /** Sends the signal; resolves when the process has ended, or at once for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts again on the same port and store, killing first what still runs. Resolves when it accepts connections. */
  restart(): Promise<void>;
  /**
   * Kills the process, keeps a copy of its store, and starts it again. The function returned brings that copy back, once: the
   * server is then as it was, and has lost what came after.
   */
  keepStore(): Promise<() => Promise<void>>;
  /** Ends the process and removes its temporary directory. */
  stop(): Promise<void>;
}

const children = new Set<ChildProcess>();
const directories = new Set<string>();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** Path of the binary: `NATS_SERVER_BIN`, else the first on the PATH. Throws with what to install. */
export function findNatsServer(): string {
  const named = process.env["NATS_SERVER_BIN"] ?? "";
  const path = (process.env["PATH"] ?? "").split(delimiter).concat("/usr/sbin", "/usr/local/bin");
  const candidates = named === "" ? path.map((directory) => join(directory, "nats-server")) : [named];
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  const where = named === "" ? "not on the PATH" : `not at NATS_SERVER_BIN=${named}`;
  throw new Error(
    `nats-server is ${where}. Install it (Debian, Ubuntu: apt-get install nats-server; macOS: brew install nats-server; ` +
      "else https://github.com/nats-io/nats-server/releases) or set NATS_SERVER_BIN to it.",
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // accessSync reports "no" by throwing.
    return false;
  }
}

/**
 * A TCP port that was free a moment ago. It lies below the range from which systems give ports to clients: a client that retries a dead
 * server of that range can be given the server's own port, connect to itself, and keep the server from coming back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** Starts a server on 127.0.0.1 and resolves when it accepts connections. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = findNatsServer();
  const server = new LocalNatsServer(binary, options.port ?? (await freePort()), options);
  await server.restart();
  return server;
}

class LocalNatsServer implements NatsServer {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  readonly #binary: string;
  readonly #extra: readonly string[];
  readonly #temporary: boolean;
  #child: ChildProcess | undefined;
  #output = "";

  constructor(binary: string, port: number, options: NatsServerOptions) {
    this.#binary = binary;
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.#extra = options.extra ?? [];
    this.#temporary = options.storeDir === undefined;
    this.storeDir = options.storeDir ?? mkdtempSync(join(tmpdir(), "rollcall-nats-"));
    if (this.#temporary) directories.add(this.storeDir);
  }

  pid(): number | undefined {
    return this.#child?.pid;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill(signal);
    if (signal === "SIGSTOP" || signal === "SIGCONT") return;
    await ended(child);
  }

  async restart(): Promise<void> {
    await this.kill();
    const address = ["-a", "127.0.0.1", "-p", String(this.port)];
    const child = spawn(this.#binary, [...address, "-js", "-sd", this.storeDir, ...this.#extra], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    children.add(child);
    this.#child = child;
    this.#output = "";
    child.stderr.on("data", (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
    });
    child.once("error", (error) => {
      this.#output += error.message;
    });
    child.once("exit", () => {
      children.delete(child);
      if (this.#child === child) this.#child = undefined;
    });
    await this.#untilReady();
  }

  async keepStore(): Promise<() => Promise<void>> {
    const copy = mkdtempSync(join(tmpdir(), "rollcall-nats-"));
    directories.add(copy);
    await this.kill();
    await cp(this.storeDir, copy, { recursive: true });
    await this.restart();
    return async () => {
      await this.kill();
      await rm(this.storeDir, { recursive: true });
      await cp(copy, this.storeDir, { recursive: true });
      await rm(copy, { recursive: true });
      directories.delete(copy);
      await this.restart();
    };
  }

  async stop(): Promise<void> {
    await this.kill();
    if (!this.#temporary) return;
    rmSync(this.storeDir, { recursive: true, force: true });
    directories.delete(this.storeDir);
  }

  async #untilReady(): Promise<void> {
    const deadlineMs = performance.now() + START_DEADLINE_MS;
    while (!(await greets(this.port))) {
      if (this.#child === undefined || performance.now() > deadlineMs)
        throw new Error(`nats-server on port ${this.port} did not start:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

/** True if a NATS server says hello on the port. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const finish = (greeted: boolean) => () => {
      socket.destroy();
      resolve(greeted);
    };
    socket.setTimeout(1_000, finish(false));
    socket.once("data", finish(true));
    socket.once("error", finish(false));
    socket.once("close", finish(false));
  });
}
