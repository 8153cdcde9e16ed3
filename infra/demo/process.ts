/**
 * One process of the demo: started, paused, killed and ended on request, with its output in a file.
 * Rule: it never starts by itself, and every request ends in a state that was observed, not assumed.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

export type ProcessState = "running" | "paused" | "down";

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  /** A pipe as stdin, which closes when the demo is gone. */
  readonly exitsWithParent: boolean;
}

export interface ProcessStatus {
  readonly state: ProcessState;
  readonly pid: number | null;
  /** How the last run ended; `null` while none has. */
  readonly ended: string | null;
}

/** Hears of each process that begins and ends, to clean up after a demo that was killed. */
export interface PidListener {
  started(pid: number): void;
  ended(pid: number): void;
}

export class ManagedProcess {
  readonly spec: ProcessSpec;
  private readonly pids: PidListener;
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();
  private paused = false;
  private ended: string | null = null;

  constructor(spec: ProcessSpec, pids: PidListener) {
    this.spec = spec;
    this.pids = pids;
  }

  status(): ProcessStatus {
    const pid = this.child?.pid ?? null;
    const state = this.child === undefined ? "down" : this.paused ? "paused" : "running";
    return { state, pid, ended: this.ended };
  }

  /** Rejects when the program cannot be run at all. Must be down. */
  async start(): Promise<void> {
    if (this.child !== undefined) throw new Error(`${this.spec.name} is running`);
    const log = openSync(this.spec.logFile, "a");
    const child = spawn(this.spec.command, this.spec.args, {
      env: this.spec.env,
      stdio: [this.spec.exitsWithParent ? "pipe" : "ignore", log, log],
      // Its own group: Ctrl-C reaches the demo, which ends its processes in order.
      detached: true,
    });
    closeSync(log);
    this.child = child;
    this.paused = false;
    child.stdin?.on("error", () => undefined); // the process ended; "exit" says so
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.ended = signal ?? `exit code ${code}`;
        this.child = undefined;
        if (child.pid !== undefined) this.pids.ended(child.pid);
        resolve();
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => {
        this.child = undefined;
        reject(new Error(`${this.spec.name} cannot be started: ${error.message}`));
      });
    });
    if (child.pid !== undefined) this.pids.started(child.pid);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.child?.kill("SIGKILL");
    await this.exited;
  }

  /** SIGSTOP: it stands still, its connections stay open. */
  pause(): void {
    if (this.child?.kill("SIGSTOP") === true) this.paused = true;
  }

  resume(): void {
    if (this.child?.kill("SIGCONT") === true) this.paused = false;
  }

  /** SIGTERM, and SIGKILL when that did not end it in `graceMs`. */
  async end(graceMs: number): Promise<void> {
    if (this.child === undefined) return;
    this.resume();
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child?.kill("SIGKILL"), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** The last lines of its log, for messages about a process that did not come up. */
  lastWords(lines: number): string {
    return readFileSync(this.spec.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }
}
