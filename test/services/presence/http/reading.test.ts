/** The reads: shapes, order, paging, and what consistency was asked for and how it was met. */
import { describe, expect, test } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import { patternInWords } from "../../../../services/presence/patterns.ts";
import type { Consistency, ReadOptions } from "../../../../services/presence/service.ts";
import { APPLIED_TEXT, AT, gatesUnder, node, plainNode, OFFLINE, ONLINE, TOKEN, TOKEN_TEXT } from "./fake.ts";

const CONSISTENCY = {
  mode: "any",
  satisfied: true,
  waitedMs: 0,
  servedBy: "cn",
  applied: { cn: 900, us: 40 },
};
const ANN = {
  user: "ann",
  status: "away",
  home: "cn",
  epoch: { generation: 1, count: 2 },
  version: 812,
  sessions: [
    {
      session: "s1",
      region: "cn",
      platform: "ios",
      status: "away",
      since: AT,
      state: { room: 7 },
      freshness: "live",
    },
    {
      session: "s2",
      region: "us",
      platform: "",
      status: "online",
      since: AT,
      provisional: true,
      freshness: "stale",
    },
  ],
  lastSeenAt: AT,
  asOf: AT,
  stalenessMs: 120,
  freshness: "stale",
};
const NOBODY = {
  user: "nobody",
  status: "offline",
  epoch: { generation: 0, count: 0 },
  version: 0,
  sessions: [],
  asOf: AT,
  stalenessMs: 120,
  freshness: "live",
};

/** Every read, so that a rule about reads can be put to all of them. */
const READS = [
  ["GET", "/v1/users/ann/presence"],
  ["GET", "/v1/users/ann/sessions"],
  ["POST", "/v1/presence"],
  ["GET", "/v1/online"],
  ["GET", "/v1/occupancy"],
] as const;

function read(method: "GET" | "POST", url: string, headers: Record<string, string> = {}) {
  return { method, url, headers, ...(method === "POST" && { payload: { users: ["ann"] } }) };
}

describe("answers", () => {
  test("one presence", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/v1/users/ann/presence");
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ ...ANN, consistency: CONSISTENCY });
  });

  test("a user that was never seen is offline, without a home", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/v1/users/nobody/presence");
    expect(answer.json()).toEqual({ ...NOBODY, consistency: CONSISTENCY });
  });

  test("what rests on a region never heard of has no time", async () => {
    const view = { ...OFFLINE, asOfMs: null, stalenessMs: null, freshness: "unknown" } as const;
    const { app } = node({ presence: () => view });
    const answer = await app.inject("/v1/users/nobody/presence");
    expect(answer.json()).toMatchObject({ asOf: null, stalenessMs: null, freshness: "unknown" });
  });

  test("many presences in the order asked, twice if asked twice", async () => {
    const { app } = plainNode();
    const payload = { users: ["nobody", "ann", "nobody"] };
    const answer = await app.inject({ method: "POST", url: "/v1/presence", payload });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ presences: [NOBODY, ANN, NOBODY], consistency: CONSISTENCY });
  });

  test("a user's sessions name their devices", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/v1/users/ann/sessions");
    const [first, second] = ANN.sessions;
    expect(answer.json()).toEqual({
      user: "ann",
      sessions: [{ ...first, device: "phone" }, second],
      asOf: AT,
      stalenessMs: 120,
      freshness: "stale",
      consistency: CONSISTENCY,
    });
  });

  test.each(["not json", "[1]", "null", "7"])("a foreign state %j is left out", async (state) => {
    const [session] = ONLINE.sessions;
    if (session === undefined) throw new Error("the sample has a session");
    const { app } = node({ presence: () => ({ ...ONLINE, sessions: [{ ...session, state }] }) });
    const answer = await app.inject("/v1/users/ann/presence");
    expect(answer.statusCode).toBe(200);
    expect(answer.json().sessions[0]).not.toHaveProperty("state");
  });

  test("occupancy by region", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/v1/occupancy");
    expect(answer.json()).toEqual({
      users: 3,
      sessions: 5,
      byRegion: {
        cn: { users: 2, sessions: 3, freshness: "live" },
        us: { users: 1, sessions: 2, freshness: "stale" },
      },
      consistency: CONSISTENCY,
    });
  });
});

