/** What operators decide: switches, write-offs, and the audit trail. */
import { describe, expect, test } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import { buildGates } from "../../../../services/presence/gates.ts";
import { AT, AT_MS, node, plainNode, TOKEN_TEXT } from "./fake.ts";

const decided = (key: string, value: string) => ({
  key,
  value,
  by: "operator",
  reason: "drill",
  atMs: AT_MS,
});
const decision = { reason: "drill", by: "operator", since: AT };

async function put(url: string, payload: object) {
  const { app, calls } = plainNode();
  return { answer: await app.inject({ method: "PUT", url, payload }), calls };
}
const putSwitch = (payload: object, name = "reads") => put(`/v1/switches/${name}`, payload);
const putWriteOff = (region: string, payload: object) => put(`/v1/regions/${region}/write-off`, payload);

describe("PUT /v1/switches/{class}", () => {
  test.each([
    [{ open: false, reason: "drill" }, "off"],
    [{ open: true, reason: "drill" }, "on"],
    [{ open: false, reason: "drill", expiresInSeconds: 60 }, `off until ${AT_MS + 60_000}`],
  ])("%j is appended to the log, and answers with its token", async (payload, value) => {
    const { answer, calls } = await putSwitch(payload);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ token: TOKEN_TEXT });
    expect(answer.headers["rollcall-token"]).toBe(TOKEN_TEXT);
    expect(calls).toEqual([["decide", "switch:reads", value, "operator", "drill"]]);
  });

  test.each([
    ["no reason", { open: false }, "reads"],
    ["a blank reason", { open: false, reason: " " }, "reads"],
    ["a reason of 201 characters", { open: false, reason: "x".repeat(201) }, "reads"],
    ["a reason of 201 bytes", { open: false, reason: `x${"é".repeat(100)}` }, "reads"],
    ["no such class", { open: false, reason: "drill" }, "watches"],
    ["neither open nor closed", { reason: "drill" }, "reads"],
    ["an end of what is open", { open: true, reason: "drill", expiresInSeconds: 5 }, "reads"],
    ["an end at once", { open: false, reason: "drill", expiresInSeconds: 0 }, "reads"],
    [
      "an end beyond a week",
      { open: false, reason: "drill", expiresInSeconds: LIMITS.switchSecondsMax + 1 },
      "reads",
    ],
  ])("%s is refused and nothing decided", async (_what, payload, name) => {
    const { answer, calls } = await putSwitch(payload, name);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ type: "/problems/invalid-request" });
    expect(calls).toEqual([]);
  });

  test("that cannot be appended is a problem", async () => {
    const problem = { name: "log-unavailable", detail: "no ack", retryAfterSeconds: 1 } as const;
    const { app } = node({ decide: async () => ({ ok: false, problem }) });
    const answer = await app.inject({
      method: "PUT",
      url: "/v1/switches/lists",
      payload: { open: false, reason: "x" },
    });
    expect(answer.statusCode).toBe(503);
  });
});

test("GET /v1/switches tells every class, lowest first, what was decided about it and how much of it is let in", async () => {
  const gates = buildGates();
  gates.lists.judge({ delayMs: 500, queueShare: 0 });
  gates.reads.switch({ reason: "drill", untilMs: AT_MS });
  const settings = new Map([["switch:reads", decided("switch:reads", "off until 1")]]);
  const { app } = node({ settings: () => settings }, { gates });
  expect((await app.inject("/v1/switches")).json()).toEqual({
    switches: [
      { class: "lists", open: true, admitted: 0 },
      { class: "reads", open: false, admitted: 1, until: AT, decision },
      { class: "heartbeats", open: true, admitted: 1 },
      { class: "writes", open: true, admitted: 1 },
    ],
  });
});

test("with every class switched off, an operator can still read why and switch them on", async () => {
  const gates = buildGates();
  for (const gate of Object.values(gates)) gate.switch({ reason: "drill" });
  const { app } = node({}, { gates });
  const request = {
    method: "PUT",
    url: "/v1/switches/writes",
    payload: { open: true, reason: "over" },
  } as const;
  expect((await app.inject(request)).statusCode).toBe(200);
  expect((await app.inject("/v1/switches")).statusCode).toBe(200);
  expect((await app.inject("/v1/audit")).statusCode).toBe(200);
});

describe("PUT /v1/regions/{region}/write-off", () => {
  test.each([
    [true, "written-off"],
    [false, "kept"],
  ])("writtenOff %s is appended to the log", async (writtenOff, value) => {
    const { answer, calls } = await putWriteOff("us", { writtenOff, reason: "flooded" });
    expect([answer.statusCode, answer.json()]).toEqual([200, { token: TOKEN_TEXT }]);
    expect(calls).toEqual([["decide", "peer:us", value, "operator", "flooded"]]);
  });

  test.each([
    ["the own region", "cn", 409, "own-region"],
    ["an unknown region", "mars", 422, "unknown-region"],
  ])("of %s is refused", async (_what, region, status, name) => {
    const { answer, calls } = await putWriteOff(region, { writtenOff: true, reason: "flooded" });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ type: `/problems/${name}` });
    expect(calls).toEqual([]);
  });

  test("without a reason is refused", async () => {
    expect((await putWriteOff("us", { writtenOff: true })).answer.statusCode).toBe(400);
  });
});

test("GET /v1/regions shows which peers are written off, why and since when", async () => {
  const settings = new Map([
    ["peer:us", decided("peer:us", "written-off")],
    ["peer:eu", decided("peer:eu", "kept")],
  ]);
  const { app } = node({ settings: () => settings });
  const { regions } = (await app.inject("/v1/regions")).json<{ regions: Record<string, unknown>[] }>();
  expect(regions.map(({ region, writtenOff }) => [region, writtenOff])).toEqual([
    ["cn", undefined],
    ["us", decision],
    ["eu", undefined],
  ]);
});

describe("GET /v1/audit", () => {
  const audit = [
    decided("switch:reads", "off"),
    decided("switch:reads", "on"),
    decided("peer:us", "written-off"),
  ];
  const entries = async (query: string) => {
    const { app } = node({ audit: () => audit });
    return (await app.inject(`/v1/audit${query}`)).json<{ entries: { key: string; value: string }[] }>()
      .entries;
  };

  test("lists every decision, newest first", async () => {
    expect(await entries("")).toEqual([
      { key: "peer:us", value: "written-off", ...decision },
      { key: "switch:reads", value: "on", ...decision },
      { key: "switch:reads", value: "off", ...decision },
    ]);
  });

  test("as many as asked for", async () => {
    expect((await entries("?limit=1")).map(({ key }) => key)).toEqual(["peer:us"]);
  });
});
