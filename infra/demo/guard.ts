/**
 * The demo's belongings outside its own process: the folder for stores and logs, and the list of its processes, both known to a
 * watchdog that outlives a SIGKILL of the demo.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PidListener } from "./process.ts";

export class Guard implements PidListener {
  readonly folder: string;
  private readonly watchdog: ChildProcess;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "rollcall-demo-"));
    // The name it has in dist/, which is where the demo runs.
    const script = fileURLToPath(new URL("watchdog.js", import.meta.url));
    this.watchdog = spawn(process.execPath, [script], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.watchdog.unref();
    this.tell(`folder ${this.folder}`);
  }

  started(pid: number): void {
    this.tell(`start ${pid}`);
  }

  ended(pid: number): void {
    this.tell(`end ${pid}`);
  }

  /** Removes the folder and dismisses the watchdog. All processes must be gone. */
  async close(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    const gone = new Promise<void>((resolve) => {
      if (this.watchdog.exitCode !== null) resolve();
      this.watchdog.once("exit", () => resolve());
    });
    this.watchdog.ref();
    this.tell("goodbye");
    this.watchdog.stdin?.end();
    await gone;
  }

  private tell(line: string): void {
    this.watchdog.stdin?.write(`${line}\n`);
  }
}
