/**
 * `node dist/test/sim/main.js --seeds N --events M [--seed S] [--threads T] [--json] [--planted] [--trace]
 * [--with tail-lost,overrun]`: runs the simulation and
 * says what it found. Rule: exit 0 only when nothing was violated, every kind of fault fired, and every planted bug was caught.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { FAILED_SEEDS } from "./failed-seeds.ts";
import { hunt } from "./hunt.ts";
import { LATER, PLANTS } from "./planted.ts";
import { runSeed } from "./run.ts";
import { CLOCKS, INCIDENTS, MISHAPS, UNHEALED } from "./settings.ts";
import { addVerdict, noTotals, sweep } from "./sweep.ts";
import type { Job, Totals } from "./sweep.ts";

/** Fewer seeds than this cannot be expected to fire every kind of fault. */
const SEEDS_FOR_EVERY_FAULT = 20;
const VIOLATIONS_SHOWN = 20;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    events: { type: "string", default: "5000" },
    seed: { type: "string" },
    threads: { type: "string" },
    json: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    with: { type: "string", default: "" },
  },
});

const startedAtMs = performance.now();
const events = whole(values.events, "--events");
const firstSeed = values.seed === undefined ? 1 + (Date.now() % 1_000_000_000) : whole(values.seed, "--seed");
const seeds =
  values.seeds === undefined ? (values.seed === undefined ? 100 : 1) : whole(values.seeds, "--seeds");
const threads = values.threads === undefined ? availableParallelism() : whole(values.threads, "--threads");

const asked = values.with.split(",");
/** Faults the system does not heal yet: violations are expected. */
const unhealed = UNHEALED.filter((kind) => asked.includes(kind));

if (values.trace) await traceOne();
else if (values.planted) await huntAll();
else await sweepAll();

async function sweepAll(): Promise<void> {
  const jobs: Job[] = Array.from({ length: seeds }, (_, index) => ({
    seed: firstSeed + index,
    events,
    unhealed,
  }));
  if (seeds > 1)
    for (const { seed, events: length } of FAILED_SEEDS) jobs.push({ seed, events: length, unhealed: [] });
  const totals = noTotals();
  say(`seeds ${firstSeed} to ${firstSeed + seeds - 1}, ${events} events of chaos each, ${threads} threads`);
  await sweep(jobs, threads, (verdict, job) => {
    addVerdict(totals, verdict, job.events);
    if (verdict.violation === undefined || totals.violations.length > VIOLATIONS_SHOWN) return;
    say(`VIOLATION  seed ${job.seed}: ${verdict.violation}`);
    say(`           again: ${rerun(job)}`);
  });
  const silent = [...INCIDENTS, ...MISHAPS, ...CLOCKS].filter((kind) => !totals.faults.has(kind));
  const mute = seeds >= SEEDS_FOR_EVERY_FAULT ? silent : [];
  summary(totals, mute);
  if (totals.violations.length > 0 || mute.length > 0) process.exitCode = 1;
}

function summary(totals: Totals, mute: readonly string[]): void {
  const tookMs = Math.round(performance.now() - startedAtMs);
  const perSecond = Math.round((totals.events / tookMs) * 1_000);
  say(`faults     ${list(totals.faults)}`);
  say(`checked    ${list(totals.counts)}`);
  if (mute.length > 0) say(`FAILED     never fired: ${mute.join(", ")}`);
  say(
    `${totals.seeds} seeds, ${totals.events} events (${perSecond}/s), ${Math.round(totals.virtualMs / 1_000)} s of virtual time, ` +
      `slowest to heal ${Math.round(totals.slowestHealMs)} ms, ${totals.violations.length} violations, ${(tookMs / 1_000).toFixed(1)} s`,
  );
  if (!values.json) return;
  const faults = Object.fromEntries(totals.faults);
  const { violations } = totals;
  process.stdout.write(
    `${JSON.stringify({ seeds: totals.seeds, events: totals.events, violations, faults, neverFired: mute, tookMs })}\n`,
  );
}

async function huntAll(): Promise<void> {
  const caught = [];
  for (const plant of PLANTS) {
    const found = await hunt(plant, firstSeed, seeds, events);
    if (found.seed !== undefined) caught.push(found);
    const how = found.seed === undefined ? "NOT CAUGHT" : `seed ${found.seed}: ${found.violation}`;
    say(`${plant.name.padEnd(42)} ${how}`);
  }
  for (const name of LATER) say(`${name}: later`);
  say(`caught ${caught.length} of ${PLANTS.length}`);
  if (values.json) {
    const tookMs = Math.round(performance.now() - startedAtMs);
    process.stdout.write(`${JSON.stringify({ planted: PLANTS.length, caught, tookMs })}\n`);
  }
  if (caught.length < PLANTS.length) process.exitCode = 1;
}

async function traceOne(): Promise<void> {
  const verdict = await runSeed({ seed: firstSeed, events, trace: true, unhealed });
  for (const line of verdict.trace) say(line);
  say(`hash ${verdict.hash}, ${verdict.events} events: ${verdict.violation ?? "no violation"}`);
  if (verdict.violation !== undefined) process.exitCode = 1;
}

function rerun({ seed, events: length }: Job): string {
  const extra = unhealed.length === 0 ? "" : ` --with ${unhealed.join()}`;
  return `node dist/test/sim/main.js --seed ${seed} --events ${length}${extra} --trace`;
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(" · ");
}

/** To people; the last line of standard output is kept for `--json`. */
function say(line: string): void {
  (values.json ? process.stderr : process.stdout).write(`${line}\n`);
}

function whole(text: string, option: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${option} takes a whole number above 0`);
  return number;
}
