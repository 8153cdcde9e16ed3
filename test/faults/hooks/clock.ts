/**
 * Gives a node process another clock, from outside: `node --import …/hooks/clock.js`. The wall clock is FAULTS_CLOCK_OFFSET_MS ahead, both
 * clocks run FAULTS_CLOCK_DRIFT_PPM too fast, and each SIGWINCH sets the wall clock FAULTS_CLOCK_STEP_MS ahead at once.
 * Rule: only what reads the time is replaced; timers wait as long as ever.
 */
import { performance } from "node:perf_hooks";

const offset = { ms: numberOf("FAULTS_CLOCK_OFFSET_MS") };
const rate = 1 + numberOf("FAULTS_CLOCK_DRIFT_PPM") / 1_000_000;
const stepMs = numberOf("FAULTS_CLOCK_STEP_MS");
const wall = Date.now.bind(Date);
const mono = performance.now.bind(performance);
const begin = { wallMs: wall(), monoMs: mono() };

const wallNow = (): number => Math.floor(begin.wallMs + (wall() - begin.wallMs) * rate + offset.ms);

Object.defineProperty(performance, "now", {
  value: () => begin.monoMs + (mono() - begin.monoMs) * rate,
});
globalThis.Date = new Proxy(Date, {
  construct: (target, args: unknown[], created) =>
    Reflect.construct(target, args.length === 0 ? [wallNow()] : args, created),
  get: (target, key) => (key === "now" ? wallNow : Reflect.get(target, key)),
});
process.on("SIGWINCH", () => {
  offset.ms += stepMs;
});

function numberOf(name: string): number {
  const value = Number(process.env[name] ?? 0);
  if (!Number.isFinite(value)) throw new Error(`${name} must be a number`);
  return value;
}
