/** A session's life over HTTP: what reaches the service, and what comes back with which token. */
import { describe, expect, test } from "vitest";

import type { Problem } from "../../../../services/presence/service.ts";
import { AT_MS, node, plainNode, TOKEN_TEXT } from "./fake.ts";

describe("POST /v1/sessions", () => {
  test("opens a session and answers 201 with the token in the body and in the header", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/sessions", payload: { user: "ann" } });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toEqual({
      session: "s9",
      user: "ann",
      home: "cn",
      region: "cn",
      ttlSeconds: 75,
      heartbeatSeconds: 29.5,
      provisional: false,
      token: TOKEN_TEXT,
    });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["openSession", { user: "ann" }]]);
  });

  test("hands every field on, and the state as JSON text", async () => {
    const { app, calls } = plainNode();
    const fields = { user: "a.n:n@x-1", device: "phone", platform: "ios", status: "busy", home: "us" };
    const payload = { ...fields, policy: "multi", state: { room: "é" } };
    const answer = await app.inject({ method: "POST", url: "/v1/sessions", payload });
    expect(answer.statusCode).toBe(201);
    expect(calls).toEqual([["openSession", { ...fields, policy: "multi", state: '{"room":"é"}' }]]);
  });

  test("the empty state is no state", async () => {
    const { app, calls } = plainNode();
    await app.inject({ method: "POST", url: "/v1/sessions", payload: { user: "ann", state: {} } });
    expect(calls).toEqual([["openSession", { user: "ann", state: "" }]]);
  });

  test.each([
    ["256 bytes are a state", { s: "x".repeat(248) }, 201],
    ["257 bytes are too many", { s: "x".repeat(249) }, 400],
    ["bytes are counted, not characters", { s: "é".repeat(125) }, 400],
  ])("%s", async (_rule, state, status) => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/sessions", payload: { user: "ann", state } });
    expect(answer.statusCode).toBe(status);
    expect(calls).toHaveLength(status === 201 ? 1 : 0);
  });

  test.each(["multi", "per-platform", "single"])("a login says its policy: %s", async (policy) => {
    const { app, calls } = plainNode();
    const payload = { user: "ann", policy };
    const answer = await app.inject({ method: "POST", url: "/v1/sessions", payload });
    expect(answer.statusCode).toBe(201);
    expect(calls).toEqual([["openSession", payload]]);
  });

  test("an unknown home is refused before anything happens", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({
      method: "POST",
      url: "/v1/sessions",
      payload: { user: "ann", home: "mars" },
    });
    expect(answer.statusCode).toBe(422);
    expect(answer.json()).toMatchObject({
      type: "/problems/unknown-region",
      detail: "home: there is no region mars here; there are cn, us, eu.",
    });
    expect(calls).toEqual([]);
  });
});

describe("PATCH and DELETE /v1/sessions/{session}", () => {
  test("a change answers its token", async () => {
    const { app, calls } = plainNode();
    const payload = { status: "away", state: { room: 1 } };
    const answer = await app.inject({ method: "PATCH", url: "/v1/sessions/s1", payload });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["updateSession", "s1", { status: "away", state: '{"room":1}' }]]);
  });

  test("what is not given is not changed", async () => {
    const { app, calls } = plainNode();
    await app.inject({ method: "PATCH", url: "/v1/sessions/s1", payload: { status: "busy" } });
    expect(calls).toEqual([["updateSession", "s1", { status: "busy" }]]);
  });

  test("a close answers its token", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "DELETE", url: "/v1/sessions/s1" });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["closeSession", "s1"]]);
  });
});

describe("all sessions of a user", () => {
  test("force logout says how many sessions it ended", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "DELETE", url: "/v1/users/ann/sessions" });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ ended: 2, token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["forceLogout", "ann"]]);
  });

  test("a preferred status without an end has the end 0", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({
      method: "PUT",
      url: "/v1/users/ann/status",
      payload: { status: "invisible" },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["prefer", "ann", "invisible", 0]]);
  });

  test("an end is a time in any offset", async () => {
    const { app, calls } = plainNode();
    const payload = { status: "busy", until: "2026-01-02T12:00:00+08:00" };
    const answer = await app.inject({ method: "PUT", url: "/v1/users/ann/status", payload });
    expect(answer.statusCode).toBe(200);
    expect(calls).toEqual([["prefer", "ann", "busy", Date.UTC(2026, 0, 2, 4)]]);
  });

  test.each([
    ["now", new Date(AT_MS).toISOString()],
    ["the past", "2025-01-01T00:00:00Z"],
    ["a leap second", "2026-12-31T23:59:60Z"],
    ["a date", "2027-01-01"],
    ["local time", "2027-01-01T00:00:00"],
    ["no such day", "2027-02-30T00:00:00Z"],
    ["milliseconds", 1_900_000_000_000],
    ["empty", ""],
  ])("an end that is %s is refused", async (_what, until) => {
    const { app, calls } = plainNode();
    const answer = await app.inject({
      method: "PUT",
      url: "/v1/users/ann/status",
      payload: { status: "busy", until },
    });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      type: "/problems/invalid-request",
      errors: [{ pointer: "/until" }],
    });
    expect(calls).toEqual([]);
  });
});

describe("a problem of the service", () => {
  const problems: readonly (readonly [Problem, number])[] = [
    [{ name: "session-ended", detail: "gone", members: { reason: "kicked", by: "s7" } }, 410],
    [{ name: "unknown-session", detail: "gone" }, 404],
    [{ name: "unknown-region", detail: "gone" }, 422],
    [{ name: "token-log-replaced", detail: "gone" }, 409],
    [{ name: "log-unavailable", detail: "gone", retryAfterSeconds: 2 }, 503],
    [{ name: "overloaded", detail: "gone", retryAfterSeconds: 3 }, 503],
    [{ name: "not-ready", detail: "gone", retryAfterSeconds: 4 }, 503],
  ];

  test.each(problems)("$name has its status, members and Retry-After", async (problem, status) => {
    const { app } = node({ updateSession: async () => ({ ok: false, problem }) });
    const answer = await app.inject({
      method: "PATCH",
      url: "/v1/sessions/s1",
      payload: { status: "away" },
    });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(answer.headers["retry-after"]).toBe(problem.retryAfterSeconds?.toString());
    expect(answer.json()).toEqual({
      ...problem.members,
      type: `/problems/${problem.name}`,
      title: expect.any(String),
      status,
      detail: "gone",
    });
  });

  test("members cannot replace the standard ones", async () => {
    const problem: Problem = { name: "unknown-session", detail: "gone", members: { status: 200, type: "x" } };
    const { app } = node({ closeSession: async () => ({ ok: false, problem }) });
    const answer = await app.inject({ method: "DELETE", url: "/v1/sessions/s1" });
    expect(answer.json()).toMatchObject({ status: 404, type: "/problems/unknown-session" });
  });
});
