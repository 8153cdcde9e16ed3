/** The metrics of what a node knows of its own soundness: digests compared, records that changed by themselves, replicas made anew, snapshots. */
import type { Define, Sample } from "./metrics.ts";

export function integrityMetrics(counter: Define, gauge: Define): void {
  counter(
    "rollcall_digests_compared_total",
    "Digests of logs compared with this node's",
    [],
    ({ counters }) => [[{}, counters.integrity.compared]],
  );
  counter(
    "rollcall_digest_mismatch_total",
    "Digests that were not this node's: some replica of the log is wrong",
    [],
    ({ counters }) => [[{}, counters.integrity.mismatches]],
  );
  counter(
    "rollcall_records_corrupt_total",
    "Records of this node that changed without a command",
    [],
    ({ counters }) => [[{}, counters.integrity.corrupt]],
  );
  counter(
    "rollcall_resyncs_total",
    "Times that this node's replica was made anew from a snapshot and the logs",
    [],
    ({ counters }) => [[{}, counters.integrity.resyncs]],
  );
  counter(
    "rollcall_snapshots_total",
    "Snapshots taken by this node",
    ["result"],
    ({ counters }): Sample[] => [
      [{ result: "stored" }, counters.snapshots.taken],
      [{ result: "failed" }, counters.snapshots.failed],
    ],
  );
  gauge("rollcall_snapshot_bytes", "Size of the newest snapshot of this node", [], ({ counters }) => [
    [{}, counters.snapshots.bytes],
  ]);
  gauge(
    "rollcall_snapshot_loading_ratio",
    "How much of a snapshot is here or loaded, of the links that wait for one",
    ["origin", "replica"],
    ({ links }) =>
      links.flatMap(({ origin, replica, state, reason }): Sample[] => {
        const percent = /(\d+) %/.exec(reason)?.[1];
        return state === "snapshotting" && percent !== undefined
          ? [[{ origin, replica }, Number(percent) / 100]]
          : [];
      }),
  );
  gauge(
    "rollcall_replication_overrun_seconds",
    "Until the replica needs a snapshot, if it copies nothing any more",
    ["origin", "replica"],
    ({ links }) =>
      links.flatMap(({ origin, replica, secondsToOverrun }): Sample[] =>
        secondsToOverrun === null ? [] : [[{ origin, replica }, secondsToOverrun]],
      ),
  );
}
