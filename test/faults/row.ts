/**
 * What a row of the fault table is: a fault, what was measured under it, and the bounds it must keep (design: proving.md, ring 3).
 * Rule: a row asserts numbers. It returns figures and judges each by a bound that is printed beside it.
 */
import type { Stage, StageOptions } from "./stage.ts";

/** Figures that the summary adds up over all rows. */
export const SUMMED = {
  acknowledgedLost: "acked lost",
  appliedTwice: "applied twice",
  falseOffline: "false offline",
  lowerEpochsApplied: "lower epochs applied",
} as const;

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** The bound, for people: "= 0", "<= 5000". */
  readonly must: string;
  readonly ok: boolean;
}

export interface RowContext {
  /** True when the row must be short (`--quick`). */
  readonly quick: boolean;
  /** A line for people, on stderr: what happens now. */
  readonly say: (line: string) => void;
  /** A new stage. The harness stops it after the row, also when the row fails. */
  readonly stage: (options?: StageOptions) => Promise<Stage>;
}

export interface Row {
  /** Its number in the fault table. */
  readonly row: number;
  readonly fault: string;
  /** Part of `--quick`. */
  readonly quick: boolean;
  run(context: RowContext): Promise<readonly Figure[]>;
}

export function atMost(name: string, value: number, bound: number): Figure {
  return { name, value, must: `<= ${bound}`, ok: value <= bound };
}

export function atLeast(name: string, value: number, bound: number): Figure {
  return { name, value, must: `>= ${bound}`, ok: value >= bound };
}

export function exactly(name: string, value: number, expected: number): Figure {
  return { name, value, must: `= ${expected}`, ok: value === expected };
}
