/** The commands of README.md, run as printed, in order, in one shell, against a running demo: each must succeed. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { Demo } from "./demo-process.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const CURL = fileURLToPath(new URL("curl.mjs", import.meta.url));
const ADDRESS_FILE = "/tmp/rollcall.json";
const demos: Demo[] = [];

afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.dispose()));
});

/** The blocks that use the API, and the one that reads the addresses. */
function examples(): string[] {
  const blocks = [...readFileSync(README, "utf8").matchAll(/^```sh\n(.*?)^```$/gms)].map(
    ([, block]) => block ?? "",
  );
  return blocks.filter((block) => /curl|node /.test(block));
}

function bash(script: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const shell = spawn("bash", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    shell.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    shell.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    shell.once("error", reject);
    shell.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

test("every example works as printed", async () => {
  const demo = new Demo(["--traffic", "0"]);
  demos.push(demo);
  await demo.addresses();
  const commands = examples();
  expect(commands.join("").match(/curl /g)?.length).toBeGreaterThan(15);
  const script = [
    `curl() { "${process.execPath}" "${CURL}" "$@" && echo; }`,
    "set -euo pipefail",
    ...commands,
  ].join("\n");
  const { code, stdout, stderr } = await bash(script.replaceAll(ADDRESS_FILE, demo.addressFile));
  expect({ code, stderr, last: code === 0 ? "" : stdout.slice(-500) }).toEqual({
    code: 0,
    stderr: "",
    last: "",
  });
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const answers = lines.map((line): Record<string, unknown> => JSON.parse(line));
  expect(answers.find(({ user, consistency }) => user === "bob" && consistency !== undefined)).toMatchObject({
    status: "online",
    consistency: { satisfied: true },
  });
  const [kicked] = answers.filter(({ reason }) => reason === "kicked");
  const grace = answers.findLast(({ user }) => user === "grace");
  expect(grace).toMatchObject({ sessions: [{ region: "us", session: kicked?.["by"] }] });
  const { presences } = answers.find((answer) => "presences" in answer) ?? {};
  expect(presences).toMatchObject([
    { user: "alice", status: "online" },
    { user: "bob", status: "offline" },
    {},
  ]);
  expect(stdout).toMatch(/^A request made in cn is seen in us\.$/m);
  expect(answers.find(({ user, home }) => user === "erin" && home !== undefined)).toMatchObject({
    home: "cn",
    region: "us",
  });
});
