/** Friend requests at one node: limits, roles, and whatever else is wrong with a request. */
import { beforeEach, describe, expect, it, test } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { parseRequestId, requestId } from "../../../services/friends/names.ts";
import { sendInto } from "./calls.ts";
import {
  begin,
  bench,
  served,
  send,
  serve,
  asked,
  said,
  many,
  ask,
  stateOf,
  stancesInLog,
  metric,
} from "./one-node.ts";

beforeEach(begin);

describe("limits", () => {
  it("of pending requests of one user, and to one user", async () => {
    many(LIMITS.outgoingRequestsMax, (name) => asked("ann", name));
    many(LIMITS.incomingRequestsMax - 1, (name) => asked(name, "bob"));
    const full = await ask("ann", "zoe");
    expect(full).toMatchObject({ status: 409, body: { type: "/problems/too-many-pending", whose: "ann" } });
    expect((await ask("ann", "user-7")).status).toBe(201);
    expect((await ask("cleo", "bob")).status).toBe(201);
    expect(await ask("dan", "bob")).toMatchObject({ status: 409, body: { whose: "bob" } });
    expect((await ask("bob", "user-3")).body.state).toBe("friends");
    expect((await ask("dan", "bob")).status).toBe(201);
    expect(await metric("rollcall_friend_writes_total")).toEqual([
      'rollcall_friend_writes_total{result="asked"} 2',
      'rollcall_friend_writes_total{result="crossed"} 1',
      'rollcall_friend_writes_total{result="repeated"} 1',
      'rollcall_friend_writes_total{result="refused"} 2',
    ]);
    expect(await metric("rollcall_problems_total")).toEqual([
      'rollcall_problems_total{problem="too-many-pending"} 2',
    ]);
  });

  it("of requests within a minute, which is over then", async () => {
    for (let n = 0; n < LIMITS.requestsPerMinuteMax; n++) await ask("ann", `user-${n}`);
    const tooMany = await ask("ann", "zoe");
    expect(tooMany).toMatchObject({ status: 429, body: { type: "/problems/too-many-friend-requests" } });
    expect(Number(tooMany.headers.get("retry-after"))).toBe(60);
    expect((await ask("ann", "user-1")).status).toBe(201);
    expect((await ask("bob", "zoe")).status).toBe(201);
    bench.ms += 60_000;
    expect((await ask("ann", "zoe")).status).toBe(201);
  });

  it("of how many have ever asked one user", async () => {
    many(LIMITS.knownOthersMax, (name) => ({ ...asked(name, "bob"), word: "cancelled" }));
    const full = await ask("zoe", "bob");
    expect(full).toMatchObject({ status: 409, body: { type: "/problems/too-many-friends", whose: "bob" } });
    expect(stateOf("zoe", "bob")).toBe("none");
    expect((await ask("user-7", "bob")).body.state).toBe("requested");
  });

  it("of what the log takes of one user", async () => {
    many(LIMITS.stancesPerUserMax, (name) => ({ ...asked("ann", name), word: "declined" }));
    const full = await ask("ann", "zoe");
    expect(full).toMatchObject({ status: 409, body: { type: "/problems/too-many-friends" } });
    expect(stateOf("ann", "zoe")).toBe("none");
  });
});

