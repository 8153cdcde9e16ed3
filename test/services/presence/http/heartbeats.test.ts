/** The hot paths: what renews, what opens, and that one bad id fails alone. */
import { describe, expect, test } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import { gatesUnder, node, plainNode } from "./fake.ts";

describe("PUT /v1/users/{user}/heartbeat", () => {
  test("renews the implicit session of the device", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "PUT", url: "/v1/users/ann/heartbeat?device=tv" });
    expect(answer.statusCode).toBe(204);
    expect(answer.body).toBe("");
    expect(calls).toEqual([["touch", "ann", "tv"]]);
  });

  test("the device is web unless named", async () => {
    const { app, calls } = plainNode();
    await app.inject({ method: "PUT", url: "/v1/users/a%40b/heartbeat" });
    expect(calls).toEqual([["touch", "a@b", "web"]]);
  });

  test("the first beat answers once the session is open", async () => {
    const { app } = node({ touch: async () => ({ ok: true, value: undefined }) });
    const answer = await app.inject({ method: "PUT", url: "/v1/users/ann/heartbeat" });
    expect(answer.statusCode).toBe(204);
    expect(answer.body).toBe("");
  });

  test("a first beat that cannot be written is a problem", async () => {
    const problem = { name: "log-unavailable", detail: "no ack", retryAfterSeconds: 2 } as const;
    const { app } = node({ touch: async () => ({ ok: false, problem }) });
    const answer = await app.inject({ method: "PUT", url: "/v1/users/ann/heartbeat" });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("2");
    expect(answer.json()).toMatchObject({ type: "/problems/log-unavailable" });
  });

  test("is accepted while reads are shed", async () => {
    const { app } = node({}, { gates: gatesUnder({ delayMs: 900 }) });
    const answer = await app.inject({ method: "PUT", url: "/v1/users/ann/heartbeat" });
    expect(answer.statusCode).toBe(204);
  });
});

describe("POST /v1/sessions/{session}/heartbeat", () => {
  test("renews", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/sessions/s1/heartbeat" });
    expect(answer.statusCode).toBe(204);
    expect(calls).toEqual([["heartbeat", "s1"]]);
  });

  test("of an ended session says why, and by whom", async () => {
    const { app } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/sessions/gone/heartbeat" });
    expect(answer.statusCode).toBe(410);
    expect(answer.json()).toMatchObject({ type: "/problems/session-ended", reason: "replaced", by: "s7" });
  });

  test("of an unknown session is not found", async () => {
    const { app } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/sessions/nowhere/heartbeat" });
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ type: "/problems/unknown-session" });
  });
});

describe("POST /v1/heartbeats", () => {
  test("one bad id fails alone", async () => {
    const { app } = node({
      heartbeat: (session) => {
        if (session === "gone") return { reason: "expired", by: "" };
        return session === "s1" || session === "s2" ? undefined : { reason: "unknown", by: "" };
      },
    });
    const tooLong = "x".repeat(LIMITS.sessionBytesMax + 1);
    const payload = { sessions: ["s1", "gone", "no such", "", "__proto__", tooLong, "s2"] };
    const answer = await app.inject({ method: "POST", url: "/v1/heartbeats", payload });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      renewed: 2,
      ended: [
        { session: "gone", reason: "expired" },
        { session: "no such", reason: "unknown" },
        { session: "", reason: "unknown" },
        { session: "__proto__", reason: "unknown" },
        { session: tooLong, reason: "unknown" },
      ],
    });
  });

  test("an id too long to be one is not even looked up", async () => {
    const { app, calls } = plainNode();
    await app.inject({ method: "POST", url: "/v1/heartbeats", payload: { sessions: ["x".repeat(33)] } });
    expect(calls).toEqual([]);
  });

  test("an empty batch renews nothing", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject({ method: "POST", url: "/v1/heartbeats", payload: { sessions: [] } });
    expect(answer.json()).toEqual({ renewed: 0, ended: [] });
    expect(calls).toEqual([]);
  });

  test("a full batch of ids of 22 characters fits into a body", async () => {
    const { app } = plainNode();
    const sessions = Array.from({ length: LIMITS.batchSessionsMax }, (_, i) => String(i).padStart(22, "s"));
    const answer = await app.inject({ method: "POST", url: "/v1/heartbeats", payload: { sessions } });
    expect(answer.json()).toEqual({ renewed: LIMITS.batchSessionsMax, ended: [] });
  });
});

describe("a call without a body", () => {
  test("may name the type that it would have", async () => {
    const { app } = node();
    const headers = { "content-type": "application/json" };
    const beat = await app.inject({ method: "POST", url: "/v1/sessions/s1/heartbeat", headers });
    expect(beat.statusCode).toBe(204);
    const close = await app.inject({ method: "DELETE", url: "/v1/sessions/s1", headers });
    expect(close.statusCode).toBe(200);
  });
});
