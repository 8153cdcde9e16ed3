/**
 * Cleans up after a demo that was killed: a process of its own that is told each pid and the folder, and, when its stdin closes
 * without a goodbye, kills those pids and removes the folder.
 * Rule: does nothing while the demo lives, and nothing after a demo that ended in order.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const folders = new Set<string>();
let goodbye = false;

/** Lines: `start PID`, `end PID`, `folder PATH`, `goodbye`. */
function hear(line: string): void {
  const [word, ...rest] = line.split(" ");
  const value = rest.join(" ");
  if (word === "start") pids.add(Number(value));
  else if (word === "end") pids.delete(Number(value));
  else if (word === "folder") folders.add(value);
  else if (word === "goodbye") goodbye = true;
}

function killAll(): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      // Gone by itself, by its own closed stdin.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

// Whatever ends the demo's terminal must not end this before its work is done.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

createInterface({ input: process.stdin })
  .on("line", hear)
  .on("close", () => {
    if (goodbye) return;
    killAll();
    for (const folder of folders)
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
