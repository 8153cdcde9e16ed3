/**
 * `/metrics`: what the service counts anyway, read when Prometheus asks, so that no request pays for a metric.
 * Rule: base units, `_total` on counters and on nothing else, no user ids in labels; no data is no sample, never 0.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

import type { Region } from "../../replicator/core/commands.ts";
import { LINK_STATES } from "../../replicator/core/commands.ts";
import { boundMetrics } from "./bound-metrics.ts";
import { integrityMetrics } from "./integrity-metrics.ts";
import type { Connections } from "./connections.ts";
import type { Feature } from "./feature.ts";
import type { Gates } from "./gates.ts";
import type { ProblemCounts } from "./problems.ts";
import { readMetrics } from "./read-metrics.ts";
import type { Scope } from "./routes/scope.ts";
import type { RegionView, SuccessionView } from "./evacuation-view.ts";
import type { Bounds, Counters, Occupancy, NodeStatus, PresenceService, ReplicationLink } from "./service.ts";

export interface MetricsSource {
  readonly service: PresenceService;
  readonly status: NodeStatus;
  readonly gates: Gates;
  readonly connections: Connections;
  readonly problemCounts: ProblemCounts;
  readonly version: string;
  readonly features: readonly Feature[];
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}

/** prom-client offers these gauges under names that end in `_total`, which only counters may. */
const MISNAMED_DEFAULTS = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/** What the service says at one scrape. */
export interface Seen {
  readonly counters: Counters;
  readonly bounds: Bounds;
  /** Open now. */
  readonly connections: number;
  readonly occupancy: Occupancy;
  readonly evacuations: ReadonlyMap<Region, RegionView>;
  readonly links: readonly ReplicationLink[];
}

type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];
type Samples = (seen: Seen) => readonly Sample[];
export type Define = (name: string, help: string, labelNames: readonly string[], samples: Samples) => void;

export interface Metrics {
  readonly contentType: string;
  /** The exposition text of this moment. */
  scrape(): Promise<string>;
}

export function metricsRoutes(app: Scope, metrics: Metrics): void {
  const schema = { tags: ["health"], security: [], summary: "Prometheus metrics" };
  app.get("/metrics", { schema }, async (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.scrape();
  });
}

export function buildMetrics(source: MetricsSource): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED_DEFAULTS) registry.removeSingleMetric(name);
  const fills: ((seen: Seen) => void)[] = [];
  const counter = counterIn(registry, fills);
  const gauge = gaugeIn(registry, fills);
  presenceMetrics(counter, gauge, source);
  boundMetrics(counter, gauge, source);
  integrityMetrics(counter, gauge);
  readMetrics(counter);
  for (const { metrics } of source.features) metrics(counter, gauge);
  replicationMetrics(counter, gauge, source.now);
  const { service } = source;
  return {
    contentType: registry.contentType,
    scrape: async () => {
      const seen = {
        connections: await source.connections.open(),
        counters: source.status.counters(),
        bounds: service.bounds(),
        occupancy: service.occupancy(),
        evacuations: service.evacuations(),
        links: service.replication().links,
      };
      for (const fill of fills) fill(seen);
      return registry.metrics();
    },
  };
}

function presenceMetrics(counter: Define, gauge: Define, source: MetricsSource): void {
  const build = { version: source.version, region: source.service.region };
  gauge("rollcall_build_info", "Always 1", ["version", "region"], () => [[build, 1]]);
  gauge(
    "rollcall_sessions",
    "Live sessions whose lease this node holds",
    [],
    one((c) => c.liveSessions),
  );
  gauge("rollcall_users_online", "Users online, by region", ["region"], ({ occupancy }) =>
    Object.entries(occupancy.byRegion).map(([region, { users }]) => [{ region }, users]),
  );
  evacuationMetrics(gauge);
  successionMetrics(gauge);
  counter(
    "rollcall_heartbeats_total",
    "Leases renewed",
    [],
    one((c) => c.heartbeats),
  );
  counter(
    "rollcall_sessions_opened_total",
    "Sessions opened",
    [],
    one((c) => c.sessionsOpened),
  );
  counter(
    "rollcall_sessions_ended_total",
    "Sessions ended",
    ["reason"],
    by("reason", (c) => c.sessionsEnded),
  );
  counter(
    "rollcall_sessions_reconciled_total",
    "Sessions healed by reconcile",
    ["result"],
    by("result", (c) => c.reconciled),
  );
  counter(
    "rollcall_users_rehomed_total",
    "Users whom this node gave over to the region that they log in from",
    [],
    one((c) => c.rehomed),
  );
  counter("rollcall_problems_total", "Requests refused", ["problem"], () =>
    [...source.problemCounts].map(([problem, n]) => [{ problem }, n]),
  );
}

function evacuationMetrics(gauge: Define): void {
  gauge("rollcall_users_homed", "Users whose home is the region", ["region"], ({ evacuations }) =>
    [...evacuations].map(([region, { homes }]) => [{ region }, homes]),
  );
  gauge(
    "rollcall_evacuation_users_left",
    "Users that have still to move, out of the region or back to it",
    ["region"],
    ({ evacuations }) =>
      [...evacuations].flatMap(([region, { usersLeft }]): Sample[] =>
        usersLeft === undefined || usersLeft === null ? [] : [[{ region }, usersLeft]],
      ),
  );
}

function succeeded({ evacuations }: Seen): (SuccessionView & { readonly region: Region })[] {
  return [...evacuations].flatMap(([region, { succession }]) =>
    succession === undefined ? [] : [{ region, ...succession }],
  );
}

