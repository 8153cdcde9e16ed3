/** `/metrics` keeps to promtool's rules, carries the service's own counts, and invents none. */
import { describe, expect, test } from "vitest";

import { AT_MS, COUNTERS, gatesUnder, node, plainNode } from "./fake.ts";

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}
interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly helps: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

const SAMPLE = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/;

function parse(text: string): Exposition {
  const types = new Map<string, string>();
  const helps = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const [, kind, of = "", rest = ""] = /^# (TYPE|HELP) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "TYPE") types.set(of, rest);
    else if (kind === "HELP") helps.set(of, rest);
    else if (line !== "") {
      const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new Error(`no sample: ${line}`);
      samples.push({ name, labels, value: Number(value) });
    }
  }
  return { types, helps, samples };
}

async function scrape(app = plainNode().app): Promise<Exposition> {
  const answer = await app.inject("/metrics");
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/);
  return parse(answer.body);
}

function valuesOf({ samples }: Exposition, name: string): Record<string, number> {
  return Object.fromEntries(samples.filter((s) => s.name === name).map((s) => [s.labels, s.value]));
}

describe("promtool's rules", () => {
  test("every sample has a help and a type", async () => {
    const { types, helps, samples } = await scrape();
    for (const { name } of samples) {
      const base = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
      expect([name, types.get(base)]).toEqual([
        name,
        expect.stringMatching(/^(counter|gauge|histogram|summary)$/),
      ]);
      expect([name, helps.get(base)]).toEqual([name, expect.stringMatching(/./)]);
    }
  });

  test("counters, and only counters, end in _total", async () => {
    const { types } = await scrape();
    for (const [name, type] of types)
      expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
  });

  test("no milliseconds, no type in a name, no reserved suffix, no reserved label", async () => {
    const { types, samples } = await scrape();
    const simple = [...types].filter(([, type]) => type === "gauge" || type === "counter");
    for (const name of types.keys()) {
      expect(name).not.toMatch(/_(?:ms|milliseconds|minutes|kb|gauge|counter|histogram|summary)(?:_|$)/);
    }
    for (const [name] of simple) expect(name).not.toMatch(/_(?:bucket|sum|count)$/);
    for (const { labels } of samples.filter(({ name }) => types.has(name))) {
      expect(labels).not.toMatch(/(?:^|,)le=/);
    }
    for (const { labels } of samples.filter(({ name }) => types.get(name) === "gauge")) {
      expect(labels).not.toMatch(/(?:^|,)quantile=/);
    }
  });

  test("no sample is given twice, and every one of ours is a number", async () => {
    const { samples } = await scrape();
    const keys = samples.map(({ name, labels }) => `${name}{${labels}}`);
    expect(new Set(keys).size).toBe(keys.length);
    const ours = samples.filter(({ name }) => name.startsWith("rollcall_"));
    for (const { name, value } of ours) expect([name, Number.isFinite(value)]).toEqual([name, true]);
  });
});

