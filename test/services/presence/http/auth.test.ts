/** Keys and roles: who may call what, and that a node without keys stays on loopback. */
import { describe, expect, test } from "vitest";

import { type ApiKeys, bindHost, parseKeys, type Role, ROLES } from "../../../../services/presence/auth.ts";
import { node, plainNode } from "./fake.ts";

const KEYS: Readonly<Record<Role, string>> = {
  frontend: "frontend-key-0123456789",
  service: "service-key-0123456789+/==",
  operator: "operator-key-0123456789",
};
const keys: ApiKeys = ROLES.map((role) => ({ role, key: KEYS[role] }));
const guarded = node({}, { keys });

function guardedNode() {
  guarded.calls.length = 0;
  return guarded;
}

const ALLOWED: readonly (readonly ["GET" | "POST" | "PUT" | "PATCH" | "DELETE", string, readonly Role[]])[] =
  [
    ["POST", "/v1/sessions", ["frontend", "operator"]],
    ["PATCH", "/v1/sessions/s1", ["frontend", "operator"]],
    ["DELETE", "/v1/sessions/s1", ["frontend", "operator"]],
    ["POST", "/v1/sessions/s1/heartbeat", ["frontend", "operator"]],
    ["POST", "/v1/heartbeats", ["frontend", "operator"]],
    ["PUT", "/v1/users/ann/heartbeat", ["frontend", "operator"]],
    ["GET", "/v1/users/ann/sessions", ["frontend", "operator"]],
    ["DELETE", "/v1/users/ann/sessions", ["frontend", "operator"]],
    ["PUT", "/v1/users/ann/status", ["frontend", "operator"]],
    ["POST", "/v1/users/ann/home", ["operator"]],
    ["GET", "/v1/users/ann/presence", ["frontend", "operator"]],
    ["POST", "/v1/presence", ["frontend", "operator"]],
    ["GET", "/v1/online", ["frontend", "operator"]],
    ["GET", "/v1/occupancy", ["frontend", "operator"]],
    ["GET", "/v1/token", ["frontend", "service", "operator"]],
    ["GET", "/v1/replication", ["operator"]],
    ["GET", "/v1/regions", ["operator"]],
    ["PUT", "/v1/regions/us/write-off", ["operator"]],
    ["GET", "/v1/switches", ["operator"]],
    ["PUT", "/v1/switches/reads", ["operator"]],
    ["GET", "/v1/audit", ["operator"]],
    ["POST", "/v1/regions/cn/evacuate", ["operator"]],
    ["POST", "/v1/regions/cn/restore", ["operator"]],
    ["POST", "/v1/verify", ["operator"]],
    ["POST", "/v1/snapshots", ["operator"]],
  ];

describe.each(ALLOWED)("%s %s", (method, url, allowed) => {
  test("is refused without a key", async () => {
    const { app, calls } = guardedNode();
    const answer = await app.inject({ method, url });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="rollcall"');
    expect(answer.json()).toMatchObject({ type: "/problems/unauthorized" });
    expect(calls).toEqual([]);
  });

  test.each(allowed)("is open to %s", async (role) => {
    const { app } = guardedNode();
    const headers = { authorization: `Bearer ${KEYS[role]}` };
    const { statusCode } = await app.inject({ method, url, headers });
    expect([401, 403]).not.toContain(statusCode);
  });

  test("is refused to every other role", async () => {
    const { app, calls } = guardedNode();
    for (const role of ROLES.filter((other) => !allowed.includes(other))) {
      const headers = { authorization: `Bearer ${KEYS[role]}` };
      const answer = await app.inject({ method, url, headers });
      expect(answer.statusCode).toBe(403);
      expect(answer.json()).toMatchObject({ type: "/problems/forbidden", role, roles: allowed });
    }
    expect(calls).toEqual([]);
  });
});

