/** What a run says: a table for people, and the same as figures. Rule: a number never stands without its bound. */
import { SUMMED, type Figure, type Row } from "./row.ts";
import type { Waiting } from "./catalogue.ts";

export interface Result {
  readonly row: number;
  readonly fault: string;
  readonly ok: boolean;
  readonly figures: readonly Figure[];
  readonly seconds: number;
  /** Why it could not be judged. */
  readonly error?: string;
}

const NAME_WIDTH = 44;
const VALUE_WIDTH = 12;
const MUST_WIDTH = 12;

export function renderRow({ row, fault, ok, figures, seconds, error }: Result): string {
  const lines = [`${String(row).padStart(2)}  ${fault}: ${ok ? "ok" : "FAILED"} (${seconds} s)`];
  for (const { name, value, must, ok: kept } of figures) {
    const cells = [
      name.padEnd(NAME_WIDTH),
      String(value).padStart(VALUE_WIDTH),
      `  ${must.padEnd(MUST_WIDTH)}`,
    ];
    lines.push(`      ${cells.join("")}${kept ? "" : " FAILED"}`.trimEnd());
  }
  if (error !== undefined) lines.push(`      ${error}`);
  return `${lines.join("\n")}\n`;
}

export function summaryOf(
  results: readonly Result[],
  waiting: readonly Waiting[],
  tookMs: number,
): { text: string; figures: Readonly<Record<string, unknown>> } {
  const passed = results.filter(({ ok }) => ok).length;
  const failed = results.length - passed;
  const sums = Object.entries(SUMMED).map(([key, name]) => ({ key, name, sum: sumOf(results, name) }));
  const rows = results.map(({ row, fault, ok, figures, seconds, error }) => ({
    row,
    fault,
    ok,
    figures: Object.fromEntries(figures.map(({ name, value }) => [name, value])),
    seconds,
    ...(error !== undefined && { error }),
  }));
  const lines = [
    "",
    ...waiting.map(({ row, why }) => `${String(row).padStart(2)}  ${why}`),
    ...sums.map(({ name, sum }) => `${name}: ${sum}`),
    `${passed} passed, ${failed} failed, ${waiting.length} waiting, ${Math.round(tookMs / 1_000)} s`,
  ];
  return {
    text: `${lines.join("\n")}\n`,
    figures: {
      passed,
      failed,
      waiting: waiting.map(({ row }) => row),
      rows,
      ...Object.fromEntries(sums.map(({ key, sum }) => [key, sum])),
      tookMs: Math.round(tookMs),
    },
  };
}

export function listOf(rows: readonly Row[], waiting: readonly Waiting[]): string {
  const there = rows.map(({ row, fault, quick }) => [row, `${fault}${quick ? " (quick)" : ""}`] as const);
  const lines = [...there, ...waiting.map(({ row, why }) => [row, why] as const)]
    .toSorted(([a], [b]) => a - b)
    .map(([row, text]) => `${String(row).padStart(2)}  ${text}`);
  return `${lines.join("\n")}\n`;
}

function sumOf(results: readonly Result[], name: string): number {
  return results
    .flatMap(({ figures }) => figures)
    .filter((figure) => figure.name === name)
    .reduce((sum, { value }) => sum + value, 0);
}
