/**
 * Many seeds: over worker threads, counted together. Rule: which worker runs a seed, and after which, changes nothing of its run; every
 * so many seeds one is run twice to prove it (invariant 12).
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSeed } from "./run.ts";
import type { RunOptions, Verdict } from "./run.ts";
import { FAULTS } from "./settings.ts";
import { tooFew } from "./deeds.ts";
import type { FaultKind, Part, Scenario } from "./settings.ts";

const TWICE_EVERY = 50;
/** From so many seeds on every kind of fault must have fired this often, in the mean of the seeds, and deeds are counted; in fewer seeds, once. */
const SEEDS_FOR_A_MEAN = 200;
const FIRED_PER_SEED = 0.5;

export interface Violation {
  readonly scenario: Scenario;
  readonly violation: string;
}

export interface Totals {
  seeds: number;
  events: number;
  virtualMs: number;
  slowestHealMs: number;
  readonly violations: Violation[];
  readonly faults: Map<FaultKind, number>;
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

export function addVerdict(totals: Totals, verdict: Verdict, scenario: Scenario): void {
  totals.seeds += 1;
  totals.events += verdict.events;
  totals.virtualMs += verdict.virtualMs;
  totals.slowestHealMs = Math.max(totals.slowestHealMs, verdict.healedInMs ?? 0);
  for (const [kind, count] of verdict.fired) totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
  for (const [name, count] of Object.entries(verdict.counts)) {
    const before = totals.counts.get(name) ?? 0;
    totals.counts.set(name, name.endsWith("Max") ? Math.max(before, count) : before + count);
  }
  if (verdict.violation !== undefined) totals.violations.push({ scenario, violation: verdict.violation });
}

/** Kinds of fault that fired, and deeds that were done, too seldom for this many seeds, less those switched off. */
export function tooSeldom({ seeds, faults, counts }: Totals, without: readonly Part[] = []): string[] {
  const isMany = seeds >= SEEDS_FOR_A_MEAN;
  const least = isMany ? FIRED_PER_SEED * seeds : 1;
  const seldom = FAULTS.filter((kind) => !without.includes(kind) && (faults.get(kind) ?? 0) < least);
  return isMany ? [...seldom, ...tooFew(counts, seeds, without)] : seldom;
}

/** Runs once. A promise that failed unheard fails the run. */
export async function judgeOnce(options: RunOptions): Promise<Verdict> {
  let unheard: string | undefined;
  const hear = (reason: unknown): void => {
    unheard ??= `crash: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`;
  };
  process.on("unhandledRejection", hear);
  try {
    const verdict = await runSeed(options);
    // Unheard rejections are reported between two turns of the real event loop.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const violation = verdict.violation ?? unheard;
    return { ...verdict, violation };
  } finally {
    process.off("unhandledRejection", hear);
  }
}

/** Runs the seed, and now and then twice. */
export async function judge(scenario: Scenario): Promise<Verdict> {
  const verdict = await judgeOnce(scenario);
  if (scenario.seed % TWICE_EVERY !== 0 || verdict.violation !== undefined) return verdict;
  const again = await judgeOnce(scenario);
  if (again.hash === verdict.hash) return verdict;
  return { ...verdict, violation: `invariant 12: the trace was ${verdict.hash}, then ${again.hash}` };
}

/** Runs all on so many threads; `progress` hears each verdict. */
export async function sweep(
  scenarios: readonly Scenario[],
  threads: number,
  progress: (verdict: Verdict, scenario: Scenario) => void,
): Promise<void> {
  let next = 0;
  const workers = Array.from(
    { length: Math.min(threads, scenarios.length) },
    () =>
      new Worker(new URL(import.meta.url), {
        workerData: { sweep: true },
        // What a run makes is soon gone: room for it costs fewer collections.
        resourceLimits: { maxYoungGenerationSizeMb: 128 },
      }),
  );
  const runs = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        let scenario: Scenario | undefined;
        const give = (): void => {
          scenario = scenarios[next];
          next += 1;
          worker.postMessage(scenario, []);
        };
        worker.on("message", (verdict: Verdict) => {
          if (scenario !== undefined) progress(verdict, scenario);
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
  port?.on("message", (scenario: Scenario | undefined) => {
    if (scenario === undefined) return port.close();
    void judge(scenario).then((verdict) => port.postMessage(verdict));
  });
}
