/**
 * A demo as a process of its own, for end-to-end tests: started from dist/, spoken to over its control API and its regions' HTTP.
 * Rule: whatever happens in a test, the demo it started is ended.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { vi } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/infra/demo/main.js", import.meta.url));
const READY_TIMEOUT_MS = 90_000;

const AddressesShape = Type.Object({
  regions: Type.Record(
    Type.String(),
    Type.Object({ http: Type.String(), nats: Type.Optional(Type.String()) }),
  ),
  control: Type.String(),
});
const ProcessesShape = Type.Record(
  Type.String(),
  Type.Record(
    Type.String(),
    Type.Object({ state: Type.String(), pid: Type.Union([Type.Integer(), Type.Null()]) }),
  ),
);
export type Processes = Static<typeof ProcessesShape>;

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: unknown;
}

export class Demo {
  readonly child: ChildProcess;
  readonly folder = mkdtempSync(join(tmpdir(), "rollcall-e2e-"));
  readonly addressFile = join(this.folder, "addresses.json");
  /** Resolves with exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  private output = "";
  private errors = "";

  constructor(args: readonly string[]) {
    const all = [MAIN, "--addresses", this.addressFile, ...args];
    this.child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (data: Buffer) => (this.output += data.toString()));
    this.child.stderr?.on("data", (data: Buffer) => (this.errors += data.toString()));
    this.ended = new Promise((resolve) =>
      this.child.once("close", (code, signal) => resolve(code ?? signal)),
    );
  }

  get stdout(): string {
    return this.output;
  }

  get stderr(): string {
    return this.errors;
  }

  /** Where everything is, once all is ready. */
  async addresses(): Promise<Static<typeof AddressesShape>> {
    return vi.waitFor(
      () => {
        if (this.child.exitCode !== null) throw new Error(`the demo ended: ${this.errors}`);
        return Value.Parse(AddressesShape, JSON.parse(readFileSync(this.addressFile, "utf8")));
      },
      { timeout: READY_TIMEOUT_MS, interval: 50 },
    );
  }

  /** The folder for stores and logs, from what the demo prints. */
  async dataFolder(): Promise<string> {
    return vi.waitFor(() => {
      const folder = /^ {2}logs +(\S+)$/m.exec(this.output)?.[1];
      if (folder === undefined) throw new Error("no folder printed yet");
      return folder;
    });
  }

  /** Ends it if it still runs, and removes the folder. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function call(method: string, url: string, body?: unknown): Promise<Reply> {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url, { method, ...sent });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, type, body: text === "" ? undefined : JSON.parse(text) };
}

export async function processesOf(control: string): Promise<Processes> {
  const { body } = await call("GET", `${control}/processes`);
  return Value.Parse(ProcessesShape, body);
}

export function pidsOf(processes: Processes): number[] {
  return Object.values(processes).flatMap((region) => Object.values(region).flatMap(({ pid }) => pid ?? []));
}

/** False once the process is gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function waitUntilGone(pids: readonly number[], folder: string): Promise<void> {
  await vi.waitFor(
    () => {
      const alive = pids.filter(isAlive);
      if (alive.length > 0) throw new Error(`still running: ${alive.join(", ")}`);
      if (existsSync(folder)) throw new Error(`still there: ${folder}`);
    },
    { timeout: 15_000, interval: 50 },
  );
}
