/**
 * Runs one row. Rule: whatever happens to it, its stages are stopped before the next row begins, and a row that throws or asserts
 * nothing is failed.
 */
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Result } from "./report.ts";
import type { Figure, Row, RowContext } from "./row.ts";
import { Stage } from "./stage.ts";

export interface RunOptions {
  readonly quick: boolean;
  readonly signal: AbortSignal;
  /** Where to keep the output of the processes of a row that failed. */
  readonly logs?: string;
}

export async function runRow(row: Row, { quick, signal, logs }: RunOptions): Promise<Result> {
  const stages: Stage[] = [];
  const startedMs = performance.now();
  const context: RowContext = {
    quick,
    say: (line) => void process.stderr.write(`row ${row.row}: ${line}\n`),
    stage: async (options = {}) => {
      const stage = await Stage.start(options, signal);
      stages.push(stage);
      return stage;
    },
  };
  context.say(row.fault);
  let figures: readonly Figure[] = [];
  let error: string | undefined;
  try {
    figures = await untilAborted(row.run(context), signal);
    if (figures.length === 0) error = "the row asserted nothing";
  } catch (thrown) {
    error = messageOf(thrown);
  }
  const ok = error === undefined && figures.every((figure) => figure.ok);
  for (const [i, stage] of [...stages.entries()].toReversed()) {
    if (!ok && logs !== undefined) keepLogs(stage, join(logs, `row-${row.row}`, `stage-${i + 1}`));
    await stage.stop().catch((thrown: unknown) => {
      error = `${error ?? ""} the stage could not be stopped: ${messageOf(thrown)}`.trim();
    });
  }
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const { row: number, fault } = row;
  return {
    row: number,
    fault,
    ok: ok && error === undefined,
    figures,
    seconds,
    ...(error !== undefined && { error }),
  };
}

/** A row in a wait that knows nothing of the signal must not hold up the end; what fails beside the row's own wait fails the row. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const failing = new AbortController();
  const ending = AbortSignal.any([signal, failing.signal]);
  const ended = new Promise<never>((_resolve, reject) => {
    ending.addEventListener("abort", () => reject(ending.reason), { once: true });
  });
  const onStray = (reason: unknown): void => failing.abort(reason);
  process.on("unhandledRejection", onStray);
  try {
    return await Promise.race([work, ended]);
  } finally {
    process.off("unhandledRejection", onStray);
  }
}

function keepLogs({ folder }: Stage, into: string): void {
  mkdirSync(into, { recursive: true });
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".log")))
    cpSync(join(folder, file), join(into, file));
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