describe("values", () => {
  test("are the service's counts at the moment of the scrape", async () => {
    let heartbeats = 77;
    const { app } = node({ counters: () => ({ ...COUNTERS, heartbeats }) });
    expect(valuesOf(await scrape(app), "rollcall_heartbeats_total")).toEqual({ "": 77 });
    heartbeats = 80;
    expect(valuesOf(await scrape(app), "rollcall_heartbeats_total")).toEqual({ "": 80 });
  });

  test("by label", async () => {
    const seen = await scrape();
    expect(valuesOf(seen, "rollcall_sessions")).toEqual({ "": 5 });
    expect(valuesOf(seen, "rollcall_users_online")).toEqual({ 'region="cn"': 2, 'region="us"': 1 });
    expect(valuesOf(seen, "rollcall_users_rehomed_total")).toEqual({ "": 6 });
    expect(valuesOf(seen, "rollcall_reads_total")).toEqual({
      'met="at-once"': 40,
      'met="waited"': 4,
      'met="home"': 2,
      'met="unsatisfied"': 1,
    });
    expect(valuesOf(seen, "rollcall_relayed_reads_total")).toMatchObject({
      'result="served"': 2,
      'result="declined"': 1,
    });
    expect(valuesOf(seen, "rollcall_sessions_ended_total")).toMatchObject({ 'reason="logout"': 2 });
    expect(valuesOf(seen, "rollcall_build_info")).toEqual({ 'version="1.2.3",region="cn"': 1 });
    expect(valuesOf(seen, "rollcall_replication_errors_total")).toEqual({ 'reason="checksum"': 1 });
  });

  test("of a link are in seconds, one state is 1, and a silent link has no lag", async () => {
    const seen = await scrape();
    const link = 'origin="us",replica="cn"';
    expect(valuesOf(seen, "rollcall_replication_events_behind")).toEqual({ [link]: 3 });
    expect(valuesOf(seen, "rollcall_replication_loop_lag_seconds")).toEqual({ [link]: 0.25 });
    expect(valuesOf(seen, "rollcall_replication_watermark_timestamp_seconds")).toEqual({
      [link]: (AT_MS - 1_500) / 1_000,
    });
    expect(valuesOf(seen, "rollcall_replication_visible_lag_seconds")).toEqual({
      [`${link},percentile="50"`]: 0.01,
      [`${link},percentile="99"`]: 0.02,
      [`${link},percentile="99.9"`]: 0.03,
    });
    const states = Object.entries(valuesOf(seen, "rollcall_replication_link_state"));
    expect(states.filter(([, value]) => value === 1).map(([labels]) => labels)).toEqual([
      `${link},state="stalled"`,
      'origin="cn",replica="us",state="unknown"',
    ]);
  });

  test("of bounds say what they refused, and what counted for no lease", async () => {
    const gates = gatesUnder({ delayMs: 300 });
    gates.writes.switch({ reason: "drill" });
    const { app } = node({}, { gates });
    await app.inject("/v1/online");
    await app.inject({ method: "POST", url: "/v1/sessions" });
    const seen = await scrape(app);
    expect(valuesOf(seen, "rollcall_requests_shed_total")).toMatchObject({
      'class="lists",reason="overloaded"': 1,
      'class="writes",reason="switched-off"': 1,
      'class="writes",reason="overloaded"': 0,
    });
    expect(valuesOf(seen, "rollcall_class_admitted_ratio")).toMatchObject({ 'class="reads"': 0 });
    expect(valuesOf(seen, "rollcall_class_switched_off")).toMatchObject({
      'class="writes"': 1,
      'class="lists"': 0,
    });
    expect(valuesOf(seen, "rollcall_sessions_refused_total")).toEqual({
      'bound="sessions"': 3,
      'bound="heap"': 4,
    });
    expect(valuesOf(seen, "rollcall_sessions_max")).toEqual({ "": 1_000 });
    expect(valuesOf(seen, "rollcall_heap_live_ratio")).toEqual({ "": 0.25 });
    expect(valuesOf(seen, "rollcall_stalls_total")).toEqual({ "": 2 });
    expect(valuesOf(seen, "rollcall_lease_stalled_seconds_total")).toEqual({ "": 1.5 });
    expect(valuesOf(seen, "rollcall_connections_refused_total")).toEqual({ "": 0 });
  });

  test("of problems count the refusals, and name no user", async () => {
    const { app } = node();
    await app.inject("/v1/users/secret%20ann/presence");
    await app.inject("/v1/users/secret%20ann/presence");
    await app.inject("/nowhere");
    const seen = await scrape(app);
    expect(valuesOf(seen, "rollcall_problems_total")).toEqual({
      'problem="invalid-request"': 2,
      'problem="not-found"': 1,
    });
    expect(seen.samples.filter(({ labels }) => labels.includes("secret"))).toEqual([]);
  });
});
