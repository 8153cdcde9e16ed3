/**
 * Hostile input: whatever is wrong with a request, the answer is a problem that says what, and the service saw nothing.
 */
import type { InjectOptions } from "fastify";
import { describe, expect, test } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import type { HttpProblemName } from "../../../../services/presence/problems.ts";
import { plainNode } from "./fake.ts";

type Case = readonly [what: string, request: InjectOptions, status: number, name: HttpProblemName];

const json = { "content-type": "application/json" };
const open = (payload: unknown): InjectOptions => ({
  method: "POST",
  url: "/v1/sessions",
  headers: json,
  payload: typeof payload === "string" ? payload : JSON.stringify(payload),
});
const send = (method: "POST" | "PUT" | "PATCH", url: string, payload: object): InjectOptions => {
  return { method, url, payload };
};

interface Refused {
  readonly status: number;
  readonly type: string;
  readonly detail: string;
}

/** The problem the request is refused with, having checked what holds for every refusal. */
async function refusal(request: InjectOptions): Promise<Refused> {
  const { app, calls } = plainNode();
  const answer = await app.inject(request);
  expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
  expect(answer.headers).not.toHaveProperty("rollcall-token");
  expect(calls).toEqual([]);
  expect(Object.prototype).not.toHaveProperty("polluted");
  const problem = answer.json<Refused>();
  expect(problem.status).toBe(answer.statusCode);
  expect(problem.detail).not.toBe("");
  return problem;
}

const typed = (type: string): InjectOptions => ({
  ...open('{"user":"ann"}'),
  headers: { "content-type": type },
});
const ids = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);

describe("bodies that are no acceptable JSON", () => {
  const cases: readonly Case[] = [
    ["nothing at all", open(""), 400, "invalid-request"],
    ["half an object", open('{"user":"ann"'), 400, "malformed-json"],
    ["two values", open('{"user":"ann"}{}'), 400, "malformed-json"],
    ["single quotes", open("{'user':'ann'}"), 400, "malformed-json"],
    ["a comment", open('{"user":"ann"} // hi'), 400, "malformed-json"],
    ["a trailing comma", open('{"user":"ann",}'), 400, "malformed-json"],
    ["NaN", open('{"user":NaN}'), 400, "malformed-json"],
    ["a raw control character", open('{"user":"a\u0000"}'), 400, "malformed-json"],
    ["__proto__", open('{"user":"ann","__proto__":{"polluted":1}}'), 400, "malformed-json"],
    [
      "__proto__ in the state",
      open('{"user":"a","state":{"__proto__":{"polluted":1}}}'),
      400,
      "malformed-json",
    ],
    [
      "an escaped __proto__",
      open(String.raw`{"user":"a","\u005f_proto__":{"polluted":1}}`),
      400,
      "malformed-json",
    ],
    ["constructor.prototype", open('{"constructor":{"prototype":{"polluted":1}}}'), 400, "malformed-json"],
    ["an unclosed nest", open("[".repeat(100_000)), 400, "malformed-json"],
    ["null", open("null"), 400, "invalid-request"],
    ["an array", open('[{"user":"ann"}]'), 400, "invalid-request"],
    ["a string", open('"ann"'), 400, "invalid-request"],
    ["a deep nest", open(`{"user":${"[".repeat(50_000)}${"]".repeat(50_000)}}`), 400, "invalid-request"],
  ];
  test.each(cases)("%s", async (_what, request, status, name) => {
    expect(await refusal(request)).toMatchObject({ status, type: `/problems/${name}` });
  });
});

describe("content types", () => {
  const cases: readonly Case[] = [
    ["text", typed("text/plain"), 415, "unsupported-media-type"],
    ["a form", typed("application/x-www-form-urlencoded"), 415, "unsupported-media-type"],
    ["multipart", typed("multipart/form-data; boundary=x"), 415, "unsupported-media-type"],
    ["XML", typed("application/xml"), 415, "unsupported-media-type"],
    ["nonsense", typed("json"), 415, "unsupported-media-type"],
    ["no body and no type", { method: "POST", url: "/v1/sessions" }, 400, "invalid-request"],
  ];
  test.each(cases)("%s", async (_what, request, status, name) => {
    expect(await refusal(request)).toMatchObject({ status, type: `/problems/${name}` });
  });
});

