/**
 * The demo: three regions on one machine, live traffic, addresses, and controls; with `--smoke` a scripted scenario, with `--story` one
 * that is told.
 * Rule: however it ends - a key, a signal, a failure, its parent's death - no process and no file is left.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { readInfraEnv } from "../env.ts";
import { findNatsServer } from "../nats-server.ts";
import { startControl, type Control } from "./control.ts";
import { startEmbeddedRegions } from "./embedded.ts";
import { Guard } from "./guard.ts";
import { HttpClient } from "./http.ts";
import { KEYS, introduction } from "./intro.ts";
import { listenToKeys } from "./keys.ts";
import { isScripted, parseOptions, type DemoOptions } from "./options.ts";
import type { StartRegions } from "./runtime.ts";
import { Screen } from "./screen.ts";
import { runSmoke } from "./smoke.ts";
import { startProcessRegions } from "./start-processes.ts";
import { opening, tell } from "./stories/run.ts";
import { REGIONS } from "./topology.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const HTTP = { timeoutMs: 10_000, socketsMax: 64 };
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

process.exitCode = await main(parseOptions(process.argv.slice(2)));
// An open terminal or channel must not keep a finished demo alive.
process.exit();

async function main(options: DemoOptions): Promise<number> {
  const ending = new AbortController();
  const exitCode = listenForTheEnd(ending);
  const http = new HttpClient(HTTP);
  const guard = new Guard();
  if (options.story !== undefined) process.stdout.write(opening(options.story, options.embedded));
  try {
    const world = await World.start(chooseRuntime(options, guard, http), http, ending.signal);
    try {
      await world.linksLive(ending.signal);
      const ok = await (isScripted(options) ? scripted : live)(world, options, ending.signal);
      return ending.signal.aborted ? exitCode(options) : ok ? 0 : 1;
    } finally {
      await world.stop();
    }
  } catch (error) {
    if (ending.signal.aborted) return exitCode(options);
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    http.close();
    await guard.close();
    if (options.addresses !== undefined) rmSync(options.addresses, { force: true });
  }
}

/** Ends the demo on a signal, and when the process that started it over a channel is gone. Returns the exit code for it. */
function listenForTheEnd(ending: AbortController): (options: DemoOptions) => number {
  let code = 1;
  for (const [signal, exitCode] of Object.entries(SIGNAL_EXIT_CODES)) {
    process.on(signal, () => {
      code = exitCode;
      ending.abort();
    });
  }
  process.on("disconnect", () => ending.abort());
  process.channel?.unref();
  // Ending the live demo is what signals are for; a smoke or a story that was ended has not passed.
  return (options) => (isScripted(options) ? code : 0);
}

function chooseRuntime(options: DemoOptions, guard: Guard, http: HttpClient): StartRegions {
  const settings = { logLevel: "info" };
  if (options.embedded) return (links, signal) => startEmbeddedRegions(links, signal, settings, guard.folder);
  const found = findNatsServer();
  if (!found.ok) throw new Error(`${found.detail}; --embedded runs without`);
  const natsServerPath = found.server.path;
  const env = withoutOwn(readInfraEnv().all);
  return (links, signal) =>
    startProcessRegions(links, signal, {
      natsServerPath,
      folder: guard.folder,
      env,
      settings,
      pids: guard,
      http,
    });
}

/** A ROLLCALL_ variable of the shell must not reach the demo's regions. */
function withoutOwn(env: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("ROLLCALL_")));
}

/** Whether all held. */
async function scripted(world: World, options: DemoOptions, signal: AbortSignal): Promise<boolean> {
  const control = await startControl(world);
  try {
    writeAddresses(world, control, options);
    if (options.story !== undefined)
      return await tell(options.story, world, control.url, process.stdout, options, signal);
    const report = await runSmoke(world, control.url, options, signal);
    if (!signal.aborted) process.stdout.write(`${JSON.stringify(report)}\n`);
    return report.ok;
  } finally {
    await control.close();
  }
}

/** Runs until `signal`. */
async function live(world: World, options: DemoOptions, signal: AbortSignal): Promise<boolean> {
  const quitting = new AbortController();
  const control = await startControl(world);
  const traffic = new Traffic(world.apis, options.traffic);
  const screen = new Screen(world, () => traffic.counts(), process.stdout, KEYS);
  process.stdout.write(introduction(world, control.url, options.embedded));
  writeAddresses(world, control, options);
  traffic.start();
  screen.start();
  const handlers = { say: (line: string) => screen.say(line), quit: () => quitting.abort() };
  const forgetKeys =
    process.stdin.isTTY && process.stdout.isTTY ? listenToKeys(process.stdin, world, handlers) : undefined;
  await aborted(AbortSignal.any([signal, quitting.signal]));
  forgetKeys?.();
  await screen.stop();
  process.stdout.write("ending\n");
  await traffic.stop();
  await control.close();
  return true;
}

function aborted(signal: AbortSignal): Promise<void> {
  // The interval keeps the process alive; listeners do not.
  return new Promise((resolve) => {
    const interval = setInterval(() => undefined, 60_000);
    const end = (): void => {
      clearInterval(interval);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** Whole or not at all: whoever waits for the file reads everything. */
function writeAddresses(world: World, control: Control, { addresses: file }: DemoOptions): void {
  if (file === undefined) return;
  const regions = Object.fromEntries(REGIONS.map((region) => [region, world.region(region).addresses]));
  writeFileSync(`${file}.part`, `${JSON.stringify({ regions, control: control.url })}\n`);
  renameSync(`${file}.part`, file);
}