describe("whatever is wrong is refused, and nothing written", () => {
  const id = requestId({ from: "ann", to: "bob", round: 1 });
  const hostile: readonly (readonly [what: string, path: string, body: object, status: number])[] = [
    ["nobody asked", "/v1/friend-requests", { from: "ann" }, 400],
    ["oneself", "/v1/friend-requests", { from: "ann", to: "ann" }, 400],
    ["no user", "/v1/friend-requests", { from: "ann", to: "b b" }, 400],
    ["an unknown field", "/v1/friend-requests", { from: "ann", to: "bob", state: "friends" }, 400],
    ["an unknown ack", "/v1/friend-requests", { from: "ann", to: "bob", ack: "all" }, 400],
    ["257 bytes", "/v1/friend-requests", { from: "ann", to: "bob", message: `${"é".repeat(128)}x` }, 400],
    ["half a surrogate pair", "/v1/friend-requests", { from: "ann", to: "bob", message: "\ud800" }, 400],
    ["no id", "/v1/friend-requests/abc/accept", {}, 400],
    ["an id with more", `/v1/friend-requests/${id}A/accept`, {}, 400],
    [
      "another version",
      `/v1/friend-requests/${Buffer.from("2 1 ann bob").toString("base64url")}/accept`,
      {},
      400,
    ],
    ["round 0", `/v1/friend-requests/${Buffer.from("1 0 ann bob").toString("base64url")}/accept`, {}, 400],
    ["round 01", `/v1/friend-requests/${Buffer.from("1 01 ann bob").toString("base64url")}/accept`, {}, 400],
    ["of oneself", `/v1/friend-requests/${Buffer.from("1 1 ann ann").toString("base64url")}/accept`, {}, 400],
    ["a request that nobody made", `/v1/friend-requests/${id}/accept`, {}, 404],
    ["another verb", `/v1/friend-requests/${id}/ignore`, {}, 404],
    ["a body that is none", `/v1/friend-requests/${id}/accept`, { whom: "bob" }, 400],
  ];
  test.each(hostile)("%s", async (_what, path, body, status) => {
    const answer = await send("POST", path, body);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([
      status,
      expect.stringMatching(/^application\/problem\+json/),
    ]);
    expect(stancesInLog()).toBe(0);
  });

  test.each([
    ["no user", "/v1/users/ann/friends/b%20b"],
    ["an unknown ack", "/v1/users/ann/friends/bob?ack=all"],
    ["a reserved user", "/v1/users/ann/friends/rollcall.canary.us.from.cn"],
    ["a reserved user's friend", "/v1/users/rollcall.canary.us.from.cn/friends/ann"],
  ])("ending a friendship with %s", async (_what, path) => {
    said(asked("ann", "bob"), { ...asked("bob", "ann"), word: "accepted" });
    expect((await send("DELETE", path)).status).toBe(400);
    expect(stateOf("ann", "bob")).toBe("friends");
  });

  test.each([
    ["POST", "/v1/friend-requests?token=1.", { from: "ann", to: "bob" }],
    ["POST", `/v1/friend-requests/${requestId({ from: "bob", to: "ann", round: 1 })}/accept?ack=local`, {}],
    ["PUT", "/v1/users/ann/friend-requests/read?foo=1", { offset: "x" }],
  ] as const)("%s %s, of which no such query is known", async (method, path, given) => {
    said(asked("bob", "ann"));
    const { status, body } = await send(method, path, given);
    expect(status).toBe(400);
    expect(body).toMatchObject({ type: "/problems/invalid-request", errors: [{ in: "query" }] });
    expect(stateOf("ann", "bob")).toBe("requested");
  });

  it("a token that cannot be read", async () => {
    const answer = await send("POST", "/v1/friend-requests", { from: "ann", to: "bob" }, "nonsense");
    expect(answer.body.type).toBe("/problems/malformed-token");
  });

  it("a log that takes nothing", async () => {
    const lost = sendInto(served.app, async () => void (await bench.settle("lost")));
    const answer = await lost("POST", "/v1/friend-requests", { from: "ann", to: "bob" });
    expect([answer.status, answer.body.type]).toEqual([503, "/problems/log-unavailable"]);
    expect(await metric("rollcall_friend_writes_total")).toEqual([
      'rollcall_friend_writes_total{result="failed"} 1',
    ]);
  });

  it("an id says whom it is of, of the longest names too", () => {
    const name = { from: "a".repeat(64), to: "b".repeat(64), round: 60_466_175 };
    expect(parseRequestId(requestId(name))).toEqual(name);
    expect(requestId(name).length).toBeLessThanOrEqual(3 * LIMITS.userBytesMax);
  });
});

describe("roles", () => {
  const KEYS = {
    frontend: "frontend-key-0123456789",
    service: "service-key-0123456789",
    operator: "operator-key-0123456789",
  } as const;
  const id = requestId({ from: "ann", to: "bob", round: 1 });
  const calls = [
    ["POST", "/v1/friend-requests"],
    ["POST", `/v1/friend-requests/${id}/accept`],
    ["PUT", "/v1/users/bob/friend-requests/read"],
    ["GET", "/v1/users/bob/friend-requests"],
    ["GET", "/v1/users/bob/friends"],
    ["DELETE", "/v1/users/bob/friends/ann"],
  ] as const;

  test.each(calls)("%s %s is for services and operators", async (method, url) => {
    const keys = [
      { role: "frontend", key: KEYS.frontend },
      { role: "service", key: KEYS.service },
      { role: "operator", key: KEYS.operator },
    ] as const;
    const { app } = serve(keys).served;
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await app.inject({ method, url, headers })).statusCode;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: `Bearer ${KEYS.frontend}` })).toBe(403);
    for (const key of [KEYS.service, KEYS.operator])
      expect([401, 403]).not.toContain(await status({ authorization: `Bearer ${key}` }));
  });
});

test("the API describes itself, each operation with a summary and a good answer", async () => {
  const document = (await served.app.inject("/openapi.json")).json<{
    paths: Record<string, Record<string, { summary?: string; responses: Record<string, unknown> }>>;
  }>();
  const paths = Object.entries(document.paths).filter(([path]) => path.includes("friend"));
  expect(paths.map(([path]) => path).toSorted()).toEqual([
    "/v1/friend-requests",
    "/v1/friend-requests/{id}/accept",
    "/v1/friend-requests/{id}/cancel",
    "/v1/friend-requests/{id}/decline",
    "/v1/users/{user}/friend-requests",
    "/v1/users/{user}/friend-requests/read",
    "/v1/users/{user}/friends",
    "/v1/users/{user}/friends/{other}",
  ]);
  for (const operation of paths.flatMap(([, operations]) => Object.values(operations))) {
    expect(operation.summary).toMatch(/./);
    expect(Object.keys(operation.responses).filter((status) => status.startsWith("2"))).toHaveLength(1);
  }
});
