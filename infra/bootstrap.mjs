/**
 * From a fresh clone to a running tool: `node infra/bootstrap.mjs demo|test|coverage|bench|sim|faults [args]`.
 * Checks Node, installs packages, builds, finds or installs nats-server, then runs the tool in its place: same exit code, same signals.
 * Rule: plain JavaScript without packages; everything it says goes to stderr, so that stdout is the tool's alone.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NODE_MIN = [20, 19];
const TOOLS = {
  demo: (args) => runTool("dist/infra/demo/main.js", args),
  bench: (args) => runTool("dist/test/bench/main.js", args),
  sim: (args) => runTool("dist/test/sim/main.js", args),
  faults: (args) => runTool("dist/test/faults/main.js", args),
  test: (args) => runTests(args),
  coverage: (args) => vitest(...COVERAGE, ...args),
};
const COVERAGE = ["--project=core", "--coverage.enabled"];
/** All that must hold, in this order. Of those that are no tests of vitest's, each counts as one. */
const CHECK = { name: "types, lint and format", run: () => run(...npm("run", "check"), "inherit") };
const STEPS = [
  CHECK,
  tests("tests of the core, and its branches covered", ...COVERAGE, "--coverage.reporter=text-summary"),
  tests("all other tests", "--project=unit", "--project=e2e"),
  { name: "simulation", run: () => TOOLS.sim(["--seed", "1", "--seeds", "175", "--events", "5000"]) },
  { name: "real faults", run: () => TOOLS.faults(["--quick"]) },
];
/** What goes into dist/, and the files that decide how. */
const SOURCES = ["replicator", "services", "infra", "test/bench", "test/sim", "test/faults"];
const BUILD_CONFIG = ["tsconfig.json", "tsconfig.build.json", "package-lock.json"];
const BUILT = join(ROOT, "dist", ".built");
/** How often to look whether whoever started this is still there. */
const PARENT_POLL_MS = 500;
/** A second Ctrl-C within this time is the same one, passed on by npm. */
const SAME_SIGNAL_MS = 1_000;

const say = (line) => process.stderr.write(`rollcall: ${line}\n`);
let child;
let endedBy;

await main(process.argv[2], process.argv.slice(3));

async function main(name, args) {
  const tool = TOOLS[name ?? ""];
  if (tool === undefined) {
    say(`usage: node infra/bootstrap.mjs ${Object.keys(TOOLS).join("|")} [args]`);
    process.exit(2);
  }
  passSignalsOn();
  endWithParent();
  checkNode();
  await installPackages();
  await build();
  const server = ["sim", "coverage"].includes(name) ? undefined : await natsServer();
  if (server === undefined && name === "demo" && !args.includes("--embedded")) {
    say("no nats-server to be had: the demo runs embedded, all regions in one process on in-memory logs");
    args.push("--embedded");
  }
  if (server !== undefined) process.env.NATS_SERVER_BIN = server.path;
  process.exit(await tool(args));
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  say(`Node ${NODE_MIN.join(".")} or newer is needed; this is ${process.versions.node}`);
  process.exit(1);
}

/** `npm install` with the committed lock; `npm ci` of npm 11 fails on trees with optional platform packages. */
async function installPackages() {
  const lock = modified(join(ROOT, "package-lock.json"));
  const installed = join(ROOT, "node_modules", ".package-lock.json");
  if (existsSync(installed) && modified(installed) >= lock) return;
  say("installing packages: npm install");
  await mustRun(...npm("install", "--no-audit", "--no-fund"));
}

async function build() {
  if (existsSync(BUILT) && newestSource() < modified(BUILT)) return;
  say("building: tsc -p tsconfig.build.json");
  await mustRun(process.execPath, [binary("typescript", "tsc"), "-p", "tsconfig.build.json"]);
  writeFileSync(BUILT, "");
}

/** The nats-server to use, installed if need be, or `undefined` after having said why and what to do. */
async function natsServer() {
  const module = await import(pathToFileURL(join(ROOT, "dist/infra/nats-server.js")).href);
  let found = module.findNatsServer();
  if (!found.ok) {
    say(found.detail);
    found = module.installNatsServer(say);
  }
  if (found.ok) return found.server;
  say(`nats-server is missing: ${found.detail}`);
  return undefined;
}

