/** What operators and their tools read: the matrix, the regions, the token, health, and the problem pages. */
import { describe, expect, test } from "vitest";

import { PROBLEMS } from "../../../../services/presence/problems.ts";
import { APPLIED_TEXT, AT, gatesUnder, LINK, node, plainNode, SILENT_LINK } from "./fake.ts";

test("GET /v1/token is the applied vector", async () => {
  const { app } = plainNode();
  const answer = await app.inject("/v1/token");
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["rollcall-token"]).toBe(APPLIED_TEXT);
  expect(answer.json()).toEqual({ token: APPLIED_TEXT, applied: { cn: 900, us: 40 } });
});

test("GET /v1/replication has a row for each link, and null where there is no data", async () => {
  const { app } = plainNode();
  const answer = await app.inject("/v1/replication");
  expect(answer.statusCode).toBe(200);
  const { sinceMs: _since, verifiedMs: _at, ...link } = LINK;
  const { sinceMs: _none, verifiedMs: _never, ...silent } = SILENT_LINK;
  expect(answer.json()).toEqual({
    region: "cn",
    applied: { cn: { logId: "logA", position: 900 }, us: { logId: "logB", position: 40 } },
    links: [
      { ...link, since: AT, lastVerifiedAt: AT },
      { ...silent, since: null, lastVerifiedAt: null },
    ],
  });
});

test("GET /v1/regions lists every region, without numbers for one that nothing is known of", async () => {
  const { app } = plainNode();
  const answer = await app.inject("/v1/regions");
  expect(answer.json()).toMatchObject({
    region: "cn",
    regions: [
      { region: "cn", users: 2, sessions: 3, freshness: "live" },
      { region: "us", users: 1, sessions: 2, freshness: "stale" },
      { region: "eu", users: null, sessions: null, freshness: "unknown" },
    ],
  });
});

describe("health", () => {
  const log = { name: "log", ok: false, detail: "no ack for 2 s" };
  const fold = { name: "fold", ok: true, detail: "caught up" };

  test("a process that answers is live, and nothing is asked of the service", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject("/livez");
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ status: "live" });
    expect(calls).toEqual([]);
  });

  test("ready when every check is ok", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/readyz");
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ status: "ready" });
  });

  test.each(["verbose", "verbose=1", "verbose=true"])("?%s lists the checks", async (query) => {
    const { app } = plainNode();
    const answer = await app.inject(`/readyz?${query}`);
    expect(answer.json()).toEqual({
      status: "ready",
      checks: [{ name: "log", ok: true, detail: "appending" }, fold],
    });
  });

  test("not ready names what fails", async () => {
    const { app } = node({ health: () => [log, fold] });
    const answer = await app.inject("/readyz");
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.json()).toMatchObject({
      type: "/problems/not-ready",
      detail: "Failing: log.",
      checks: [log],
    });
    const verbose = await app.inject("/readyz?verbose");
    expect(verbose.statusCode).toBe(503);
    expect(verbose.json()).toMatchObject({ checks: [log, fold] });
  });

  test.each(["/livez", "/readyz", "/metrics", "/v1/switches"])(
    "%s is answered however loaded",
    async (url) => {
      const { app } = node({}, { gates: gatesUnder({ delayMs: 60_000, queueShare: 1 }) });
      expect((await app.inject(url)).statusCode).toBe(200);
    },
  );
});

test.each(Object.entries(PROBLEMS))("GET /problems/%s explains it", async (name, kind) => {
  const { app } = plainNode();
  const answer = await app.inject(`/problems/${name}`);
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual({ type: `/problems/${name}`, ...kind });
});

describe("a defect of the node", () => {
  test("is answered without its message, and logged once with it", async () => {
    const events: unknown[] = [];
    const boom = new Error("secret of the node");
    const fail = () => {
      throw boom;
    };
    const { app } = node({ occupancy: fail }, { logger: { error: (event: unknown) => events.push(event) } });
    const answer = await app.inject("/v1/occupancy");
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ type: "/problems/internal", status: 500 });
    expect(answer.body).not.toContain("secret");
    expect(events).toEqual([{ event: "request-failed", method: "GET", route: "/v1/occupancy", err: boom }]);
  });

  test("a refused request is not logged", async () => {
    const events: unknown[] = [];
    const { app } = node({}, { logger: { error: (event: unknown) => events.push(event) } });
    await app.inject("/v1/online?limit=x");
    expect(events).toEqual([]);
  });

  test("a rejected write is one too", async () => {
    const { app } = node({ closeSession: () => Promise.reject(new Error("lost")) });
    const answer = await app.inject({ method: "DELETE", url: "/v1/sessions/s1" });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ type: "/problems/internal" });
  });
});
