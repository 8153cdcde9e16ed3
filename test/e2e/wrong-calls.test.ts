/** Programs that are called wrongly end at once with what is wrong in one line, and with the exit code that says so. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const CHECK = ["services/cli/main.js", "check", "friends", "--from", "cn", "--to", "mars"];

test.each([
  [["services/presence/main.js"], { ROLLCALL_REGION: "CN" }, 1, "configuration: env/ROLLCALL_REGION "],
  [
    ["services/presence/main.js"],
    { ROLLCALL_REGION: "cn", ROLLCALL_KEYS: "boss:1" },
    1,
    "ROLLCALL_KEYS: key 1",
  ],
  [
    ["replicator/main.js"],
    { ROLLCALL_REGION: "cn", ROLLCALL_PEERS: "us" },
    1,
    'ROLLCALL_PEERS: "us" should be',
  ],
  [CHECK, { ROLLCALL_REGIONS: "cn=http://127.0.0.1:1" }, 2, "no address of mars; there are: cn"],
  [CHECK, { ROLLCALL_REGIONS: "cn=http://127.0.0.1:1,mars=http://127.0.0.1:1" }, 4, "cannot be reached"],
])("%j with %j", ([main = "", ...args], env, code, words) => {
  const ended = spawnSync(process.execPath, [`${DIST}${main}`, ...args], { env, encoding: "utf8" });
  expect([ended.status, ended.stdout]).toEqual([code, ""]);
  expect(ended.stderr).toContain(words);
  expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
});