test("what another region answered is told as it is, with that region's vector as the token", async () => {
  const applied = new Map([["cn", { logId: "logA", position: 950 }]]);
  const consistency = {
    mode: "token",
    satisfied: true,
    waitedMs: 80,
    servedBy: "home:us",
    applied: { cn: 950 },
  } as const;
  const { app } = node({
    read: async () => ({ ok: true, value: { presences: [ONLINE], consistency, applied } }),
  });
  for (const [method, url] of READS.slice(0, 3)) {
    const answer = await app.inject(read(method, url, { "rollcall-token": TOKEN_TEXT }));
    expect(answer.statusCode).toBe(200);
    expect(answer.json().consistency).toEqual(consistency);
    expect(answer.headers["rollcall-token"]).toBe("1.cn:logA:950");
  }
});

test.each([
  ["/v1/occupancy?waitMs=-1", "query/waitMs must be >= 0"],
  ["/v1/online?limit=-1", "query/limit must be >= 1"],
  ["/v1/occupancy?maxStalenessMs=-1", "query/maxStalenessMs must be >= 0"],
  ["/v1/occupancy?waitMs=5s", "query/waitMs must be integer"],
  ["/v1/users/a%20b/presence", "path/user must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"],
  [
    "/v1/online?region=CN",
    "query/region must be a region's name: 1 to 16 characters of a-z 0-9 -, the first a letter",
  ],
])("%s is told what is wrong with it, in words", async (url, detail) => {
  const { app } = plainNode();
  expect((await app.inject(url)).json()).toMatchObject({ status: 400, detail });
});

test("every pattern of the API has words", async () => {
  const patterns = new Set<string>();
  JSON.stringify((await plainNode().app.inject("/openapi.json")).json(), (key, value: unknown) => {
    if (key === "pattern") patterns.add(String(value));
    return value;
  });
  const inGeneral = [...patterns].filter((one) => patternInWords(one) === patternInWords("another"));
  expect([patterns.size > 5, inGeneral]).toEqual([true, []]);
});

describe("GET /v1/online", () => {
  test("a page and its cursor", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject("/v1/online?region=us&home=cn&limit=7&cursor=abc");
    expect(answer.json()).toEqual({ users: [ANN], cursor: "next", consistency: CONSISTENCY });
    expect(calls).toContainEqual(["online", { limit: 7, region: "us", home: "cn", cursor: "abc" }]);
  });

  test("the last page has no cursor, and a page has 100 users unless asked otherwise", async () => {
    const { app, calls } = node({ online: () => ({ users: [] }) });
    const answer = await app.inject("/v1/online");
    expect(answer.json()).toEqual({ users: [], consistency: CONSISTENCY });
    expect(calls).toContainEqual(["online", { limit: 100 }]);
  });

  test("a cursor of nowhere is refused", async () => {
    const { app } = plainNode();
    const answer = await app.inject("/v1/online?cursor=bad");
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ type: "/problems/invalid-cursor" });
  });

  test.each(["region", "home"])("an unknown %s is refused", async (name) => {
    const { app, calls } = plainNode();
    const answer = await app.inject(`/v1/online?${name}=mars`);
    expect(answer.statusCode).toBe(422);
    expect(answer.json()).toMatchObject({ type: "/problems/unknown-region" });
    expect(calls).toEqual([]);
  });
});

