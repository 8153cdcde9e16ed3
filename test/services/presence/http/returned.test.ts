/** What became of what a region said while another one stood for it, over HTTP. */
import { describe, expect, test } from "vitest";
import type { Problem } from "../../../../services/presence/service.ts";
import { AT, node, OPERATIONS, plainNode, RETURNED } from "./fake.ts";

const url = "/v1/regions/cn/returned";

describe("GET /v1/regions/{region}/returned", () => {
  test("lists users with what and what became of it, and counts all", async () => {
    const { app } = plainNode();
    const answer = await app.inject(url);
    expect(answer.statusCode).toBe(200);
    const { sinceMs: _, ...report } = RETURNED;
    expect(answer.json()).toEqual({ region: "cn", since: AT, ...report });
  });

  test.each<[string, string, number, string]>([
    ["another region's", "/v1/regions/us/returned", 409, "other-region"],
    ["that of no region", "/v1/regions/xx/returned", 422, "unknown-region"],
    ["that of a name no region can have", "/v1/regions/..%2fcn/returned", 400, "invalid-request"],
    ["one of a user", `${url}?user=ann`, 400, "invalid-request"],
  ])("%s is refused", async (_what, path, status, name) => {
    const { app } = plainNode();
    const answer = await app.inject(path);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ type: `/problems/${name}` });
  });

  test.each<[number, Problem]>([
    [404, { name: "nothing-returned", detail: "never" }],
    [503, { name: "log-unavailable", detail: "no answer", retryAfterSeconds: 1 }],
  ])("%i: %j", async (status, problem) => {
    const operations = { ...OPERATIONS, returned: async () => ({ ok: false, problem }) as const };
    const { app } = node({}, { operations });
    const answer = await app.inject(url);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ type: `/problems/${problem.name}` });
  });

  test("is for operators alone", async () => {
    const { app } = node({}, { keys: [{ key: "k".repeat(32), role: "frontend" }] });
    expect((await app.inject(url)).statusCode).toBe(401);
    const headers = { authorization: `Bearer ${"k".repeat(32)}` };
    expect((await app.inject({ url, headers })).statusCode).toBe(403);
  });
});
