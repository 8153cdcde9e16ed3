/** Planned re-homing over HTTP: who asks for it where, and what they are told. */
import { describe, expect, test } from "vitest";

import type { Problem } from "../../../../services/presence/service.ts";
import { node, OPERATIONS, plainNode, TOKEN_TEXT } from "./fake.ts";

const request = (payload: object, query = "") =>
  ({ method: "POST", url: `/v1/users/ann/home${query}`, payload }) as const;

describe("POST /v1/users/{user}/home", () => {
  test("moves the user, and answers with the token of the write", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject(request({ home: "us" }));
    expect([answer.statusCode, answer.json()]).toEqual([200, { token: TOKEN_TEXT }]);
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["rehome", "ann", "us"]]);
  });

  test.each([
    ["no home", {}],
    ["what is no name of a region", { home: "US" }],
    ["an unknown field", { home: "us", reason: "drill" }],
  ])("%s is refused, and nobody moved", async (_what, payload) => {
    const { app, calls } = plainNode();
    const answer = await app.inject(request(payload));
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ type: "/problems/invalid-request" });
    expect(calls).toEqual([]);
  });

  test.each<[number, Problem]>([
    [404, { name: "unknown-user", detail: "nobody" }],
    [409, { name: "not-home", detail: "elsewhere", members: { home: "eu" } }],
    [409, { name: "home-unsettled", detail: "wait", retryAfterSeconds: 1 }],
    [422, { name: "unknown-region", detail: "nowhere" }],
  ])("%i: %j", async (status, problem) => {
    const { app } = node({ rehome: async () => ({ ok: false, problem }) });
    const answer = await app.inject(request({ home: "us" }));
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ type: `/problems/${problem.name}`, ...problem.members });
    expect(answer.headers["retry-after"]).toBe(problem.retryAfterSeconds?.toString());
  });

  test("can wait for a peer to have it", async () => {
    const problem = { name: "not-copied", detail: "no peer", members: { token: TOKEN_TEXT } } as const;
    const { app } = node(
      {},
      { operations: { ...OPERATIONS, confirm: async () => ({ ok: false, problem }) } },
    );
    expect((await app.inject(request({ home: "us" }, "?ack=peer"))).json()).toMatchObject({
      type: "/problems/not-copied",
      token: TOKEN_TEXT,
    });
    expect((await app.inject(request({ home: "us" }))).statusCode).toBe(200);
  });

  test("a node that has not folded the logs moves nobody", async () => {
    const { app, calls } = node({ ready: () => false });
    const answer = await app.inject(request({ home: "us" }));
    expect([answer.statusCode, calls]).toEqual([503, []]);
  });
});
