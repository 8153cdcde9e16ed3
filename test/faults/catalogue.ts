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

const ROWS_LAST = 34;
const FILE = /^\d\d-[a-z0-9-]+\.js$/;

const WAITS_FOR: Readonly<Record<number, string>> = {
  19: "waits for planned home migration",
  20: "waits for planned home migration",
  26: "waits for WebSockets",
  29: "waits for watch",
  34: "waits for NATS accounts and TLS",
};
/** Rows that run, but do not assert all that the table says. */
const PARTLY: Readonly<Record<number, string>> = {
  8: "friend requests wait for the friends service; what is measured are logins",
  16: "friend requests wait for the friends service; what is counted are logins with ack=peer",
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

/** What of the table does not run, or not all of it. */
export function waitingBeside(rows: readonly Row[]): Waiting[] {
  const present = new Set(rows.map(({ row }) => row));
  const numbers = Array.from({ length: ROWS_LAST }, (_, i) => i + 1);
  return numbers.flatMap((row) => {
    const why = present.has(row) ? PARTLY[row] : (WAITS_FOR[row] ?? "is not written yet");
    return why === undefined ? [] : [{ row, why }];
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
