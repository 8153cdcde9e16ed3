/** The version that operators see is the version of the package. */
import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { VERSION } from "../../replicator/runtime/version.ts";

test("VERSION is that of package.json", () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect(manifest).toMatchObject({ version: VERSION });
});
