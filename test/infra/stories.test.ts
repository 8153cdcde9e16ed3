/** How stories are told: what is written of a call is what is sent, what is shown is what matters, and what does not hold is said. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Type } from "typebox";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Story, type StoryParts } from "../../infra/demo/stories/story.ts";
import { WIDTH, answer, curl, inBrief, wrapped, type Call } from "../../infra/demo/stories/telling.ts";
import { Traffic } from "../../infra/demo/traffic.ts";
import { StubRegion } from "./http-stub.ts";

const CURL = fileURLToPath(new URL("../e2e/curl.mjs", import.meta.url));
const ESCAPE = "\u001B";
const OK = { status: 200, shape: Type.Object({ n: Type.Number() }) };

let requests: unknown[];
let says: { status: number; body: unknown };
let stub: StubRegion;
let written: string;
let parts: StoryParts;
let story: Story;

beforeEach(async () => {
  requests = [];
  says = { status: 200, body: { n: 1, noise: "much" } };
  stub = new StubRegion((method, path, body) => {
    requests.push({ method, path, body });
    return says;
  });
  const api = await stub.start();
  const apis = { cn: api, us: api, eu: api };
  written = "";
  parts = {
    apis,
    traffic: new Traffic(apis, 0),
    controlUrl: api.url,
    http: stub.http,
    write: (text) => (written += text),
    colours: false,
    signal: new AbortController().signal,
  };
  story = new Story(parts);
});

afterEach(() => stub.stop());

test("a call that is typed as it is written does what the story did", async () => {
  story.name("US", parts.apis.us.url);
  story.name("CONTROL", parts.controlUrl);
  story.name("TOKEN", "1.cn:aB_-3:20");
  const body = { user: "o'hara", message: 'a "quoted" $TOKEN', long: "x".repeat(90) };
  const calls: Call[] = [
    { method: "GET", at: "us", path: "/v1/users/bob/presence" },
    { method: "GET", at: "us", path: "/v1/users/bob/presence?token=$TOKEN&waitMs=20" },
    { method: "POST", at: "us", path: "/v1/sessions/$TOKEN/heartbeat" },
    { method: "PUT", at: "control", path: "/links/cn-us", body: { cut: true } },
    { method: "POST", at: "us", path: "/v1/friend-requests", body },
  ];
  for (const call of calls) await story.call(call, OK);
  const told = requests.splice(0);
  const commands = written
    .split("\n")
    .filter((line) => /^ {2}\$ |^ {6}-d /.test(line))
    .map((line) => line.replace(/^ {2}\$ /, ""));
  const shell = [`curl() { "${process.execPath}" "${CURL}" "$@"; }`, "set -eu", ...commands].join("\n");
  await promisify(execFile)("bash", ["-c", shell]);
  expect(told).toHaveLength(calls.length);
  // A colon needs no encoding; the story encodes it all the same.
  expect(requests).toEqual(JSON.parse(JSON.stringify(told).replaceAll("%3A", ":")));
});

test("only the members of the shape are shown, and values that have a name by it", async () => {
  story.name("ONE", "first");
  says = { status: 200, body: { n: 1, by: "first", noise: "much" } };
  const shape = Type.Object({ by: Type.String(), n: Type.Number() });
  const { value } = await story.call({ method: "GET", at: "cn", path: "/x" }, { status: 200, shape });
  expect(value).toEqual({ n: 1, by: "first" });
  expect(written).toMatch(/^ {2}200 after \d+ ms: n: 1, by: \$ONE$/m);
  expect(written).not.toContain("noise");
});

test("another status or another shape than the expected one ends the story, with what was answered", async () => {
  const call: Call = { method: "GET", at: "cn", path: "/x" };
  says = { status: 503, body: { title: "overloaded" } };
  await expect(story.call(call, OK)).rejects.toThrow(/GET \/x in cn .*200.*503 \{title: overloaded\}/);
  says = { status: 200, body: { n: "one" } };
  await expect(story.call(call, OK)).rejects.toThrow(/200 \{n: one\}/);
});

test("a claim that does not hold is said at once and at the end, and the story has failed", () => {
  story.claim(true, "water is wet");
  story.claim(false, "pigs fly");
  expect(written).toContain("  ✓ water is wet\n  ✗ DOES NOT HOLD: pigs fly\n");
  expect(story.end(["so it is"])).toBe(false);
  expect(written).toMatch(/In short\n {2}DID NOT HOLD: pigs fly\n {2}1 of 2 claims/);
});

test("a story that could not go on has failed, whatever held before", () => {
  story.claim(true, "water is wet");
  story.fail("no answer in time");
  expect(story.end([])).toBe(false);
  expect(written).toContain("THE STORY COULD NOT GO ON: no answer in time");
});

test("a story of which all held has not failed", () => {
  story.claim(true, "water is wet");
  expect(story.end(["so it is"])).toBe(true);
  expect(written).toContain("In short\n  - so it is\n  1 of 1 claims (✓) held");
});

test("a call is repeated until it is answered as expected, and progress is written when it changes", async () => {
  let n = 0;
  says = { status: 404, body: {} };
  const look = { method: "GET", at: "eu", path: "/x" } as const;
  const done = story.callUntil(look, OK, {
    isDone: (value) => value.n >= 3,
    progress: (value) => `at ${Math.min(2, value.n)}`,
  });
  const counting = setInterval(() => (says = { status: 200, body: { n: (n += 1) } }), 20);
  const { value } = await done;
  clearInterval(counting);
  expect(value.n).toBeGreaterThanOrEqual(3);
  expect(requests.length).toBeGreaterThan(3);
  expect(written.match(/ s: at [12]$/gm)?.map((line) => line.slice(-1))).toEqual(["1", "2"]);
  expect(written).toMatch(/ {2}200 after \d+ ms, at try \d+: n: /);
});

test("there are colours only where they were asked for", () => {
  story.scene("a scene", "text");
  story.claim(false, "pigs fly");
  expect(written).not.toContain(ESCAPE);
  new Story({ ...parts, colours: true }).scene("a scene", "text");
  expect(written).toContain(`${ESCAPE}[1m1. a scene`);
});

test("lines are as long as they may be and no longer, but for words that are longer", () => {
  const text = Array.from({ length: 60 }, (_, i) => "w".repeat(1 + (i % 9))).join(" ");
  const lines = wrapped(text, 2, 4);
  expect(lines.map((line) => line.trim()).join(" ")).toBe(text);
  expect(lines.every((line) => line.length <= WIDTH)).toBe(true);
  lines.slice(1).forEach((line, i) => {
    expect(`${lines[i]} ${line.trim().split(" ")[0]}`.length).toBeGreaterThan(WIDTH);
    expect(line).toMatch(/^ {6}w/);
  });
  expect(wrapped("x".repeat(200), 2)).toEqual([`  ${"x".repeat(200)}`]);
});

test("an answer is one line where that fits, else a line per member and per item", () => {
  const names = new Map<string, string>();
  expect(answer("204", undefined, names, 2)).toEqual(["  204"]);
  expect(answer("200", { a: 1, b: "two words", c: null, d: undefined }, names, 2)).toEqual([
    '  200: a: 1, b: "two words", c: null',
  ]);
  const item = { name: "i".repeat(60) };
  expect(answer("200", { few: [1, 2], many: [item, item] }, names, 0)).toEqual([
    "200:",
    "  few: [1, 2]",
    "  many:",
    `    - {name: ${item.name}}`,
    `    - {name: ${item.name}}`,
  ]);
  expect(inBrief({ list: [true, { x: "a.b:c" }], empty: "" }, names)).toBe(
    '{list: [true, {x: a.b:c}], empty: ""}',
  );
});

test("a name without a value is a fault of the story, before anything is sent", async () => {
  await expect(story.call({ method: "GET", at: "cn", path: "/v1/$NOBODY" }, OK)).rejects.toThrow("$NOBODY");
  expect(requests).toEqual([]);
  expect(curl({ method: "GET", at: "cn", path: "/v1/$NOBODY" }, 0)).toEqual(["curl -s $CN/v1/$NOBODY"]);
});
