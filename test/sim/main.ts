/**
 * `npm run sim -- --seeds N --events M [--seed S]`, and what `--help` lists: runs the simulation and says what it found. Rule: exit 0 only
 * when nothing was violated, every kind of fault fired often enough, and every planted bug was caught; with `--json` the last line of
 * standard output is the result.
 */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { deedsOf } from "./deeds.ts";
import { FAILED_SEEDS } from "./failed-seeds.ts";
import { hunt } from "./hunt.ts";
import { PLANTS, isNamed } from "./planted.ts";
import { runSeed } from "./run.ts";
import { DOINGS, FAULTS, INCIDENTS, USERS } from "./settings.ts";
import type { Scenario } from "./settings.ts";
import { argumentsOf, shrink } from "./shrink.ts";
import { addVerdict, noTotals, sweep, tooSeldom } from "./sweep.ts";
import type { Totals, Violation } from "./sweep.ts";

const FAILURES_SHOWN = 20;
/** The first failures are made small, each within this. */
const SHRUNK = 3;
const SHRINK_WITHIN_MS = 20_000;
const TRACE_SHOWN = 60;

interface Failure {
  readonly seed: number;
  readonly events: number;
  readonly violation: string;
  readonly rerun: string;
}

interface Options {
  readonly seeds?: number;
  readonly events: number;
  readonly seed?: number;
  readonly users: number;
  readonly threads: number;
  readonly json: boolean;
  readonly planted: boolean;
  readonly trace: boolean;
  readonly with: NonNullable<Scenario["also"]>;
  readonly without: NonNullable<Scenario["without"]>;
}

const USAGE = 2;
const values = parse(process.argv.slice(2));
const startedAtMs = performance.now();
const firstSeed = values.seed ?? 1 + (Date.now() % 1_000_000_000);
const seeds = values.seeds ?? (values.seed === undefined ? 100 : 1);
const scenario: Scenario = {
  seed: firstSeed,
  events: values.events,
  also: values.with,
  without: values.without,
  users: values.users,
};

if (values.trace) await traceOne();
else if (values.planted) await huntAll();
else await sweepAll();

async function sweepAll(): Promise<void> {
  const scenarios = Array.from({ length: seeds }, (_, index) => ({ ...scenario, seed: firstSeed + index }));
  const known = seeds > 1 ? FAILED_SEEDS : [];
  const totals = noTotals();
  const hashes: string[] = [];
  const many = `seeds ${firstSeed} to ${firstSeed + seeds - 1}`;
  say(`${seeds > 1 ? many : `seed ${firstSeed}`}, ${scenario.events} events of chaos each`);
  await sweep([...scenarios, ...known], values.threads, (verdict, run) => {
    addVerdict(totals, verdict, run);
    hashes.push(verdict.hash);
    if (verdict.violation !== undefined && totals.violations.length <= FAILURES_SHOWN)
      say(`VIOLATION  seed ${run.seed}: ${verdict.violation}`);
  });
  const seldom = seeds > 1 ? tooSeldom(totals, scenario.without) : [];
  const failures: Failure[] = [];
  for (const [index, violation] of totals.violations.entries())
    failures.push(await explained(violation, index < SHRUNK));
  const tookMs = Math.round(performance.now() - startedAtMs);
  summary(totals, seldom, tookMs);
  const [hash] = seeds === 1 ? hashes : [];
  if (hash !== undefined) say(`hash       ${hash}`);
  answer({
    seeds: totals.seeds,
    events: totals.events,
    violations: failures.length,
    faults: Object.fromEntries(totals.faults),
    firedTooSeldom: seldom,
    ...deedsOf(totals.counts),
    falseFresh: totals.counts.get("falseFresh") ?? 0,
    counts: Object.fromEntries(totals.counts),
    ...(hash === undefined ? {} : { hash }),
    eventsPerSecond: Math.round((totals.events / tookMs) * 1_000),
    tookMs,
    failures,
  });
  if (failures.length > 0 || seldom.length > 0) process.exitCode = 1;
}

/** Says all that is needed to look at a failure. */
async function explained(violation: Violation, small: boolean): Promise<Failure> {
  const { seed, events } = violation.scenario;
  if (!small) return { seed, events, violation: violation.violation, rerun: rerun(violation.scenario) };
  const shrunk = await shrink(violation.scenario, violation.violation, SHRINK_WITHIN_MS);
  const { trace, fired, virtualMs } = shrunk.verdict;
  const found = shrunk.verdict.violation ?? violation.violation;
  say(`\nFAILED     seed ${seed} at commit ${commit()}: ${violation.violation}`);
  say(`shrunk     to ${shrunk.scenario.events} events of chaos in ${shrunk.runs} runs: ${found}`);
  say(`left       ${list(fired) || "no fault"} · ${shrunk.scenario.users ?? USERS} users · ${virtualMs} ms`);
  for (const line of trace.slice(-TRACE_SHOWN)) say(`  ${line}`);
  say(`again      ${rerun(shrunk.scenario)}\n`);
  return { seed, events, violation: violation.violation, rerun: rerun(shrunk.scenario) };
}

