/** The smoke's own judges, given wrong answers on purpose: each must be caught, and nothing may be caught that is not wrong. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Presence, RegionApi } from "../../infra/demo/api.ts";
import { Checker } from "../../infra/demo/checker.ts";
import { describeDifference } from "../../infra/demo/compare.ts";
import { StubRegion } from "./http-stub.ts";

/** What the stub says of the tracked user, and of heartbeats. */
let says = { status: "online", freshness: "live", ended: false };
let stub: StubRegion;
let api: RegionApi;
let checker: Checker;

function presence(user: string, session: string, changes: Partial<Presence> = {}): Presence {
  const sessions = [{ session, region: "cn", platform: "", status: "online", freshness: "live" }];
  const epoch = { generation: 0, count: 0 };
  return { user, status: "online", home: "cn", epoch, version: 7, sessions, freshness: "live", ...changes };
}

beforeEach(async () => {
  says = { status: "online", freshness: "live", ended: false };
  stub = new StubRegion((_method, path) => {
    if (path === "/v1/sessions")
      return {
        status: 201,
        body: { session: "s1", user: "u1", home: "cn", region: "cn", heartbeatSeconds: 30, token: "1." },
      };
    if (path === "/v1/heartbeats")
      return {
        status: 200,
        body: { renewed: 1, ended: says.ended ? [{ session: "s1", reason: "unknown" }] : [] },
      };
    const { status, freshness } = says;
    return { status: 200, body: { presences: [presence("u1", "s1", { status, freshness })] } };
  });
  api = await stub.start();
  checker = new Checker({ cn: api, us: api, eu: api });
  const login = await checker.login("cn", { user: "u1" });
  if (!login.ok) throw new Error(login.reason);
  checker.start();
  await vi.waitUntil(() => checker.counts().judgedReads > 0);
});

afterEach(async () => {
  await checker.stop();
  await stub.stop();
});

test("a session that was seen online and is then read as offline by a replica in touch is a false offline", async () => {
  says = { ...says, status: "offline" };
  await vi.waitFor(() => expect(checker.counts().falseOffline).toBeGreaterThan(0));
  expect(checker.examples[0]).toMatch(/^u1 \(connected to cn\) read as offline, live, at /);
});

test("offline from a replica that says it is not in touch is counted apart", async () => {
  says = { ...says, status: "offline", freshness: "stale" };
  await vi.waitFor(() => expect(checker.counts().staleOffline).toBeGreaterThan(0));
  expect(checker.counts().falseOffline).toBe(0);
});

test("unknown is no offline", async () => {
  says = { ...says, status: "unknown", freshness: "unknown" };
  const before = checker.counts().judgedReads;
  await vi.waitFor(() => expect(checker.counts().judgedReads).toBeGreaterThan(before + 3));
  expect(checker.counts()).toMatchObject({ falseOffline: 0, staleOffline: 0 });
});

test("a heartbeat of a live session that is told to be over is counted", async () => {
  says = { ...says, ended: true };
  await vi.waitFor(() => expect(checker.counts().refusedHeartbeats).toBeGreaterThan(0));
});

test("an acknowledged login is lost where its session is in no user's list", () => {
  expect(checker.missingIn([presence("u1", "s1")])).toEqual([]);
  expect(checker.missingIn([presence("u1", "other")])).toEqual(["u1"]);
  expect(checker.missingIn([])).toEqual(["u1"]);
});

const difference = (...[cn, us, eu]: Presence[][]): string | undefined =>
  describeDifference({ cn: cn ?? [], us: us ?? [], eu: eu ?? [] });

test("states are equal only with the same users, records and sessions, each once, and with somebody in them", () => {
  const one = presence("u1", "s1");
  expect(difference([one], [one], [one])).toBeUndefined();
  expect(difference([one], [{ ...one, freshness: "stale" }], [one])).toBeUndefined();
  expect(difference([], [], [])).toBe("nobody is online anywhere");
  expect(difference([one], [one], [])).toMatch(/^1 of 1 users differ/);
  expect(difference([one], [{ ...one, version: 8 }], [one])).toMatch(/differ/);
  expect(difference([one], [one], [presence("u1", "s2")])).toMatch(/differ/);
  expect(difference([one, one], [one], [one])).toBe("cn lists a user twice");
});