describe("sizes", () => {
  const filler = "x".repeat(LIMITS.bodyBytesMax);
  const cases: readonly Case[] = [
    ["a body over 256 KiB", open({ user: "ann", device: filler }), 413, "body-too-large"],
    [
      "a batch of 10,001 sessions",
      send("POST", "/v1/heartbeats", { sessions: ids(LIMITS.batchSessionsMax + 1) }),
      400,
      "invalid-request",
    ],
    [
      "a batch of 1,001 users",
      send("POST", "/v1/presence", { users: ids(LIMITS.batchUsersMax + 1) }),
      400,
      "invalid-request",
    ],
    [
      "a user of 65 characters",
      { method: "GET", url: `/v1/users/${"a".repeat(65)}/presence` },
      400,
      "invalid-request",
    ],
    [
      "a path segment of 4,000 characters",
      { method: "GET", url: `/v1/users/${"a".repeat(4_000)}/presence` },
      414,
      "uri-too-long",
    ],
    [
      "a query of 100,000 characters",
      { method: "GET", url: `/v1/online?cursor=${"a".repeat(100_000)}` },
      400,
      "invalid-request",
    ],
  ];
  test.each(cases)("%s", async (_what, request, status, name) => {
    expect(await refusal(request)).toMatchObject({ status, type: `/problems/${name}` });
  });
});

describe("fields name themselves", () => {
  const put = (payload: object) => send("PUT", "/v1/users/ann/status", payload);
  const patch = (payload: object) => send("PATCH", "/v1/sessions/s1", payload);
  const cases: readonly (readonly [what: string, request: InjectOptions, field: string])[] = [
    ["no user", open({}), "user"],
    ["a user that is a number", open({ user: 7 }), "user"],
    ["a user that is null", open({ user: null }), "user"],
    ["an empty user", open({ user: "" }), "user"],
    ["a user with a space", open({ user: "a b" }), "user"],
    ["a user with a line end", open({ user: "ann\n" }), "user"],
    ["a user that is not ASCII", open({ user: "änn" }), "user"],
    ["an unknown field", open({ user: "ann", admin: true }), "admin"],
    ["a field in another case", open({ user: "ann", Device: "x" }), "Device"],
    ["the field constructor", open('{"user":"ann","constructor":1}'), "constructor"],
    ["the field toString", open('{"user":"ann","toString":1}'), "toString"],
    ["a device that is an array", open({ user: "ann", device: ["x"] }), "device"],
    ["an empty device", open({ user: "ann", device: "" }), "device"],
    ["a platform of 33 characters", open({ user: "ann", platform: "x".repeat(33) }), "platform"],
    ["a status nobody has", open({ user: "ann", status: "invisible" }), "status"],
    ["a policy nobody has", open({ user: "ann", policy: "none" }), "policy"],
    ["a home in capitals", open({ user: "ann", home: "CN" }), "home"],
    ["a state that is text", open({ user: "ann", state: "{}" }), "state"],
    ["a state that is an array", open({ user: "ann", state: [] }), "state"],
    ["a state that is null", open({ user: "ann", state: null }), "state"],
    ["an update of nothing", patch({}), "body"],
    ["an update of the user", patch({ user: "bob" }), "user"],
    ["an update to offline", patch({ status: "offline" }), "status"],
    ["no preferred status", put({ until: "2030-01-01T00:00:00Z" }), "status"],
    ["a preferred status nobody has", put({ status: "online" }), "status"],
    ["sessions that are no list", send("POST", "/v1/heartbeats", { sessions: "s1" }), "sessions"],
    ["no sessions", send("POST", "/v1/heartbeats", {}), "sessions"],
    ["a session that is a number", send("POST", "/v1/heartbeats", { sessions: ["s1", 7] }), "sessions/1"],
    ["a session that is null", send("POST", "/v1/heartbeats", { sessions: [null] }), "sessions/0"],
    ["more than sessions", send("POST", "/v1/heartbeats", { sessions: [], x: 1 }), "x"],
    ["a bad user among good ones", send("POST", "/v1/presence", { users: ["ann", "b b"] }), "users/1"],
    ["users that are an object", send("POST", "/v1/presence", { users: { 0: "ann" } }), "users"],
    ["a bad user in the path", { method: "PUT", url: "/v1/users/a%20b/heartbeat" }, "user"],
    ["a slash in the path", { method: "PUT", url: "/v1/users/a%2Fb/heartbeat" }, "user"],
    ["a NUL in the path", { method: "DELETE", url: "/v1/users/a%00/sessions" }, "user"],
    ["a long session in the path", { method: "DELETE", url: `/v1/sessions/${"x".repeat(33)}` }, "session"],
    ["an empty device in the query", { method: "PUT", url: "/v1/users/ann/heartbeat?device=" }, "device"],
    ["two devices", { method: "PUT", url: "/v1/users/ann/heartbeat?device=a&device=b" }, "device"],
    ["a query nobody asked for", { method: "PUT", url: "/v1/users/ann/heartbeat?devise=a" }, "devise"],
    ["a query on a write", { method: "DELETE", url: "/v1/sessions/s1?force=1" }, "force"],
    ["a query __proto__", { method: "PUT", url: "/v1/users/ann/heartbeat?__proto__=1" }, "__proto__"],
    ["a bad escape in the query", { method: "PUT", url: "/v1/users/ann/heartbeat?device=%ZZ" }, "device"],
    ["a limit of 0", { method: "GET", url: "/v1/online?limit=0" }, "limit"],
    ["a limit of 1,001", { method: "GET", url: "/v1/online?limit=1001" }, "limit"],
    ["a limit in hexadecimal", { method: "GET", url: "/v1/online?limit=0x10" }, "limit"],
    ["an empty cursor", { method: "GET", url: "/v1/online?cursor=" }, "cursor"],
    ["a region in capitals", { method: "GET", url: "/v1/online?region=US" }, "region"],
  ];
  test.each(cases)("%s", async (_what, request, field) => {
    const problem = await refusal(request);
    expect(problem).toMatchObject({ status: 400, type: "/problems/invalid-request" });
    expect(problem.detail).toContain(field);
  });

  test("ten thousand bad items do not make ten thousand errors", async () => {
    const sessions = Array.from({ length: LIMITS.batchSessionsMax }, () => 7);
    const problem = await refusal(send("POST", "/v1/heartbeats", { sessions }));
    expect(problem.status).toBe(400);
    expect(JSON.stringify(problem).length).toBeLessThan(2_000);
  });
});

