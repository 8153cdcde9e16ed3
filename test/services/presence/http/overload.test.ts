/** The watch of the event loop and what follows from it: a loop that is late all the time closes gates; one pause does not. */
import { Agent, request } from "node:http";

import { describe, expect, test, vi } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import { buildGates, REQUEST_CLASSES } from "../../../../services/presence/gates.ts";
import { Line } from "../../../../services/presence/line.ts";
import { judgeGates, watchEventLoop } from "../../../../services/presence/overload.ts";
import { AT_MS, COUNTERS, gatesUnder, node, OFFLINE, recordingService } from "./fake.ts";

const LATE_MS = 300;

/** Keeps the thread for `ms`, as a handler that computes would. */
function hold(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe("the delay of the event loop", () => {
  test("is told while the loop is late, and is gone when it is not", async () => {
    let delayMs = 0;
    const watch = watchEventLoop((ms) => (delayMs = ms));
    try {
      const late = setInterval(() => hold(LATE_MS), 1);
      await vi.waitFor(() => expect(delayMs).toBeGreaterThan(LIMITS.shedReadsMs), {
        timeout: 15_000,
        interval: 20,
      });
      clearInterval(late);
      await vi.waitFor(() => expect(delayMs).toBeLessThan(LIMITS.shedListsMs / 2), {
        timeout: 15_000,
        interval: 20,
      });
    } finally {
      watch.stop();
    }
  }, 40_000);

  test("is not told of one pause, however long", async () => {
    const told: number[] = [];
    const watch = watchEventLoop((ms) => told.push(ms));
    try {
      hold(3 * LIMITS.judgeMs);
      await vi.waitFor(() => expect(told.length).toBeGreaterThan(2), { timeout: 15_000, interval: 20 });
      expect(Math.max(...told)).toBeLessThan(LIMITS.shedReadsMs);
    } finally {
      watch.stop();
    }
  }, 40_000);
});

function slowPresence() {
  hold(60);
  return OFFLINE;
}

test("of reads that come in one turn, whoever would wait longer than reads may is refused", async () => {
  const gates = buildGates();
  const { app } = node({ presence: slowPresence }, { gates, line: new Line([gates.reads, gates.lists]) });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const agent = new Agent({ keepAlive: true, maxSockets: 12 });
  const ask = (path: string) =>
    new Promise<number>((resolve, reject) => {
      const asking = request(url + path, { agent }, (answer) => {
        answer.resume();
        answer.once("end", () => resolve(answer.statusCode ?? 0));
      });
      asking.once("error", reject).end();
    });
  const all = (path: string) => Promise.all(Array.from({ length: 12 }, () => ask(path)));
  try {
    // A turn accepts one connection: they are there before the flood.
    await all("/livez");
    const statuses = await all("/v1/users/ann/presence");
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(gates.reads.refused.overloaded).toBe(statuses.filter((status) => status === 503).length);
  } finally {
    agent.destroy();
    await app.close();
  }
}, 20_000);

function depsOf(overrides: Parameters<typeof recordingService>[0]) {
  const { service, calls } = recordingService(overrides);
  return { deps: { service, status: service, now: () => AT_MS }, calls };
}

function setting(value: string) {
  return new Map([
    ["switch:reads", { key: "switch:reads", value, by: "operator", reason: "drill", atMs: 1 }],
  ]);
}

describe("judging", () => {
  test("looks at the append queue as well", () => {
    const gates = buildGates();
    const appendQueueBytes = 0.6 * LIMITS.appendQueueBytesMax;
    judgeGates(gates, 0, depsOf({ counters: () => ({ ...COUNTERS, appendQueueBytes }) }).deps);
    expect([gates.lists.admitted, gates.reads.admitted]).toEqual([0, 1]);
  });

  test.each([
    ["off", true],
    ["on", false],
    [`off until ${AT_MS + 1}`, true],
    [`off until ${AT_MS}`, false],
    ["off until tomorrow", false],
    ["of a later version", false],
  ])("a switch that is %j in the log closes the class: %s", (value, closed) => {
    const gates = buildGates();
    judgeGates(gates, 0, depsOf({ settings: () => setting(value) }).deps);
    expect(gates.reads.switchedOff !== undefined).toBe(closed);
    expect(REQUEST_CLASSES.filter((name) => gates[name].narrowed)).toEqual(closed ? ["reads"] : []);
  });

  test("tells the service that nobody is heard while heartbeats are refused", () => {
    const gates = buildGates();
    const { deps: judged, calls } = depsOf({});
    judgeGates(gates, 2 * LIMITS.shedHeartbeatsMs, judged);
    for (let i = 0; i < 4; i++) judgeGates(gates, 0, judged);
    const heard = calls.filter(([name]) => name === "hearing").map(([, yes]) => yes);
    expect(heard).toEqual([false, false, false, false, true]);
  });
});

describe("a shed class", () => {
  const REQUESTS = [
    ["lists", "GET", "/v1/online"],
    ["lists", "GET", "/v1/occupancy"],
    ["lists", "GET", "/v1/replication"],
    ["lists", "GET", "/v1/regions"],
    ["reads", "GET", "/v1/users/ann/presence"],
    ["reads", "POST", "/v1/presence"],
    ["reads", "GET", "/v1/users/ann/sessions"],
    ["reads", "GET", "/v1/token"],
    ["heartbeats", "PUT", "/v1/users/ann/heartbeat"],
    ["heartbeats", "POST", "/v1/sessions/s1/heartbeat"],
    ["heartbeats", "POST", "/v1/heartbeats"],
    ["writes", "POST", "/v1/sessions"],
    ["writes", "PATCH", "/v1/sessions/s1"],
    ["writes", "DELETE", "/v1/sessions/s1"],
    ["writes", "DELETE", "/v1/users/ann/sessions"],
    ["writes", "PUT", "/v1/users/ann/status"],
  ] as const;

  test.each(REQUESTS)(
    "of %s: %s %s is 503, asks the service nothing, and is refused with nothing else",
    async (name, method, url) => {
      const gates = buildGates();
      gates[name].switch({ reason: "drill" });
      const { app, calls } = node({}, { gates });
      for (const [, otherMethod, otherUrl] of REQUESTS.filter(([other]) => other !== name)) {
        const { statusCode } = await app.inject({ method: otherMethod, url: otherUrl });
        expect([otherUrl, statusCode]).not.toEqual([otherUrl, 503]);
      }
      calls.length = 0;
      const answer = await app.inject({ method, url });
      expect([answer.statusCode, answer.json<{ type: string }>().type]).toEqual([
        503,
        "/problems/switched-off",
      ]);
      expect(calls).toEqual([]);
    },
  );

  test("is refused before its body is read", async () => {
    const { app } = node({}, { gates: gatesUnder({ delayMs: 5_000 }) });
    const headers = { "content-type": "application/json" };
    for (const url of ["/v1/sessions", "/v1/heartbeats", "/v1/presence"]) {
      expect((await app.inject({ method: "POST", url, headers, payload: "{" })).statusCode).toBe(503);
    }
  });

  test("a first beat is a write: where only writes are closed, renewals go on", async () => {
    const gates = buildGates();
    gates.writes.switch({ reason: "drill" });
    const { app, calls } = node({ holds: (user) => user === "ann" }, { gates });
    const beat = (user: string) => app.inject({ method: "PUT", url: `/v1/users/${user}/heartbeat` });
    expect([(await beat("ann")).statusCode, (await beat("bob")).statusCode]).toEqual([204, 503]);
    expect(calls.filter(([name]) => name === "touch")).toEqual([["touch", "ann", "web"]]);
  });
});

test("refused clients are told different times to come back", async () => {
  const draws = [0, 0.5, 0.999_999];
  const { app } = node({}, { gates: gatesUnder({ delayMs: 5_000 }), random: () => draws.shift() ?? 0 });
  const told = [];
  for (let i = 0; i < 3; i++) told.push((await app.inject("/v1/online")).headers["retry-after"]);
  expect(told).toEqual(["1", "6", String(1 + LIMITS.retrySpreadSeconds)]);
});
