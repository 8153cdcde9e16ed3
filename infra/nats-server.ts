/**
 * Finds the nats-server binary, or has the system's package manager install it.
 * Rule: `NATS_SERVER_BIN` decides when it is set; then the path; a binary counts only once it has told its version.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { readInfraEnv, type InfraEnv } from "./env.ts";

export interface NatsServer {
  readonly path: string;
  /** E.g. `2.9.10`. */
  readonly version: string;
}

export type NatsServerFound =
  | { readonly ok: true; readonly server: NatsServer }
  | { readonly ok: false; readonly detail: string };

/** Oldest version the project is tested on. */
export const NATS_VERSION_MIN = "2.9.10";
/** Where packages put servers, outside the path of ordinary users. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

interface PackageManager {
  readonly program: string;
  /** Each is run in turn; all need root, except with brew. */
  readonly commands: readonly (readonly string[])[];
  readonly asRoot: boolean;
}

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  {
    program: "apt-get",
    commands: [
      ["apt-get", "update"],
      ["apt-get", "install", "-y", "--no-install-recommends", "nats-server"],
    ],
    asRoot: true,
  },
  { program: "brew", commands: [["brew", "install", "nats-server"]], asRoot: false },
  { program: "dnf", commands: [["dnf", "install", "-y", "nats-server"]], asRoot: true },
  { program: "apk", commands: [["apk", "add", "nats-server"]], asRoot: true },
  { program: "pacman", commands: [["pacman", "-S", "--noconfirm", "nats-server"]], asRoot: true },
];

export function findNatsServer(env: InfraEnv = readInfraEnv()): NatsServerFound {
  if (env.natsServerBin !== undefined) {
    const version = versionOf(env.natsServerBin);
    if (version === undefined)
      return { ok: false, detail: `NATS_SERVER_BIN=${env.natsServerBin} is not a nats-server that runs` };
    return usable({ path: env.natsServerBin, version });
  }
  const path = find("nats-server", env);
  if (path === undefined) return { ok: false, detail: "no nats-server on the path" };
  const version = versionOf(path);
  return version === undefined
    ? { ok: false, detail: `${path} does not tell its version` }
    : usable({ path, version });
}

/**
 * Installs nats-server by the package manager of this system, without asking questions. Progress goes to `say` and to stderr.
 * Where that is not possible the detail says what to type.
 */
export function installNatsServer(
  say: (line: string) => void,
  env: InfraEnv = readInfraEnv(),
): NatsServerFound {
  if (env.natsServerBin !== undefined)
    return { ok: false, detail: `NATS_SERVER_BIN=${env.natsServerBin} decides; correct it or unset it` };
  const manager = PACKAGE_MANAGERS.find(({ program }) => find(program, env) !== undefined);
  if (manager === undefined)
    return { ok: false, detail: "no package manager known here; install nats-server and put it on the path" };
  const byHand = manager.commands
    .map((command) => `${manager.asRoot ? "sudo " : ""}${command.join(" ")}`)
    .join(" && ");
  const prefix = rootPrefix(manager, env);
  if (prefix === undefined) return { ok: false, detail: `it needs root; type: ${byHand}` };
  for (const command of manager.commands) {
    const [program, ...args] = [...prefix, ...command];
    say([program, ...args].join(" "));
    const run = spawnSync(program ?? "", args, {
      stdio: ["ignore", 2, 2],
      // RUNLEVEL=1 keeps Debian's package from starting a server of its own on port 4222.
      env: { ...env.all, DEBIAN_FRONTEND: "noninteractive", HOMEBREW_NO_AUTO_UPDATE: "1", RUNLEVEL: "1" },
    });
    // A failed `update` leaves the lists there were, which may do.
    if (run.status !== 0 && command === manager.commands.at(-1))
      return { ok: false, detail: `"${command.join(" ")}" failed; to try by hand: ${byHand}` };
  }
  return findNatsServer(env);
}

/** -1, 0 or 1 as `a` is older than, as old as, or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

function usable(server: NatsServer): NatsServerFound {
  return compareVersions(server.version, NATS_VERSION_MIN) < 0
    ? { ok: false, detail: `${server.path} is ${server.version}; at least ${NATS_VERSION_MIN} is needed` }
    : { ok: true, server };
}

function versionOf(path: string): string | undefined {
  const run = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 5_000 });
  return /v?(\d+\.\d+\.\d+)/.exec(run.stdout ?? "")?.[1];
}

function find(program: string, env: InfraEnv): string | undefined {
  const folders = [...env.path.split(delimiter).filter((folder) => folder !== ""), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What goes before a command so that it runs as root: nothing, `sudo -n`, or `undefined` when root cannot be had. */
function rootPrefix(manager: PackageManager, env: InfraEnv): string[] | undefined {
  if (!manager.asRoot || process.getuid?.() === 0) return [];
  const sudo = find("sudo", env);
  if (sudo === undefined || spawnSync(sudo, ["-n", "true"], { stdio: "ignore" }).status !== 0)
    return undefined;
  return [sudo, "-n"];
}
