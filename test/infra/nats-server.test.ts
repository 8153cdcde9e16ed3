/** Finding nats-server: what is named decides, the path comes next, and only a binary that tells a recent version counts. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compareVersions, findNatsServer, installNatsServer } from "../../infra/nats-server.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rollcall-find-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function binary(name: string, version: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  chmodSync(path, 0o755);
  return path;
}

const env = (natsServerBin: string | undefined) => ({ natsServerBin, path: folder, all: {} });

test("the path is searched when nothing is named", () => {
  const path = binary("nats-server", "2.10.4");
  expect(findNatsServer(env(undefined))).toEqual({ ok: true, server: { path, version: "2.10.4" } });
});

test("what NATS_SERVER_BIN names is used, and nothing else when that does not run", () => {
  binary("nats-server", "2.10.4");
  const path = binary("other", "2.12.0");
  expect(findNatsServer(env(path))).toEqual({ ok: true, server: { path, version: "2.12.0" } });
  expect(findNatsServer(env(join(folder, "absent")))).toMatchObject({ ok: false });
});

test("nothing is installed in place of a server that is named", () => {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  expect(installNatsServer(say, env(join(folder, "absent")))).toMatchObject({ ok: false });
  expect(said).toEqual([]);
});

test("a server older than what is tested is refused with both versions", () => {
  const found = findNatsServer(env(binary("old", "2.8.4")));
  expect(found).toMatchObject({ ok: false, detail: expect.stringMatching(/2\.8\.4.*2\.9\.10/) });
});

test("versions compare by number, not by text", () => {
  expect(compareVersions("2.9.10", "2.9.9")).toBe(1);
  expect(compareVersions("2.9.10", "2.10.0")).toBe(-1);
  expect(compareVersions("2.12.1", "2.12.1")).toBe(0);
});
