/**
 * The rows that there are: one file each in rows/, found by looking; and what the others of the fault table wait for.
 * Rule: every number of the table is either a row that runs or named as waiting, with the reason.
 */
import { readdirSync } from "node:fs";
import type { Row } from "./row.ts";

export interface Waiting {
  readonly row: number;
  readonly why: string;
}

const ROWS_LAST = 35;
const FILE = /^\d\d-[a-z0-9-]+\.js$/;

const WAITS_FOR: Readonly<Record<number, string>> = {
  26: "waits for WebSockets",
  29: "waits for watch",
  34: "waits for NATS accounts and TLS",
};

/** All rows, in the table's order. */
export async function loadRows(): Promise<Row[]> {
  const folder = new URL("rows/", import.meta.url);
  const files = readdirSync(folder).filter((name) => FILE.test(name));
  const rows = await Promise.all(
    files.map(async (file) => {
      const module: unknown = await import(new URL(file, folder).href);
      if (typeof module !== "object" || module === null || !("row" in module) || !isRow(module.row))
        throw new Error(`rows/${file} exports no row`);
      return module.row;
    }),
  );
  return rows.toSorted((a, b) => a.row - b.row);
}

/** What of the table does not run. */
export function waitingBeside(rows: readonly Row[]): Waiting[] {
  const present = new Set(rows.map(({ row }) => row));
  const numbers = Array.from({ length: ROWS_LAST }, (_, i) => i + 1);
  return numbers.flatMap((row) => {
    return present.has(row) ? [] : [{ row, why: WAITS_FOR[row] ?? "is not written yet" }];
  });
}

function isRow(value: unknown): value is Row {
  return (
    typeof value === "object" &&
    value !== null &&
    "row" in value &&
    typeof value.row === "number" &&
    "fault" in value &&
    typeof value.fault === "string" &&
    "quick" in value &&
    typeof value.quick === "boolean" &&
    "run" in value &&
    typeof value.run === "function"
  );
}
