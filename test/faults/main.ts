/**
 * `npm run faults [-- --row N] [--quick] [--json] [--logs FOLDER]`: injects real faults into real processes, row by row of the fault
 * table, and asserts numbers.
 * Rule: a row that fails or throws is failed and the next one runs; exit 0 only when every row that ran kept every bound; however it
 * ends, no process and no file of its stages is left.
 */
import { Command, InvalidArgumentError } from "commander";
import { loadRows, waitingBeside } from "./catalogue.ts";
import { listOf, renderRow, summaryOf, type Result } from "./report.ts";
import { runRow } from "./run-row.ts";
import type { Row } from "./row.ts";

interface Options {
  readonly row: readonly number[];
  readonly quick: boolean;
  readonly json: boolean;
  readonly list: boolean;
  readonly logs?: string;
}

const USAGE = 2;
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

process.exitCode = await main(parse(process.argv.slice(2)));
// An open channel to whoever started this must not keep it alive.
process.exit();

async function main(options: Options): Promise<number> {
  const ending = new AbortController();
  const exitCode = listenForTheEnd(ending);
  const all = await loadRows();
  const waiting = options.row.length > 0 ? [] : waitingBeside(all);
  if (options.list) {
    process.stdout.write(listOf(all, waiting));
    return 0;
  }
  const rows = chosen(all, options);
  if (typeof rows === "string") {
    process.stderr.write(`faults: ${rows}\n`);
    return USAGE;
  }
  const startedMs = performance.now();
  const results: Result[] = [];
  for (const row of rows) {
    const { quick, logs } = options;
    const result = await runRow(row, { quick, signal: ending.signal, ...(logs !== undefined && { logs }) });
    if (ending.signal.aborted) return exitCode();
    results.push(result);
    process.stdout.write(renderRow(result));
  }
  const summary = summaryOf(results, waiting, performance.now() - startedMs);
  process.stdout.write(summary.text);
  if (options.json) process.stdout.write(`${JSON.stringify(summary.figures)}\n`);
  return results.every(({ ok }) => ok) ? 0 : 1;
}

/** `--row` decides, else `--quick` takes the quick ones. */
function chosen(all: readonly Row[], { row: numbers, quick }: Options): Row[] | string {
  const unknown = numbers.filter((number) => !all.some(({ row }) => row === number));
  if (unknown.length > 0) return `there is no row ${unknown.join(", ")}; --list shows what there is`;
  if (numbers.length > 0) return all.filter(({ row }) => numbers.includes(row));
  return all.filter((row) => !quick || row.quick);
}

function parse(args: readonly string[]): Options {
  return new Command("npm run faults --")
    .description("Real faults against real processes on loopback, by the fault table of the design.")
    .option("--row <n>", "only this row; may be repeated or be a list: 1,2,5", rowNumbers, [])
    .option("--quick", "the short rows, in their short form", false)
    .option("--json", "the last line of stdout is one line of JSON", false)
    .option("--list", "say which rows there are, and which wait for what", false)
    .option("--logs <folder>", "keep the output of the processes of failed rows in this folder")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE))
    .parse([...args], { from: "user" })
    .opts<Options>();
}

function rowNumbers(text: string, before: readonly number[]): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.some((number) => !Number.isInteger(number) || number < 1))
    throw new InvalidArgumentError("It is a whole number from 1, or some with commas.");
  return [...before, ...numbers];
}

/** Ends the run on a signal, and when the process that started it over a channel is gone. Returns the exit code for it. */
function listenForTheEnd(ending: AbortController): () => number {
  let code = 1;
  for (const [signal, exitCode] of Object.entries(SIGNAL_EXIT_CODES)) {
    process.on(signal, () => {
      code = exitCode;
      ending.abort(new Error(`ended by ${signal}`));
    });
  }
  process.on("disconnect", () => ending.abort(new Error("whoever started this is gone")));
  process.channel?.unref();
  return () => code;
}
