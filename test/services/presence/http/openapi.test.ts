/** The API describes itself: every route, in valid references, with its problems, and a page that loads nothing from elsewhere. */
import { expect, test } from "vitest";

import { plainNode } from "./fake.ts";

const OPERATIONS = [
  "delete /v1/sessions/{session}",
  "delete /v1/users/{user}/sessions",
  "get /livez",
  "get /metrics",
  "get /problems/{name}",
  "get /readyz",
  "get /v1/audit",
  "get /v1/occupancy",
  "get /v1/online",
  "get /v1/regions",
  "get /v1/regions/{region}/returned",
  "get /v1/replication",
  "get /v1/switches",
  "get /v1/token",
  "get /v1/users/{user}/presence",
  "get /v1/users/{user}/sessions",
  "patch /v1/sessions/{session}",
  "post /v1/heartbeats",
  "post /v1/presence",
  "post /v1/regions/{region}/evacuate",
  "post /v1/regions/{region}/restore",
  "post /v1/sessions",
  "post /v1/sessions/{session}/heartbeat",
  "post /v1/snapshots",
  "post /v1/users/{user}/home",
  "post /v1/verify",
  "put /v1/regions/{region}/write-off",
  "put /v1/switches/{class}",
  "put /v1/users/{user}/heartbeat",
  "put /v1/users/{user}/status",
];

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, unknown>>;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

async function description(): Promise<Document> {
  const { app } = plainNode();
  const answer = await app.inject("/openapi.json");
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toMatch(/^application\/json/);
  return answer.json<Document>();
}

/** Every value of the key anywhere in the document. */
function* valuesOf(key: string, node: unknown): Generator {
  if (typeof node !== "object" || node === null) return;
  for (const [name, value] of Object.entries(node)) {
    if (name === key) yield value;
    yield* valuesOf(key, value);
  }
}

function resolve(document: unknown, pointer: string): unknown {
  return pointer
    .split("/")
    .slice(1)
    .reduce(
      (node: unknown, name) => (typeof node === "object" && node ? Reflect.get(node, name) : undefined),
      document,
    );
}

test("is OpenAPI 3.1 of this version, and lists every route", async () => {
  const document = await description();
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(document.info.version).toBe("1.2.3");
  const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`),
  );
  expect(listed.toSorted()).toEqual(OPERATIONS);
});

test("every operation has a summary, a tag, one good answer and the problem", async () => {
  const { paths } = await description();
  for (const operation of Object.values(paths).flatMap((operations) => Object.values(operations))) {
    expect(operation.summary).toMatch(/./);
    expect(operation.tags).toHaveLength(1);
    const statuses = Object.keys(operation.responses);
    expect(statuses.filter((status) => status.startsWith("2"))).toHaveLength(1);
    expect(operation.responses["default"]).toMatchObject({ content: { "application/problem+json": {} } });
  }
});

test("every reference resolves", async () => {
  const document = await description();
  const references = [...valuesOf("$ref", document)];
  expect(new Set(references)).toEqual(
    new Set(["Presence", "Consistency", "Problem"].map((name) => `#/components/schemas/${name}`)),
  );
  for (const reference of references) expect(resolve(document, String(reference))).toBeTypeOf("object");
});

test("the page is served from here and loads nothing from elsewhere", async () => {
  const { app } = plainNode();
  const page = await app.inject("/docs");
  expect(page.statusCode).toBe(200);
  const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? "");
  expect(sources.length).toBeGreaterThan(3);
  for (const source of sources) {
    expect(source).toMatch(/^\/docs\//);
    expect((await app.inject(source)).statusCode).toBe(200);
  }
});
