/**
 * What replicators and other nodes of the region announce to a node. Rule: it goes to whom it concerns as it comes; what cannot be read is told
 * and left.
 */
import type { NodeEvent } from "../../replicator/core/node-events.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import {
  COPIED_TOPIC,
  LINKS_TOPIC,
  SNAPSHOT_WANTED_TOPIC,
  decodeCopied,
  decodeReports,
} from "../../replicator/runtime/announcement.ts";
import type { Copied } from "../../replicator/runtime/announcement.ts";

export interface Announced {
  readonly store: Pick<LogStore, "listen">;
  readonly step: (event: NodeEvent) => void;
  /** A peer says how far it has copied this region's log. */
  readonly copied: (copied: Copied) => void;
  /** Somebody here needs a snapshot. */
  readonly wanted: () => void;
  /** Something announced cannot be read. */
  readonly malformed: () => void;
}

/** Listens until all that is returned was called. */
export function listenTo({ store, step, copied, wanted, malformed }: Announced): (() => void)[] {
  return [
    store.listen(LINKS_TOPIC, (payload) => {
      const reports = decodeReports(payload);
      if (reports === undefined) malformed();
      for (const report of reports ?? []) step({ kind: "link", report });
    }),
    store.listen(COPIED_TOPIC, (payload) => {
      const heard = decodeCopied(payload);
      if (heard === undefined) malformed();
      else copied(heard);
    }),
    store.listen(SNAPSHOT_WANTED_TOPIC, wanted),
  ];
}
