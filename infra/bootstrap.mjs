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
  coverage: (args) => run(process.execPath, [binary("vitest"), ...COVERAGE, ...args], "inherit"),
};
/** What must hold beside the tests, when all are run: each counts as one. */
const PROOFS = [
  { name: "branches of the core covered", tool: "coverage", args: ["--coverage.reporter=text-summary"] },
  { name: "simulation", tool: "sim", args: ["--seed", "1", "--seeds", "250", "--events", "5000"] },
  { name: "real faults", tool: "faults", args: ["--quick"] },
];
const COVERAGE = ["run", "--project=unit", "test/core", "--coverage.enabled"];
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

/** Types, lint and format, then every test; without arguments the proofs as well. Ends with a line counted from vitest's own report. */
async function runTests(args) {
  const check = await run(...npm("run", "check"), "inherit");
  const folder = mkdtempSync(join(tmpdir(), "rollcall-test-"));
  try {
    const report = join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const tests = await run(process.execPath, [binary("vitest"), "run", ...reporters, ...args], "inherit");
    const proofs = args.length === 0 ? await runProofs() : [];
    if (check !== 0) console.log("npm run check failed: see above");
    console.log(summary(report, tests, proofs));
    return [check, tests, ...proofs.map(({ code }) => code)].find((code) => code !== 0) ?? 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runProofs() {
  const proofs = [];
  for (const { name, tool, args } of PROOFS) {
    say(`${name}: npm run ${tool} -- ${args.join(" ")}`);
    const code = await TOOLS[tool](args);
    if (code !== 0) console.log(`${name} failed: see above`);
    proofs.push({ name, code });
  }
  return proofs;
}

/** `N passed, N failed`. A file that fails outside its tests, or a run that fails outside every file, counts as a failure. */
function summary(report, exitCode, proofs) {
  if (!existsSync(report)) return `0 passed, 1 failed (vitest ended with ${exitCode} and left no report)`;
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const brokenFiles = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  let failed = numFailedTests + brokenFiles.length;
  if (failed === 0 && exitCode !== 0) failed = 1;
  const held = proofs.filter(({ code }) => code === 0).length;
  failed += proofs.length - held;
  const skipped = numPendingTests + numTodoTests;
  return `${numPassedTests + held} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
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