describe.each(READS)("%s %s", (method, url) => {
  test("without a token asks for nothing, and answers with the applied vector", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject(read(method, url));
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["rollcall-token"]).toBe(APPLIED_TEXT);
    expect(answer.json().consistency).toEqual(CONSISTENCY);
    expect(calls[0]).toEqual(["consistency", { mode: "any" }]);
  });

  test("takes the token in the header or in the query, or in both if it is the same", async () => {
    const asked = ["consistency", { mode: "token", token: TOKEN, waitMs: 0 }];
    const header = { "rollcall-token": TOKEN_TEXT };
    for (const request of [
      read(method, url, header),
      read(method, `${url}?token=${TOKEN_TEXT}`),
      read(method, `${url}?token=${TOKEN_TEXT}`, header),
      read(method, `${url}?consistency=token`, header),
    ]) {
      const { app, calls } = plainNode();
      const answer = await app.inject(request);
      expect(answer.statusCode).toBe(200);
      expect(answer.json().consistency).toMatchObject({ mode: "token" });
      expect(calls[0]).toEqual(asked);
    }
  });

  test("a token that the mode does not wait for is refused, in the header as well", async () => {
    for (const query of ["consistency=any", "consistency=bounded&maxStalenessMs=5"]) {
      const { app, calls } = plainNode();
      const answer = await app.inject(read(method, `${url}?${query}`, { "rollcall-token": TOKEN_TEXT }));
      expect(answer.json()).toMatchObject({ type: "/problems/conflicting-consistency", status: 400 });
      expect(calls).toEqual([]);
    }
  });

  test.each<[string, ReadOptions]>([
    ["consistency=bounded&maxStalenessMs=5", { mode: "bounded", maxStalenessMs: 5, waitMs: 0 }],
    ["maxStalenessMs=0&waitMs=7", { mode: "bounded", maxStalenessMs: 0, waitMs: 7 }],
    ["consistency=latest", { mode: "latest", waitMs: LIMITS.latestWaitMs }],
    [`consistency=latest&waitMs=9&token=${TOKEN_TEXT}`, { mode: "latest", token: TOKEN, waitMs: 9 }],
  ])("%s asks for that", async (query, options) => {
    const { app, calls } = plainNode();
    const answer = await app.inject(read(method, `${url}?${query}`));
    expect(answer.statusCode).toBe(200);
    expect(answer.json().consistency).toMatchObject({ mode: options.mode });
    expect(calls[0]).toEqual(["consistency", options]);
  });

  test("an unmet token is an answer that says what is missing", async () => {
    const met: Consistency = {
      mode: "token",
      satisfied: false,
      waitedMs: 250,
      servedBy: "cn",
      applied: { cn: 809 },
      missing: { cn: 3 },
    };
    const { app, calls } = node({ consistency: async () => ({ ok: true, value: met }) });
    const answer = await app.inject(read(method, `${url}?waitMs=250&token=${TOKEN_TEXT}`));
    expect(answer.statusCode).toBe(200);
    expect(answer.json().consistency).toEqual(met);
    expect(calls[0]).toEqual(["consistency", { mode: "token", token: TOKEN, waitMs: 250 }]);
  });

  test("a token of a replaced log is a conflict", async () => {
    const problem = { name: "token-log-replaced", detail: "cn", members: { region: "cn" } } as const;
    const { app } = node({ consistency: async () => ({ ok: false, problem }) });
    const answer = await app.inject(read(method, `${url}?token=${TOKEN_TEXT}`));
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({ type: "/problems/token-log-replaced", region: "cn" });
  });

  test.each([
    ["?consistency=bounded", "conflicting-consistency"],
    ["?consistency=latest&maxStalenessMs=5", "conflicting-consistency"],
    ["?consistency=any&maxStalenessMs=5", "conflicting-consistency"],
    [`?maxStalenessMs=5&token=${TOKEN_TEXT}`, "conflicting-consistency"],
    [`?consistency=any&token=${TOKEN_TEXT}`, "conflicting-consistency"],
    [`?consistency=bounded&maxStalenessMs=5&token=${TOKEN_TEXT}`, "conflicting-consistency"],
    ["?consistency=token", "missing-token"],
    ["?token=", "malformed-token"],
    ["?token=2.cn:logA:1", "malformed-token"],
    ["?token=1.cn:logA:-1", "malformed-token"],
    ["?token=1.cn:logA:1,cn:logA:2", "malformed-token"],
    ["?token=1.cn:logA:99999999999999999", "malformed-token"],
    ["?consistency=any&token=garbage", "malformed-token"],
    ["?consistency=strong", "invalid-request"],
    ["?waitMs=5001", "invalid-request"],
    ["?waitMs=-1", "invalid-request"],
    ["?waitMs=-0", "invalid-request"],
    ["?waitMs=1.5", "invalid-request"],
    ["?waitMs=1e3", "invalid-request"],
    ["?waitMs=", "invalid-request"],
    ["?waitMs=1&waitMs=2", "invalid-request"],
    ["?waitms=1", "invalid-request"],
    ["?__proto__=1", "invalid-request"],
    ["?constructor=1", "invalid-request"],
  ])("%s is refused before the service is asked", async (query, name) => {
    const { app, calls } = plainNode();
    const answer = await app.inject(read(method, url + query));
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ type: `/problems/${name}`, status: 400 });
    expect(calls).toEqual([]);
  });

  test("a token longer than any is refused before the service is asked", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject(read(method, `${url}?token=1.${"x".repeat(5_000)}`));
    expect(answer.json()).toMatchObject({ type: "/problems/malformed-token", status: 400 });
    expect(calls).toEqual([]);
  });

  test("two different tokens are refused", async () => {
    const { app, calls } = plainNode();
    const answer = await app.inject(
      read(method, `${url}?token=1.cn:logA:1`, { "rollcall-token": TOKEN_TEXT }),
    );
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ type: "/problems/conflicting-tokens" });
    expect(calls).toEqual([]);
  });

  test("is shed while the node is overloaded", async () => {
    const { app, calls } = node({}, { gates: gatesUnder({ delayMs: 300 }) });
    const answer = await app.inject(read(method, url));
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.json()).toMatchObject({ type: "/problems/overloaded" });
    expect(calls).toEqual([]);
  });
});
