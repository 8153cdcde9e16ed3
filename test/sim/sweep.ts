/**
 * Many seeds: over worker threads, counted together. Rule: which worker runs a seed, and after which, changes nothing of its run; every
 * so many seeds one is run twice to prove it (invariant 12).
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSeed } from "./run.ts";
import type { Verdict } from "./run.ts";
import type { Unhealed } from "./settings.ts";

const TWICE_EVERY = 50;

export interface Job {
  readonly seed: number;
  readonly events: number;
  readonly unhealed: readonly Unhealed[];
}

export interface Totals {
  seeds: number;
  events: number;
  virtualMs: number;
  slowestHealMs: number;
  readonly violations: { seed: number; events: number; violation: string }[];
  readonly faults: Map<string, number>;
  readonly counts: Map<string, number>;
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    events: 0,
    virtualMs: 0,
    slowestHealMs: 0,
    violations: [],
    faults: new Map(),
    counts: new Map(),
  };
}

export function addVerdict(totals: Totals, verdict: Verdict, events: number): void {
  totals.seeds += 1;
  totals.events += verdict.events;
  totals.virtualMs += verdict.virtualMs;
  totals.slowestHealMs = Math.max(totals.slowestHealMs, verdict.healedInMs ?? 0);
  for (const [kind, count] of verdict.fired) totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
  for (const [name, count] of Object.entries(verdict.counts)) {
    totals.counts.set(name, (totals.counts.get(name) ?? 0) + count);
  }
  if (verdict.violation !== undefined) {
    totals.violations.push({ seed: verdict.seed, events, violation: verdict.violation });
  }
}

/** Runs the seed, and now and then twice. A promise that failed unheard fails the seed. */
export async function judge(job: Job): Promise<Verdict> {
  const { seed } = job;
  let unheard: string | undefined;
  const hear = (reason: unknown): void => {
    unheard ??= `crash: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`;
  };
  process.on("unhandledRejection", hear);
  try {
    const verdict = await runSeed(job);
    await macrotask();
    if (unheard !== undefined) return { ...verdict, violation: unheard };
    if (seed % TWICE_EVERY !== 0 || verdict.violation !== undefined) return verdict;
    const again = await runSeed(job);
    if (again.hash === verdict.hash) return verdict;
    return { ...verdict, violation: `invariant 12: the trace was ${verdict.hash}, then ${again.hash}` };
  } finally {
    process.off("unhandledRejection", hear);
  }
}

/** Unheard rejections are reported between two turns of the real event loop. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Runs all jobs on so many threads; `progress` hears each verdict. */
export async function sweep(
  jobs: readonly Job[],
  threads: number,
  progress: (verdict: Verdict, job: Job) => void,
): Promise<void> {
  let next = 0;
  const workers = Array.from(
    { length: Math.min(threads, jobs.length) },
    () => new Worker(new URL(import.meta.url), { workerData: { sweep: true } }),
  );
  const runs = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        let job: Job | undefined;
        const give = (): void => {
          job = jobs[next];
          next += 1;
          worker.postMessage(job, []);
        };
        worker.on("message", (verdict: Verdict) => {
          if (job !== undefined) progress(verdict, job);
          give();
        });
        worker.on("error", reject);
        worker.on("exit", () => resolve());
        give();
      }),
  );
  await Promise.all(runs);
}

function isSweeping(data: unknown): boolean {
  return typeof data === "object" && data !== null && "sweep" in data;
}

if (!isMainThread && isSweeping(workerData)) {
  const port = parentPort;
  port?.on("message", (job: Job | undefined) => {
    if (job === undefined) return port.close();
    void judge(job).then((verdict) => port.postMessage(verdict));
  });
}
