/**
 * A core each for server and load generator. Rule: where the system can pin, both sides of a comparison are pinned alike; left to
 * the scheduler, a server may share its core with the generator for a whole run, and the ratio says nothing of either.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const SERVER_CORE = "0";
const GENERATOR_CORE = "1";

function canPin(): boolean {
  return (
    availableParallelism() > 1 && spawnSync("taskset", ["--version"], { stdio: "ignore" }).error === undefined
  );
}

let pinned = false;

/** Keeps this process, and what it starts from now on, on the servers' core. Returns whether it could. */
export function pinServers(): boolean {
  pinned = canPin() && pinSelf();
  return pinned;
}

function pinSelf(): boolean {
  return (
    spawnSync("taskset", ["-a", "-p", "-c", SERVER_CORE, String(process.pid)], { stdio: "ignore" }).status ===
    0
  );
}

/** The command that runs the generator on its own core, where the servers were pinned to theirs. */
export function onGeneratorCore(program: string, args: readonly string[]): [string, string[]] {
  return pinned ? ["taskset", ["-c", GENERATOR_CORE, program, ...args]] : [program, [...args]];
}
