/** A report as text for people: aligned columns, units, and whether each bar is met. */
import type { Row } from "./benchmark.ts";

const NUMBERS = new Map<number, Intl.NumberFormat>();

function numberText(value: number, digits = 0): string {
  const format =
    NUMBERS.get(digits) ??
    new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  NUMBERS.set(digits, format);
  return format.format(value);
}

function meets({ value, bar }: Row): boolean {
  if (bar === undefined) return true;
  return "atLeast" in bar ? value >= bar.atLeast : value <= bar.atMost;
}

function barText(row: Row): string {
  const { bar, digits } = row;
  if (bar === undefined) return "";
  const text =
    "atLeast" in bar ? `≥ ${numberText(bar.atLeast, digits)}` : `≤ ${numberText(bar.atMost, digits)}`;
  return `${text} ${meets(row) ? "ok" : "MISSED"}`;
}

/** The lines of the table, heading first. */
export function renderTable(rows: readonly Row[]): string[] {
  const cells = rows.map((row) => [
    row.what,
    numberText(row.value, row.digits),
    row.unit,
    barText(row),
    (row.rounds ?? []).map((value) => numberText(value, row.digits)).join("  "),
  ]);
  const all = [["", "median", "unit", "bar", "rounds"], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((line) => (line[column] ?? "").length)));
  return all.map((line) =>
    line
      .map((text, column) =>
        column === 1 ? text.padStart(widths[1] ?? 0) : text.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
