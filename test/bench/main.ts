/**
 * `npm run bench -- NAME [--json] [--seconds N]`: runs one benchmark, prints a table and, with `--json`, its figures as the last line.
 * Rule: only results go to standard output; however a run ends - done, failed, a signal, its parent's death - nothing is left behind.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { findNatsServer } from "../../infra/nats-server.ts";
import { friendRequest } from "./friend-request.ts";
import { heartbeat } from "./heartbeat.ts";
import { heartbeats } from "./heartbeats.ts";
import { join } from "./join.ts";
import { kick } from "./kick.ts";
import { replication } from "./replication.ts";
import type { Benchmark, Report } from "./support/benchmark.ts";
import { Stage } from "./support/stage.ts";
import { renderTable } from "./support/table.ts";
import { visibleLag } from "./visible-lag.ts";

const BENCHMARKS: readonly Benchmark[] = [
  heartbeat,
  heartbeats,
  replication,
  visibleLag,
  join,
  kick,
  friendRequest,
];
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const USAGE = 2;

process.exitCode = await main(process.argv.slice(2));
// An open channel to whoever started this must not keep it alive.
process.exit();

async function main(args: readonly string[]): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") {
    process.stderr.write(`bench: ${parsed}\n\n${listing()}`);
    return USAGE;
  }
  const { benchmark, json, seconds, help } = parsed;
  if (help || benchmark === undefined) {
    process.stdout.write(help ? manual() : listing());
    return 0;
  }
  const ending = new AbortController();
  const exitCode = listenForTheEnd(ending);
  const stage = new Stage(ending.signal);
  try {
    const say = (line: string): void => void process.stderr.write(`${benchmark.name}: ${line}\n`);
    const aborted = new Promise<never>((_resolve, reject) => {
      ending.signal.addEventListener("abort", () => reject(new Error("ended by a signal")), { once: true });
    });
    const run = benchmark.run(stage, { seconds: seconds ?? benchmark.secondsDefault, say });
    print(benchmark, await Promise.race([run, aborted]), json);
    return 0;
  } catch (error) {
    process.stderr.write(`${benchmark.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ending.signal.aborted ? exitCode() : 1;
  } finally {
    await stage.clear();
  }
}

interface Parsed {
  readonly benchmark: Benchmark | undefined;
  readonly json: boolean;
  readonly seconds: number | undefined;
  readonly help: boolean;
}

/** The options, or what is wrong with them. */
function parse(args: readonly string[]): Parsed | string {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        seconds: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  const [name] = positionals;
  if (positionals.length > 1) return "one benchmark at a time";
  const benchmark = BENCHMARKS.find((one) => one.name === name);
  if (name !== undefined && benchmark === undefined) return `there is no benchmark ${name}`;
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1 && seconds <= 600)) {
    return "--seconds takes a whole number from 1 to 600";
  }
  return { benchmark, json: values.json, seconds, help: values.help };
}

/** Ends the run on a signal, and when the process that started it over a channel is gone. Returns the exit code for it. */
function listenForTheEnd(ending: AbortController): () => number {
  let code = 1;
  for (const [signal, exitCode] of Object.entries(SIGNAL_EXIT_CODES)) {
    process.on(signal, () => {
      code = exitCode;
      ending.abort();
    });
  }
  process.on("disconnect", () => ending.abort());
  process.channel?.unref();
  return () => code;
}

function print(benchmark: Benchmark, { rows, notes, figures }: Report, json: boolean): void {
  const [cpu] = cpus();
  const server = findNatsServer();
  const machine = {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    node: process.version,
    nats: server.ok ? server.server.version : "",
  };
  const host = `${machine.cores} × ${machine.cpu}, Node ${machine.node}, nats-server ${machine.nats}`;
  const lines = [`${benchmark.name}: ${benchmark.summary}`, "", ...renderTable(rows), "", ...notes, host];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ benchmark: benchmark.name, ...figures, machine })}\n`);
}

function listing(): string {
  const width = Math.max(...BENCHMARKS.map(({ name }) => name.length));
  const lines = BENCHMARKS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: npm run bench -- NAME [--json] [--seconds N]\n\n${lines.join("\n")}\n\n--help says more.\n`;
}

function manual(): string {
  const each = BENCHMARKS.map(({ name, summary, description, secondsDefault }) =>
    [`${name}: ${summary}`, ...description, `Rounds of ${secondsDefault} s unless --seconds says otherwise.`]
      .map((line, index) => (index === 0 ? line : `    ${line}`))
      .join("\n"),
  );
  return [
    "usage: npm run bench -- NAME [--json] [--seconds N]",
    "",
    "Each benchmark measures what is shipped - real processes, real nats-servers on free ports of 127.0.0.1 with stores in a",
    "temporary folder - beside a yardstick, in turns in the same run, and takes the median of the rounds. Machines differ and are",
    "noisy: trust the ratios. Answers are checked; a run that measured the wrong thing fails instead of printing a figure.",
    "",
    "  --json       as the last line of standard output, the figures as one line of JSON",
    "  --seconds N  length of each measured round, 1 to 600",
    "",
    ...each,
    "",
  ].join("\n");
}
