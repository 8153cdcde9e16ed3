/**
 * The metrics of what is bounded: requests refused by class, sessions and connections refused, and the time that counted for no lease.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import { REQUEST_CLASSES } from "./gates.ts";
import type { Define, MetricsSource, Sample } from "./metrics.ts";

export function boundMetrics(counter: Define, gauge: Define, { gates, connections }: MetricsSource): void {
  classMetrics(counter, gauge, gates);
  counter(
    "rollcall_sessions_refused_total",
    "New sessions refused, by the bound that was reached",
    ["bound"],
    ({ bounds }) => Object.entries(bounds.refused).map(([bound, n]): Sample => [{ bound }, n]),
  );
  gauge("rollcall_sessions_max", "Live sessions that this node takes", [], ({ bounds }) => [
    [{}, bounds.sessionsMax],
  ]);
  gauge(
    "rollcall_heap_live_ratio",
    "Live data after the last major collection, of the heap limit",
    [],
    ({ bounds }) => [[{}, bounds.heapShare]],
  );
  counter("rollcall_stalls_total", "How often the process stood still", [], ({ bounds }) => [
    [{}, bounds.stalls],
  ]);
  counter(
    "rollcall_lease_stalled_seconds_total",
    "Time that counted for no lease: the process stood still, or refused heartbeats",
    [],
    ({ bounds }) => [[{}, bounds.stalledMs / 1_000]],
  );
  gauge("rollcall_connections", "HTTP connections open", [], (seen) => [[{}, seen.connections]]);
  gauge("rollcall_connections_max", "HTTP connections that this node takes", [], () => [
    [{}, LIMITS.connectionsMax],
  ]);
  counter("rollcall_connections_refused_total", "HTTP connections closed at once", [], () => [
    [{}, connections.refused()],
  ]);
}

function classMetrics(counter: Define, gauge: Define, gates: MetricsSource["gates"]): void {
  const all = REQUEST_CLASSES.map((name) => gates[name]);
  counter("rollcall_requests_shed_total", "Requests refused, by class", ["class", "reason"], () =>
    all.flatMap(({ name, refused }) =>
      Object.entries(refused).map(([reason, n]): Sample => [{ class: name, reason }, n]),
    ),
  );
  gauge("rollcall_class_admitted_ratio", "Share of a class let in under the load", ["class"], () =>
    all.map(({ name, admitted }): Sample => [{ class: name }, admitted]),
  );
  gauge("rollcall_class_switched_off", "1 while an operator has the class switched off", ["class"], () =>
    all.map(({ name, switchedOff }): Sample => [{ class: name }, switchedOff === undefined ? 0 : 1]),
  );
}
