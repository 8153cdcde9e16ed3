/** The metrics of how reads are met, and of those that another region's node is asked for. */
import type { Define, Sample } from "./metrics.ts";

export function readMetrics(counter: Define): void {
  counter("rollcall_reads_total", "Reads, by how they were met", ["met"], ({ counters }): Sample[] => [
    [{ met: "at-once" }, counters.reads.atOnce],
    [{ met: "waited" }, counters.reads.waited],
    [{ met: "home" }, counters.reads.home],
    [{ met: "unsatisfied" }, counters.reads.unsatisfied],
  ]);
  counter(
    "rollcall_relayed_reads_total",
    "Reads asked of other regions' nodes, and by those of this one",
    ["result"],
    ({ counters }) => Object.entries(counters.relayed).map(([result, n]): Sample => [{ result }, n]),
  );
}