function summary(totals: Totals, seldom: readonly string[], tookMs: number): void {
  const perSecond = Math.round((totals.events / tookMs) * 1_000);
  say(`faults     ${list(totals.faults)}`);
  say(`checked    ${list(totals.counts)}`);
  if (seldom.length > 0) say(`FAILED     too seldom: ${seldom.join(", ")}`);
  say(
    `${totals.seeds} seeds, ${totals.events} events (${perSecond}/s), ${Math.round(totals.virtualMs / 1_000)} s of virtual time, ` +
      `slowest to heal ${Math.round(totals.slowestHealMs)} ms, ${totals.violations.length} violations, ${(tookMs / 1_000).toFixed(1)} s`,
  );
}

/** The twelve that the design names count as the twelve; what else is planted must be caught too. */
async function huntAll(): Promise<void> {
  const bugs: { name: string; area: boolean; seed: number | null; violation: string }[] = [];
  for (const plant of PLANTS) {
    const { seed = null, violation } = await hunt(plant, firstSeed, seeds, scenario.events);
    bugs.push({ name: plant.name, area: plant.area === true, seed, violation });
    say(`${plant.name.padEnd(42)} ${seed === null ? "NOT CAUGHT" : `seed ${seed}: ${violation}`}`);
  }
  const count = (named: boolean, caught: boolean): number =>
    bugs.filter(({ name, seed }) => isNamed(name) === named && (!caught || seed !== null)).length;
  const [caught, of, extraCaught, extraOf] = [
    count(true, true),
    count(true, false),
    count(false, true),
    count(false, false),
  ];
  const ofArea = bugs.filter(({ area }) => area);
  const areaCaught = ofArea.filter(({ seed }) => seed !== null).length;
  const tookMs = Math.round(performance.now() - startedAtMs);
  say(
    `caught ${caught} of ${of}, and ${extraCaught} of ${extraOf} others; of homes, policies, evacuation, tokens and friends ${areaCaught} of ${ofArea.length}; ${(tookMs / 1_000).toFixed(1)} s`,
  );
  answer({ caught, of, extraCaught, extraOf, areaCaught, areaOf: ofArea.length, tookMs, bugs });
  if (caught < of || extraCaught < extraOf) process.exitCode = 1;
}

async function traceOne(): Promise<void> {
  const verdict = await runSeed({ ...scenario, trace: true });
  for (const line of verdict.trace) say(line);
  say(`hash ${verdict.hash}, ${verdict.events} events: ${verdict.violation ?? "no violation"}`);
  if (verdict.violation !== undefined) process.exitCode = 1;
}

function rerun(run: Scenario): string {
  return `npm run sim -- ${argumentsOf(run)}`;
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12"], {
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown (no git here)";
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(" · ");
}

/** To people; the last line of standard output is kept for `--json`. */
function say(line: string): void {
  (values.json ? process.stderr : process.stdout).write(`${line}\n`);
}

function answer(result: object): void {
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function parse(args: readonly string[]): Options {
  return new Command("npm run sim --")
    .description("The shipped node and replicator in a world of data, with faults drawn from each seed.")
    .option("--seeds <n>", "so many seeds, one after the other (100; 1 with --seed)", whole)
    .option("--events <n>", "of chaos, each", whole, 5_000)
    .option("--seed <n>", "the first seed; else one of the clock", whole)
    .option("--users <n>", "in each world", whole, USERS)
    .option("--threads <n>", "at once", whole, availableParallelism())
    .addOption(some("--with <faults>", "draw these too, of", INCIDENTS))
    .addOption(some("--without <faults>", "leave these out, of", [...FAULTS, ...DOINGS]))
    .option("--planted", "put known bugs in, one at a time, and see each caught", false)
    .option("--trace", "print all that happens in one seed", false)
    .option("--json", "the last line of stdout is one line of JSON", false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE))
    .parse([...args], { from: "user" })
    .opts<Options>();
}

/** Takes names with commas between; another name is a mistake. */
function some(flags: string, does: string, names: readonly string[]): Option {
  return new Option(flags, `${does} ${names.join(", ")}`).default([], "none").argParser((text: string) => {
    const asked = text.split(",").filter((name) => name !== "");
    const unknown = asked.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new InvalidArgumentError(`There is no ${unknown}.`);
    return names.filter((name) => asked.includes(name));
  });
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError("It is a whole number from 1.");
  return number;
}
