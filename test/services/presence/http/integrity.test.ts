/** Writes that want another region's word, verification, and snapshots on request. */
import { describe, expect, it } from "vitest";

import type { NodeOperations } from "../../../../services/presence/operations.ts";
import { OPERATIONS, node } from "./fake.ts";

const NOT_COPIED: NodeOperations = {
  ...OPERATIONS,
  confirm: async () => ({
    ok: false,
    problem: { name: "not-copied", detail: "no", members: { token: "1.cn:logA:812" }, retryAfterSeconds: 1 },
  }),
};

const WRITES = [
  { method: "POST", url: "/v1/sessions", payload: { user: "ann" } },
  { method: "PATCH", url: "/v1/sessions/s1", payload: { status: "away" } },
  { method: "DELETE", url: "/v1/sessions/s1" },
  { method: "DELETE", url: "/v1/users/ann/sessions" },
  { method: "PUT", url: "/v1/users/ann/status", payload: { status: "busy" } },
] as const;

describe("ack=peer", () => {
  it.each(WRITES)(
    "$method $url asks for a peer's word, and ack=local does not",
    async ({ url, ...write }) => {
      let asked = 0;
      const confirm: NodeOperations["confirm"] = async () => {
        asked += 1;
        return { ok: true, value: undefined };
      };
      const { app } = node({}, { operations: { ...OPERATIONS, confirm } });
      const local = await app.inject({ ...write, url: `${url}?ack=local` });
      expect(local.statusCode).toBeLessThan(300);
      expect(asked).toBe(0);
      const peer = await app.inject({ ...write, url: `${url}?ack=peer` });
      expect(peer.statusCode).toBe(local.statusCode);
      expect(asked).toBe(1);
    },
  );

  it.each(WRITES)(
    "$method $url without one is 503 not-copied, and says what was written",
    async ({ url, ...write }) => {
      const { app } = node({}, { operations: NOT_COPIED });
      const answer = await app.inject({ ...write, url: `${url}?ack=peer` });
      expect(answer.statusCode).toBe(503);
      expect(answer.headers["retry-after"]).toBeDefined();
      expect(answer.json()).toMatchObject({ type: "/problems/not-copied", token: "1.cn:logA:812" });
    },
  );

  it("a login that is not copied names its session, which is open here", async () => {
    const { app } = node({}, { operations: NOT_COPIED });
    const answer = await app.inject({ ...WRITES[0], url: "/v1/sessions?ack=peer" });
    expect(answer.json()).toMatchObject({ session: "s9" });
  });

  it("another word is refused, and nothing is written", async () => {
    const { app, calls } = node();
    const answer = await app.inject({ ...WRITES[0], url: "/v1/sessions?ack=all" });
    expect(answer.statusCode).toBe(400);
    expect(calls).toEqual([]);
  });
});

describe("POST /v1/verify", () => {
  it("answers with the records that differ, and repairs only when told to", async () => {
    const { app } = node();
    const looked = await app.inject({ method: "POST", url: "/v1/verify", payload: {} });
    expect(looked.json()).toEqual({
      compared: 3,
      differences: [{ region: "us", bucket: 7, user: "ann" }],
      repaired: false,
    });
    const repaired = await app.inject({ method: "POST", url: "/v1/verify", payload: { repair: true } });
    expect(repaired.json()).toMatchObject({ repaired: true });
  });

  it("of a region that does not exist is refused", async () => {
    const answer = await node().app.inject({
      method: "POST",
      url: "/v1/verify",
      payload: { origin: "mars" },
    });
    expect(answer.statusCode).toBe(422);
  });
});

describe("POST /v1/snapshots", () => {
  it("answers with the snapshot's name, size and vector", async () => {
    const answer = await node().app.inject({ method: "POST", url: "/v1/snapshots" });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toEqual({ name: "cn-1", bytes: 4_000, token: "1.cn:logA:812" });
  });
});
