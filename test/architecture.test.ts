/**
 * The arrows between the layers, and the purity of core, read from the imports and the text of every source file. Rule:
 * `services → replicator/{main,replicator,env} → runtime → log → wire → core`; each layer imports itself and those to its right.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** From the top to the ground. */
const LAYERS = [
  "services",
  "replicator",
  "replicator/runtime",
  "replicator/log",
  "replicator/wire",
  "replicator/core",
] as const;
type Layer = (typeof LAYERS)[number];
const TOP = [
  "replicator/head-desk.ts",
  "replicator/main.ts",
  "replicator/read-desk.ts",
  "replicator/replicator.ts",
  "replicator/lacked-snapshots.ts",
  "replicator/snapshot-fetch.ts",
  "replicator/tail.ts",
  "replicator/tail-prover.ts",
  "replicator/env.ts",
];

/** What a layer may import besides layers. Everything, where nothing is said. */
const PACKAGES: Partial<Record<Layer, readonly string[]>> = {
  "replicator/core": [],
  "replicator/wire": ["node:zlib", "node:buffer"],
};

const IMPURE: readonly [RegExp, string][] = [
  [/\bDate\b/, "Date"],
  [/\bperformance\b/, "performance"],
  [/\bMath\s*\.\s*random\b|\bMath\s*\[/, "Math.random"],
  [/\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/, "a timer"],
  [/\bprocess\b(?!\s*:|\.of|["'])/, "process"],
  [/\bcrypto\b/, "crypto"],
  [/\bglobalThis\b|\bglobal\b/, "globalThis"],
  [/\brequire\s*\(|\bimport\s*\(/, "a dynamic import"],
  [/\b(?:fetch|WebSocket|structuredClone|Intl|WeakRef|FinalizationRegistry)\b/, "an ambient"],
];

function layerOf(file: string): Layer | undefined {
  if (TOP.includes(file)) return "replicator";
  const folder = LAYERS.toReversed().find((one) => one !== "replicator" && file.startsWith(`${one}/`));
  return folder;
}

/** Without comments and without the insides of strings and templates, so that words in them mean nothing. */
function codeOf(source: string): string {
  return source
    .replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|[\s;,{(])\/\/[^\n]*/g, "")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""')
    .replaceAll(/`(?:[^`\\$]|\\.|\$(?!\{))*`/g, '""');
}

function importsOf(source: string): string[] {
  const bare = source.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const statements = bare.matchAll(/(?:^|[\s;])(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/g);
  const dynamic = bare.matchAll(/\b(?:import|require)\s*\(\s*["'`]([^"'`]+)["'`]/g);
  return [...statements, ...dynamic].flatMap(([, specifier]) => (specifier === undefined ? [] : [specifier]));
}

/** Everything that is wrong with one file, in words. */
function faults(file: string, source: string): string[] {
  const layer = layerOf(file);
  if (layer === undefined) return [`${file} is in no layer`];
  const found: string[] = [];
  for (const specifier of importsOf(source)) {
    if (specifier.startsWith(".")) {
      const target = posix.join(dirname(file), specifier);
      const below = layerOf(target);
      if (below === undefined) found.push(`${file} imports ${target}, which is in no layer`);
      else if (LAYERS.indexOf(below) < LAYERS.indexOf(layer))
        found.push(`${file} imports ${target}: upwards`);
      continue;
    }
    const allowed = PACKAGES[layer];
    if (allowed !== undefined && !allowed.includes(specifier)) found.push(`${file} imports ${specifier}`);
    const nats = specifier === "nats" || specifier.startsWith("nats/") || specifier.startsWith("@nats-io/");
    if (nats && layer !== "replicator/log")
      found.push(`${file} imports ${specifier}: only replicator/log may`);
  }
  const code = codeOf(source);
  if (/\bprocess\s*(?:\.\s*env\b|\[)/.test(code) && !file.endsWith("/env.ts"))
    found.push(`${file} reads process.env`);
  if (layer === "replicator/core") {
    for (const [pattern, what] of IMPURE) if (pattern.test(code)) found.push(`${file} uses ${what}`);
  }
  return found;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
    .toSorted();
}

describe("the sources", () => {
  const files = [...sources("replicator"), ...sources("services")];

  it("are all found", () => {
    expect(files.length).toBeGreaterThan(40);
    const empty = LAYERS.filter((layer) => !files.some((file) => layerOf(file) === layer));
    expect(empty).toEqual([]);
    for (const top of TOP) expect(files).toContain(top);
  });

  it.each(files)("%s keeps the arrows", (file) => {
    expect(faults(file, readFileSync(join(ROOT, file), "utf8"))).toEqual([]);
  });

  it("outside of the layers too, only env.ts and the bootstrap read the environment", () => {
    const others = sources("infra").filter((file) => !file.endsWith("/env.ts"));
    const reading = others.filter((file) =>
      /\bprocess\s*\.\s*env\b/.test(codeOf(readFileSync(join(ROOT, file), "utf8"))),
    );
    expect(reading).toEqual([]);
  });
});

describe("the checker bites", () => {
  it.each([
    ["replicator/core/x.ts", 'import { a } from "../wire/codec.ts";'],
    ["replicator/core/x.ts", 'import type { A } from "../log/port.ts";'],
    ["replicator/core/x.ts", 'export { a } from "../runtime/clock.ts";'],
    ["replicator/core/x.ts", 'import "../../services/presence/leases.ts";'],
    ["replicator/core/x.ts", 'import { createHash } from "node:crypto";'],
    ["replicator/core/x.ts", 'import { LRUCache } from "lru-cache";'],
    ["replicator/core/x.ts", 'import {\n  a,\n  b,\n} from "../wire/codec.ts";'],
    ["replicator/core/x.ts", 'const a = await import("../wire/codec.ts");'],
    ["replicator/wire/x.ts", 'import { a } from "../log/port.ts";'],
    ["replicator/wire/x.ts", 'import { randomBytes } from "node:crypto";'],
    ["replicator/log/x.ts", 'import { a } from "../runtime/logger.ts";'],
    ["replicator/log/x.ts", 'import { a } from "../replicator.ts";'],
    ["replicator/runtime/x.ts", 'import { a } from "../env.ts";'],
    ["replicator/runtime/x.ts", 'import { connect } from "nats";'],
    ["replicator/main.ts", 'import { a } from "../services/presence/leases.ts";'],
    ["replicator/main.ts", 'import { jetstream } from "@nats-io/jetstream";'],
    ["services/presence/x.ts", 'import { connect } from "nats";'],
    ["services/presence/x.ts", 'import { a } from "../../infra/nats.ts";'],
    ["services/presence/x.ts", "const port = process.env.PORT;"],
    ["services/presence/x.ts", 'const port = process["env"].PORT;'],
    ["replicator/stray.ts", "export const a = 1;"],
    ["replicator/core/x.ts", "const now = Date.now();"],
    ["replicator/core/x.ts", "const now = new Date();"],
    ["replicator/core/x.ts", "const now = performance.now();"],
    ["replicator/core/x.ts", "const r = Math.random();"],
    ["replicator/core/x.ts", "setTimeout(() => a(), 5);"],
    ["replicator/core/x.ts", "setInterval(a, 5);"],
    ["replicator/core/x.ts", "setImmediate(a);"],
    ["replicator/core/x.ts", "queueMicrotask(a);"],
    ["replicator/core/x.ts", "const id = crypto.randomUUID();"],
    ["replicator/core/x.ts", "const e = process.env;"],
    ["replicator/core/x.ts", "process.exit(1);"],
    ["replicator/core/x.ts", "const g = globalThis;"],
    ["replicator/core/x.ts", "const text = `${Date.now()}`;"],
  ])("%s: %s", (file, source) => {
    expect(faults(file, source)).not.toEqual([]);
  });

  it.each([
    [
      "replicator/core/x.ts",
      'import { a } from "./b.ts";\nconst note = "Date and setTimeout"; // performance.now()',
    ],
    ["replicator/core/x.ts", "/** Date, Math.random(), process.env */\nexport const update = 1;"],
    ["replicator/core/x.ts", "const x = Math.max(1, 2); const processed = 3; const updatedAtDate1 = 4;"],
    ["replicator/wire/x.ts", 'import { crc32 } from "node:zlib";\nimport { a } from "../core/limits.ts";'],
    ["replicator/log/x.ts", 'import { connect } from "nats";\nimport type { B } from "@nats-io/jetstream";'],
    ["replicator/env.ts", 'import { a } from "./runtime/environment.ts";\nconst e = process.env;'],
    ["services/presence/env.ts", "const e = process.env;"],
    ["services/presence/x.ts", 'import { a } from "../../replicator/log/nats.ts";\nconst now = Date.now();'],
  ])("and lets pass %s: %s", (file, source) => {
    expect(faults(file, source)).toEqual([]);
  });
});