describe("the Authorization header", () => {
  test.each([
    ["another scheme", `Basic ${KEYS.operator}`],
    ["no scheme", KEYS.operator],
    ["no key", "Bearer "],
    ["an unknown key", "Bearer operator-key-0123456780"],
    ["a prefix of a key", `Bearer ${KEYS.operator.slice(0, -1)}`],
    ["a key and more", `Bearer ${KEYS.operator}0`],
    ["two keys", `Bearer ${KEYS.operator}, Bearer ${KEYS.frontend}`],
    ["a very long key", `Bearer ${"x".repeat(10_000)}`],
  ])("%s is refused, and the key is not repeated", async (_what, authorization) => {
    const { app, calls } = guardedNode();
    const answer = await app.inject({ url: "/v1/regions", headers: { authorization } });
    expect(answer.statusCode).toBe(401);
    expect(answer.body).not.toContain("0123456789");
    expect(calls).toEqual([]);
  });

  test("the scheme is read in any case", async () => {
    const { app } = guardedNode();
    const headers = { authorization: `bearer ${KEYS.operator}` };
    expect((await app.inject({ url: "/v1/regions", headers })).statusCode).toBe(200);
  });

  test("is asked for before the body is read", async () => {
    const { app } = guardedNode();
    const headers = { "content-type": "application/json" };
    const answer = await app.inject({ method: "POST", url: "/v1/sessions", headers, payload: "{" });
    expect(answer.statusCode).toBe(401);
  });
});

test.each(["/livez", "/readyz", "/metrics", "/openapi.json", "/docs/", "/problems/unauthorized"])(
  "%s is open",
  async (url) => {
    const { app } = guardedNode();
    expect((await app.inject(url)).statusCode).toBe(200);
  },
);

test("without keys everybody may call everything", async () => {
  const { app } = plainNode();
  expect((await app.inject("/v1/replication")).statusCode).toBe(200);
});

describe("parseKeys", () => {
  test.each(["", "  "])("%j means no keys", (text) => {
    expect(parseKeys(text)).toEqual({ ok: true, keys: [] });
  });

  test("reads roles and keys, and several keys of a role", () => {
    const text = ` frontend:${KEYS.frontend}, operator:${KEYS.operator},frontend:${KEYS.service}`;
    expect(parseKeys(text)).toEqual({
      ok: true,
      keys: [
        { role: "frontend", key: KEYS.frontend },
        { role: "operator", key: KEYS.operator },
        { role: "frontend", key: KEYS.service },
      ],
    });
  });

  test.each([
    ["user:0123456789abcdef", "role"],
    ["0123456789abcdef", "role"],
    ["frontend", "16 to 128"],
    ["frontend:", "16 to 128"],
    ["frontend:short", "16 to 128"],
    [`frontend:${"x".repeat(129)}`, "16 to 128"],
    ["frontend:0123456789 abcdef", "16 to 128"],
    ["frontend:0123456789:abcdef", "16 to 128"],
    ["frontend:0123456789abcdef,", "role"],
    ["frontend:0123456789abcdef,operator:0123456789abcdef", "twice"],
  ])("%s is an error that does not repeat the key", (text, reason) => {
    const parsed = parseKeys(text);
    expect(parsed).toMatchObject({ ok: false, errors: [expect.stringContaining(reason)] });
    expect(JSON.stringify(parsed)).not.toContain("0123456789");
  });

  test("every bad entry is named", () => {
    expect(parseKeys("a,frontend:short")).toMatchObject({
      ok: false,
      errors: [expect.stringContaining("key 1"), expect.stringContaining("key 2")],
    });
  });
});

describe("bindHost", () => {
  test.each(["127.0.0.1", "127.0.3.7", "::1", "localhost"])("%s is granted without keys", (host) => {
    expect(bindHost([], host)).toEqual({ ok: true, host });
  });

  test.each([
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.0.0.1.example.org",
    "127.0.0.256",
    "1270.0.1",
    "example.org",
    "",
  ])("%j is refused without keys", (host) => {
    expect(bindHost([], host)).toMatchObject({ ok: false, reason: expect.stringContaining("loopback") });
  });

  test("any host is granted with keys", () => {
    expect(bindHost(keys, "0.0.0.0")).toEqual({ ok: true, host: "0.0.0.0" });
  });
});
