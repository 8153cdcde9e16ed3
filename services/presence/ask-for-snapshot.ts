/**
 * Asks for a snapshot where none of those here leads on. Rule: the region's other nodes first, as theirs crosses no WAN link; then, through
 * the region's replicators, the peers.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import {
  SNAPSHOT_LACKED_TOPIC,
  SNAPSHOT_WANTED_TOPIC,
  encodeLacked,
} from "../../replicator/runtime/announcement.ts";
import type { Lacked } from "../../replicator/runtime/announcement.ts";

/** A node that can take one has taken one by then. */
export const PEERS_AFTER_MS = 2 * LIMITS.snapshotSoonestMs;

/** `waitedMs` is for how long none leads to the logs given. */
export function askForSnapshot(
  store: Pick<LogStore, "announce">,
  lacked: readonly Lacked[],
  waitedMs: number,
): void {
  store.announce(SNAPSHOT_WANTED_TOPIC, new Uint8Array());
  if (waitedMs < PEERS_AFTER_MS) return;
  for (const one of lacked) store.announce(SNAPSHOT_LACKED_TOPIC, encodeLacked(one));
}