describe("paths and methods", () => {
  const cases: readonly Case[] = [
    ["the root", { method: "GET", url: "/" }, 404, "not-found"],
    ["no such path", { method: "GET", url: "/v1/users" }, 404, "not-found"],
    ["a trailing slash", { method: "GET", url: "/v1/occupancy/" }, 404, "not-found"],
    ["two slashes", { method: "GET", url: "//v1/occupancy" }, 404, "not-found"],
    ["capitals", { method: "GET", url: "/V1/occupancy" }, 404, "not-found"],
    ["a climb", { method: "GET", url: "/docs/static/..%2f..%2fpackage.json" }, 404, "not-found"],
    ["an unknown problem", { method: "GET", url: "/problems/to-string" }, 404, "not-found"],
    ["an inherited problem", { method: "GET", url: "/problems/constructor" }, 404, "not-found"],
    ["a bad escape", { method: "PUT", url: "/v1/users/%ZZ/heartbeat" }, 400, "malformed-http"],
    ["half an escape", { method: "PUT", url: "/v1/users/%/heartbeat" }, 400, "malformed-http"],
    ["no UTF-8", { method: "PUT", url: "/v1/users/%ff%fe/heartbeat" }, 400, "malformed-http"],
    ["GET of a login", { method: "GET", url: "/v1/sessions" }, 405, "method-not-allowed"],
    ["PUT of a session", { method: "PUT", url: "/v1/sessions/s1" }, 405, "method-not-allowed"],
    ["POST of a heartbeat", { method: "POST", url: "/v1/users/a/heartbeat" }, 405, "method-not-allowed"],
    ["OPTIONS", { method: "OPTIONS", url: "/v1/presence" }, 405, "method-not-allowed"],
    ["DELETE of the readiness", { method: "DELETE", url: "/readyz" }, 405, "method-not-allowed"],
  ];
  test.each(cases)("%s", async (_what, request, status, name) => {
    expect(await refusal(request)).toMatchObject({ status, type: `/problems/${name}` });
  });

  test("405 says what is allowed", async () => {
    const { app } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/users/ann/sessions" });
    expect(answer.headers["allow"]).toBe("DELETE, GET, HEAD");
  });

  test("HEAD of a refused read has the status and no body", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "HEAD", url: "/v1/users/a%20b/presence" });
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toBe("");
    expect(calls).toEqual([]);
  });

  test("HEAD of a read is a read", async () => {
    const { app } = plainNode();
    const answer = await app.inject({ method: "HEAD", url: "/v1/occupancy" });
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe("");
  });
});
