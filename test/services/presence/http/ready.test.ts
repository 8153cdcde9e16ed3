/** Until the logs are folded, nothing is answered that would be wrongly empty. */
import { describe, expect, test } from "vitest";

import { node } from "./fake.ts";

const REQUESTS = [
  ["POST", "/v1/sessions", { user: "ann" }],
  ["PATCH", "/v1/sessions/abc", { status: "away" }],
  ["DELETE", "/v1/sessions/abc", undefined],
  ["GET", "/v1/users/ann/presence", undefined],
  ["GET", "/v1/users/ann/sessions", undefined],
  ["POST", "/v1/presence", { users: ["ann"] }],
  ["GET", "/v1/online", undefined],
  ["GET", "/v1/occupancy", undefined],
] as const;

const heartbeat = (session: string) =>
  session === "held" ? undefined : ({ reason: "unknown", by: "" } as const);

describe("a node that is still folding the logs", () => {
  test.each(REQUESTS)(
    "answers %s %s with 503 not-ready and asks the service nothing",
    async (method, url, payload) => {
      const { app, calls } = node({ ready: () => false });
      const reply = await app.inject({ method, url, ...(payload === undefined ? {} : { payload }) });
      expect(reply.statusCode).toBe(503);
      expect(reply.headers["retry-after"]).toBe("1");
      expect(reply.json()).toMatchObject({ type: expect.stringContaining("not-ready") });
      expect(calls).toEqual([]);
    },
  );

  test.each([
    ["/v1/sessions/abc/heartbeat", undefined],
    ["/v1/heartbeats", { sessions: ["abc", "held"] }],
  ] as const)("judges no session that it does not hold: POST %s", async (url, payload) => {
    const { app } = node({ ready: () => false, heartbeat });
    const reply = await app.inject({ method: "POST", url, ...(payload === undefined ? {} : { payload }) });
    expect(reply.statusCode).toBe(503);
    expect(reply.headers["retry-after"]).toBe("1");
    expect(reply.json()).toMatchObject({ type: expect.stringContaining("not-ready") });
  });

  test.each([
    ["/v1/sessions/held/heartbeat", undefined, 204],
    ["/v1/heartbeats", { sessions: ["held"] }, 200],
  ] as const)(
    "renews what it holds, for it may only have stood still: POST %s",
    async (url, payload, status) => {
      const { app, calls } = node({ ready: () => false, heartbeat });
      const reply = await app.inject({ method: "POST", url, ...(payload === undefined ? {} : { payload }) });
      expect(reply.statusCode).toBe(status);
      expect(calls).toContainEqual(["heartbeat", "held"]);
    },
  );

  test("names what it waits for, where that is not the logs", async () => {
    const waiting = "waiting until a peer has said something";
    for (const [startingWith, said] of [
      [waiting, waiting],
      ["", "still folding the logs"],
    ] as const) {
      const { app } = node({ ready: () => false, startingWith: () => startingWith, heartbeat });
      const replies = await Promise.all([
        app.inject("/v1/online"),
        app.inject({ method: "POST", url: "/v1/heartbeats", payload: { sessions: ["abc"] } }),
      ]);
      for (const reply of replies)
        expect(reply.json()).toMatchObject({ status: 503, detail: `This node is not ready: ${said}.` });
    }
  });

  test("still says that it is alive, and shows the replication matrix", async () => {
    const { app } = node({ ready: () => false });
    const replies = await Promise.all(
      ["/livez", "/v1/replication", "/metrics"].map((url) => app.inject({ url })),
    );
    expect(replies.map((reply) => reply.statusCode)).toEqual([200, 200, 200]);
  });
});