function runTool(path, args) {
  return run(process.execPath, [join(ROOT, path), ...args], "inherit", "ipc");
}

function vitest(...args) {
  return run(process.execPath, [binary("vitest"), "run", ...args], "inherit");
}

/** A step that leaves vitest's report. */
function tests(name, ...args) {
  const reporters = ["--reporter=default", "--reporter=json"];
  return {
    name,
    run: (report) => vitest(...args, ...reporters, `--outputFile.json=${report}`),
    counted: true,
  };
}

/** Every step, or with arguments the check and these tests. Ends with `N passed, N failed`; a signal ends it before the next step. */
async function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-test-"));
  const failures = [];
  const sum = { passed: 0, failed: 0, skipped: 0 };
  let exitCode = 0;
  try {
    for (const [index, step] of (args.length === 0 ? STEPS : [CHECK, tests("tests", ...args)]).entries()) {
      say(step.name);
      const report = join(folder, `${index}.json`);
      const code = await step.run(report);
      if (endedBy !== undefined) return 128 + constants.signals[endedBy];
      if (code !== 0) failures.push(`${step.name} failed: see above`);
      exitCode ||= code;
      const counts = step.counted ? countsOf(report, code) : countsOfOne(code);
      for (const what of Object.keys(sum)) sum[what] += counts[what];
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { passed, failed, skipped } = sum;
  for (const line of failures) console.log(line);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return exitCode;
}

function countsOfOne(code) {
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** A file that fails outside its tests, or a run that fails outside every file or leaves no report, counts as a failure. */
function countsOf(report, code) {
  if (!existsSync(report)) return countsOfOne(code || 1);
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const brokenFiles = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  const failed = numFailedTests + brokenFiles.length;
  return {
    passed: numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
}

/** Runs a step whose output is not the tool's; ends here when it fails. */
async function mustRun(command, args) {
  const code = await run(command, args, 2);
  if (code === 0) return;
  say(`${[command, ...args].join(" ")} failed`);
  process.exit(code);
}

/** Resolves with the exit code, 128 + number after a signal. With a `channel` the tool notices when this process is gone. */
function run(command, args, stdout, channel = "ignore") {
  return new Promise((resolve) => {
    const stdin = stdout === "inherit" ? "inherit" : "ignore";
    child = spawn(command, args, { cwd: ROOT, stdio: [stdin, stdout, 2, channel] });
    child.once("error", (error) => {
      say(`${command}: ${error.message}`);
      resolve(127);
    });
    child.once("exit", (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/**
 * The tool gets each signal once and decides when to end. A terminal sends Ctrl-C to every process of the foreground, so there it is
 * not passed on, unless it comes again.
 */
function passSignalsOn() {
  const seen = new Map();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      endedBy ??= signal;
      const first = seen.get(signal);
      const now = Date.now();
      if (first === undefined) seen.set(signal, now);
      const fromTerminal = signal === "SIGINT" && (process.stdin.isTTY || process.stderr.isTTY);
      if (first === undefined ? fromTerminal : now - first < SAME_SIGNAL_MS) return;
      if (child === undefined || child.exitCode !== null) process.exit(128 + constants.signals[signal]);
      child.kill(signal);
    });
  }
}

/** npm that gets SIGTERM dies without passing it on: being given another parent is the signal then. */
function endWithParent() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, PARENT_POLL_MS);
  timer.unref();
}

function npm(...args) {
  const script = process.env.npm_execpath;
  return script?.endsWith(".js") ? [process.execPath, [script, ...args]] : ["npm", args];
}

/** The script behind an installed package's command. */
function binary(name, command = name) {
  const folder = join(ROOT, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof bin === "string" ? bin : bin[command]);
}

function newestSource() {
  const files = SOURCES.flatMap((folder) => filesIn(join(ROOT, folder)));
  return Math.max(...[...files, ...BUILD_CONFIG.map((file) => join(ROOT, file))].map(modified));
}

function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
