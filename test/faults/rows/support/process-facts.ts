/** What Linux says of a process of the stage: memory and open files, read from /proc. */
import { readdirSync, readFileSync } from "node:fs";
import type { StageProcess } from "../../stage-process.ts";

const MEBIBYTE = 1024 * 1024;

/** Throws when the process is down. */
export function pidOf({ name, pid }: StageProcess): number {
  if (pid === undefined) throw new Error(`${name} is down`);
  return pid;
}

export function rssMiB(process: StageProcess): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pidOf(process)}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`no VmRSS of ${process.name}`);
  return Math.round((Number(kib) * 1024) / MEBIBYTE);
}

export function openFiles(process: StageProcess): number {
  return readdirSync(`/proc/${pidOf(process)}/fd`).length;
}

/** Looks at the memory again and again until it is stopped; then says the most it saw, in MiB. */
export function watchRss(process: StageProcess, everyMs = 100): () => number {
  let most = rssMiB(process);
  const timer = setInterval(() => {
    if (process.pid !== undefined) most = Math.max(most, rssMiB(process));
  }, everyMs);
  return () => {
    clearInterval(timer);
    return most;
  };
}
