/**
 * What a benchmark is: a name, its bars, and a run that measures the shipped code beside a yardstick.
 * Rule: yardstick and subject take turns in one run on one machine, so that what a noisy machine does, it does to both; only the
 * ratio travels to other machines.
 */
import type { Stage } from "./stage.ts";

export interface RunOptions {
  /** Length of each measured round of the subject; the yardstick's rounds are as long unless the benchmark says otherwise. */
  readonly seconds: number;
  /** Tells people what is going on; goes to standard error. */
  readonly say: (line: string) => void;
}

export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Digits after the point. Default 0. */
  readonly digits?: number;
  /** The value must be at least, or at most, this. */
  readonly bar?: { readonly atLeast: number } | { readonly atMost: number };
  /** Values of the single rounds, in their order. */
  readonly rounds?: readonly number[];
}

export interface Report {
  readonly rows: readonly Row[];
  /** Said below the table. */
  readonly notes: readonly string[];
  /** The machine-readable figures, printed as they are. */
  readonly figures: Readonly<Record<string, unknown>>;
}

export interface Benchmark {
  readonly name: string;
  /** One line for the list. */
  readonly summary: string;
  /** What is measured and against what; a few lines for `--help`. */
  readonly description: readonly string[];
  readonly secondsDefault: number;
  /** Throws when what was measured is not what should have been: errors, lost changes, wrong answers. */
  readonly run: (stage: Stage, options: RunOptions) => Promise<Report>;
}

/** Throws with `what` unless `condition` holds: a figure that rests on wrong answers is no figure. */
export function mustHold(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`measured the wrong thing: ${what}`);
}