function successionMetrics(gauge: Define): void {
  gauge(
    "rollcall_succession_phase",
    "1 for how the succession of the region stands; no sample where it was never succeeded",
    ["region", "heir", "phase"],
    (seen) => succeeded(seen).map(({ region, heir, phase }) => [{ region, heir, phase }, 1]),
  );
  gauge("rollcall_succession_generation", "Successions of the region, fences included", ["region"], (seen) =>
    succeeded(seen).map(({ region, generation }) => [{ region }, generation]),
  );
}

function replicationMetrics(counter: Define, gauge: Define, now: () => number): void {
  logMetrics(counter, gauge);
  const ends = ["origin", "replica"];
  gauge(
    "rollcall_replication_link_state",
    "1 for the state the link is in",
    [...ends, "state"],
    links((link) => [...LINK_STATES, "unknown"].map((state) => [{ state }, link.state === state ? 1 : 0])),
  );
  gauge(
    "rollcall_replication_events_behind",
    "Frames of the origin that the replica has not folded",
    ends,
    links(({ eventsBehind }) => (eventsBehind === null ? [] : [[{}, eventsBehind]])),
  );
  gauge(
    "rollcall_replication_watermark_timestamp_seconds",
    "When the newest watermark of the origin was made",
    ends,
    links(({ watermarkAgeMs }) => seconds(watermarkAgeMs === null ? null : now() - watermarkAgeMs)),
  );
  gauge(
    "rollcall_replication_loop_lag_seconds",
    "Origin's watermark until its echo comes back",
    ends,
    links(({ loopLagMs }) => seconds(loopLagMs)),
  );
  gauge(
    "rollcall_replication_visible_lag_seconds",
    "Commit until visible, by percentile",
    [...ends, "percentile"],
    links(({ visibleMs }) => (visibleMs === null ? [] : percentiles(visibleMs))),
  );
  gauge(
    "rollcall_replication_clock_offset_seconds",
    "Replica's clock minus the origin's",
    ends,
    links(({ clockOffsetMs }) => seconds(clockOffsetMs)),
  );
  gauge(
    "rollcall_replication_clock_error_seconds",
    "Error of the clock offset",
    ends,
    links(({ clockErrorMs }) => seconds(clockErrorMs)),
  );
}

/** What this node appends to its own log and folds of every log. */
function logMetrics(counter: Define, gauge: Define): void {
  counter(
    "rollcall_appended_frames_total",
    "Frames appended",
    [],
    one((c) => c.appendedFrames),
  );
  counter(
    "rollcall_appended_commands_total",
    "Commands appended",
    [],
    one((c) => c.appendedCommands),
  );
  counter(
    "rollcall_append_failures_total",
    "Appends that failed",
    ["reason"],
    by("reason", (c) => c.appendFailures),
  );
  gauge(
    "rollcall_append_queue_bytes",
    "Waiting to be appended",
    [],
    one((c) => c.appendQueueBytes),
  );
  gauge(
    "rollcall_pending_forwards",
    "Forwards that no home has processed yet",
    [],
    one((c) => c.pendingForwards),
  );
  counter(
    "rollcall_replication_frames_total",
    "Frames folded, by log",
    ["origin"],
    by("origin", (c) => c.foldedFrames),
  );
  counter(
    "rollcall_replication_errors_total",
    "Frames refused",
    ["reason"],
    by("reason", (c) => c.refusedFrames),
  );
  counter(
    "rollcall_folded_commands_total",
    "Commands folded, by log",
    ["origin"],
    by("origin", (c) => c.foldedCommands),
  );
  counter(
    "rollcall_refused_commands_total",
    "Commands that a fold refused",
    ["reason"],
    by("reason", (c) => c.refusedCommands),
  );
}

function one(pick: (counters: Counters) => number): Samples {
  return ({ counters }) => [[{}, pick(counters)]];
}

function by(label: string, pick: (counters: Counters) => Readonly<Record<string, number>>): Samples {
  return ({ counters }) => Object.entries(pick(counters)).map(([key, value]) => [{ [label]: key }, value]);
}

function links(pick: (link: ReplicationLink) => readonly Sample[]): Samples {
  return (seen) =>
    seen.links.flatMap((link) => {
      const { origin, replica } = link;
      return pick(link).map(([labels, value]): Sample => [{ origin, replica, ...labels }, value]);
    });
}

function seconds(ms: number | null): readonly Sample[] {
  return ms === null ? [] : [[{}, ms / 1_000]];
}

function percentiles({ p50, p99, p999 }: NonNullable<ReplicationLink["visibleMs"]>): readonly Sample[] {
  const values: readonly [string, number][] = [
    ["50", p50],
    ["99", p99],
    ["99.9", p999],
  ];
  return values.map(([percentile, ms]) => [{ percentile }, ms / 1_000]);
}

/** A counter whose value is somebody else's count, set anew at every scrape. */
function counterIn(registry: Registry, fills: ((seen: Seen) => void)[]): Define {
  return (name, help, labelNames, samples) => {
    const counter = new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
    fills.push((seen) => {
      counter.reset();
      for (const [labels, value] of samples(seen)) counter.inc({ ...labels }, value);
    });
  };
}

function gaugeIn(registry: Registry, fills: ((seen: Seen) => void)[]): Define {
  return (name, help, labelNames, samples) => {
    const gauge = new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
    fills.push((seen) => {
      gauge.reset();
      for (const [labels, value] of samples(seen)) gauge.set({ ...labels }, value);
    });
  };
}
