/** The metrics of friend requests, and of the canary that checks their way between the regions. */
import type { Region } from "../../replicator/core/commands.ts";
import type { Define, Sample } from "../presence/metrics.ts";
import type { ReadsMet } from "../presence/service.ts";
import type { Canary } from "./canary.ts";
import type { WriteResult } from "./requests.ts";

export function friendMetrics(
  counter: Define,
  written: Readonly<Record<WriteResult, number>>,
  reads: Readonly<ReadsMet>,
): void {
  counter(
    "rollcall_friend_writes_total",
    "Writes about friend requests, by what came of them",
    ["result"],
    () => Object.entries(written).map(([result, n]): Sample => [{ result }, n]),
  );
  counter(
    "rollcall_friend_reads_total",
    "Reads of friend requests and friends, by how they were met",
    ["met"],
    () => [
      [{ met: "at-once" }, reads.atOnce],
      [{ met: "waited" }, reads.waited],
      [{ met: "home" }, reads.home],
      [{ met: "unsatisfied" }, reads.unsatisfied],
    ],
  );
}

export function canaryMetrics(counter: Define, gauge: Define, origin: Region, canary: Canary): void {
  const ends = ["origin", "replica", "read"];
  counter(
    "rollcall_canary_reads_total",
    "Reads of a request just made here by another region's node; false must be 0",
    [...ends, "result"],
    () =>
      canary.figures.flatMap(({ region: replica, read, results }) =>
        Object.entries(results).map(([result, n]): Sample => [{ origin, replica, read, result }, n]),
      ),
  );
  gauge(
    "rollcall_canary_seconds",
    "From the request's acknowledgement here to the newest answer, its way back included",
    ends,
    () =>
      canary.figures.flatMap(({ region: replica, read, lastMs }): Sample[] =>
        lastMs === undefined ? [] : [[{ origin, replica, read }, lastMs / 1_000]],
      ),
  );
  counter("rollcall_canary_failures_total", "Runs in which the request could not be written here", [], () => [
    [{}, canary.failed],
  ]);
}
