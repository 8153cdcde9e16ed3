/** Evacuation over HTTP: who asks for what, and what they are told. */
import { describe, expect, test } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import type { RegionView } from "../../../../services/presence/evacuation-view.ts";
import type { Problem } from "../../../../services/presence/service.ts";
import { AT, AT_MS, EVACUATING, node, PLAN, plainNode, TOKEN_TEXT } from "./fake.ts";

const progress = {
  state: "evacuating",
  usersLeft: 5,
  holds: [{ reason: "heir-evacuated", detail: "us is evacuated itself" }],
  to: "us",
  until: AT,
  decision: { reason: "drill", by: "operator", since: AT },
};
const defaults = { region: "cn", by: "operator", reason: "drill", dryRun: false, force: false };

async function post(what: "evacuate" | "restore", payload: object, region = "cn") {
  const { app, calls } = plainNode();
  const answer = await app.inject({ method: "POST", url: `/v1/regions/${region}/${what}`, payload });
  return { answer, calls };
}

describe("POST /v1/regions/{region}/evacuate", () => {
  test.each([
    [{ to: "us", reason: "drill" }, {}],
    [{ to: "us", reason: "drill", force: true }, { force: true }],
    [{ to: "us", reason: "drill", expiresInSeconds: 60 }, { untilMs: AT_MS + 60_000 }],
  ])("%j answers with the plan, the progress and the token of the decision", async (payload, asked) => {
    const { answer, calls } = await post("evacuate", payload);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ plan: PLAN, evacuation: progress, homes: 5, token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["evacuate", { ...defaults, to: "us", ...asked }]]);
  });

  test("a dry run has no token", async () => {
    const { answer } = await post("evacuate", { to: "us", reason: "drill", dryRun: true });
    expect(answer.json()).toEqual({ plan: PLAN, evacuation: progress, homes: 5 });
    expect(answer.headers["rollcall-token"]).toBeUndefined();
  });

  test.each([
    ["no heir", { reason: "drill" }],
    ["no reason", { to: "us" }],
    ["a blank reason", { to: "us", reason: " " }],
    ["a reason of 201 bytes", { to: "us", reason: `x${"é".repeat(100)}` }],
    ["a reason with a line's end", { to: "us", reason: "drill\n" }],
    ["a reason that turns the text", { to: "us", reason: "a\u202eb" }],
    ["a reason with half a character", { to: "us", reason: "\ud800" }],
    ["an end at once", { to: "us", reason: "drill", expiresInSeconds: 0 }],
    ["an end beyond a week", { to: "us", reason: "drill", expiresInSeconds: LIMITS.switchSecondsMax + 1 }],
    ["an unknown field", { to: "us", reason: "drill", users: 7 }],
  ])("%s is refused and nothing decided", async (_what, payload) => {
    const { answer, calls } = await post("evacuate", payload);
    expect([answer.statusCode, calls]).toEqual([400, []]);
    expect(answer.json()).toMatchObject({ type: "/problems/invalid-request" });
  });

  test.each<[number, Problem]>([
    [409, { name: "evacuation-refused", detail: "no", members: { reasons: [...PLAN.refusals] } }],
    [409, { name: "other-region", detail: "ask there", members: { region: "us" } }],
    [422, { name: "unknown-region", detail: "nowhere" }],
    [503, { name: "log-unavailable", detail: "no ack", retryAfterSeconds: 1 }],
  ])("%i: %j", async (status, problem) => {
    const { app } = node({ evacuate: async () => ({ ok: false, problem }) });
    const payload = { to: "us", reason: "drill" };
    const answer = await app.inject({ method: "POST", url: "/v1/regions/cn/evacuate", payload });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ type: `/problems/${problem.name}`, ...problem.members });
  });
});

describe("POST /v1/regions/{region}/restore", () => {
  test("answers like that", async () => {
    const { answer, calls } = await post("restore", { reason: "drill" });
    expect(answer.json()).toMatchObject({
      evacuation: { ...progress, state: "restoring" },
      token: TOKEN_TEXT,
    });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["restore", defaults]]);
  });

  test("has no heir to name", async () => {
    const { answer, calls } = await post("restore", { to: "us", reason: "drill" });
    expect([answer.statusCode, calls]).toEqual([400, []]);
  });
});

test("GET /v1/regions tells of every region how many live there, its nodes and how its evacuation goes", async () => {
  const { app } = node();
  const { regions } = (await app.inject("/v1/regions")).json();
  expect(regions).toMatchObject([
    { region: "cn", homes: 5, nodes: ["cn-1"], evacuation: progress },
    { region: "us", homes: 2, evacuation: { state: "home" } },
    { region: "eu", homes: 0, evacuation: { state: "home" } },
  ]);
});

const SUCCEEDED: RegionView = {
  state: "home",
  homes: 2,
  nodes: [],
  succession: { heir: "us", generation: 3, phase: "succeed", sinceMs: AT_MS, reason: "quake" },
};
const succession = { heir: "us", generation: 3, phase: "succeed", since: AT, reason: "quake" };

test("a succession is in the regions, in the answer, and in the metrics", async () => {
  const plan = { ...PLAN, lost: { position: 4, folded: { eu: 5 }, watermarkAgeMs: null } };
  const { app } = node({
    evacuations: () => new Map([["eu", SUCCEEDED]]),
    evacuate: async () => ({ ok: true, value: { plan, evacuation: SUCCEEDED } }),
  });
  const { regions } = (await app.inject("/v1/regions")).json();
  expect(regions[0]).not.toHaveProperty("succession");
  expect(regions[2]).toMatchObject({ region: "eu", succession });
  const payload = { to: "us", reason: "quake" };
  const answer = await app.inject({ method: "POST", url: "/v1/regions/eu/evacuate", payload });
  expect(answer.json()).toEqual({ plan, evacuation: { state: "home" }, homes: 2, succession });
  const lines = (await app.inject("/metrics")).body.split("\n");
  expect(lines.filter((line) => line.startsWith("rollcall_succession_"))).toEqual([
    'rollcall_succession_phase{region="eu",heir="us",phase="succeed"} 1',
    'rollcall_succession_generation{region="eu"} 3',
  ]);
});

test("/metrics has the users left of every region that counted them", async () => {
  const counting = { ...EVACUATING, state: "restoring", usersLeft: null } as const;
  const { app } = node({
    evacuations: () =>
      new Map([
        ["cn", EVACUATING],
        ["us", counting],
        ["eu", { state: "home" as const, homes: 2, nodes: [] }],
      ]),
  });
  const lines = (await app.inject("/metrics")).body.split("\n");
  expect(lines.filter((line) => /^rollcall_(evacuation_users_left|users_homed)\{/.test(line))).toEqual([
    'rollcall_users_homed{region="cn"} 5',
    'rollcall_users_homed{region="us"} 5',
    'rollcall_users_homed{region="eu"} 2',
    'rollcall_evacuation_users_left{region="cn"} 5',
  ]);
});
