/** Until the logs are folded, nothing is answered that would be wrongly empty. */
import { describe, expect, test } from "vitest";

import { node } from "./fake.ts";

const REQUESTS = [
  ["POST", "/v1/sessions", { user: "ann" }],
  ["POST", "/v1/sessions/abc/heartbeat", undefined],
  ["POST", "/v1/heartbeats", { sessions: ["abc"] }],
  ["PATCH", "/v1/sessions/abc", { status: "away" }],
  ["DELETE", "/v1/sessions/abc", undefined],
  ["GET", "/v1/users/ann/presence", undefined],
  ["GET", "/v1/users/ann/sessions", undefined],
  ["POST", "/v1/presence", { users: ["ann"] }],
  ["GET", "/v1/online", undefined],
  ["GET", "/v1/occupancy", undefined],
] as const;

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

  test("still says that it is alive, and shows the replication matrix", async () => {
    const { app } = node({ ready: () => false });
    const replies = await Promise.all(
      ["/livez", "/v1/replication", "/metrics"].map((url) => app.inject({ url })),
    );
    expect(replies.map((reply) => reply.statusCode)).toEqual([200, 200, 200]);
  });
});
