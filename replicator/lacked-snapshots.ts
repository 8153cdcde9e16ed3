/**
 * Brings snapshots for this region's nodes that can go on from none of those here: what a copy begins behind may have been damaged since, and
 * no link looks at it again. Rule: one is brought at a time, of whichever peer has one, the region of the log first; what fails is asked for
 * again.
 */
import type { Region } from "./core/commands.ts";
import type { LogStore } from "./log/port.ts";
import { SNAPSHOT_LACKED_TOPIC, decodeLacked } from "./runtime/announcement.ts";
import type { Lacked } from "./runtime/announcement.ts";
import type { Logger } from "./runtime/logger.ts";
import { fetchSnapshot } from "./snapshot-fetch.ts";

export interface LackedOptions {
  readonly local: LogStore;
  /** Each peer's NATS. */
  readonly peers: ReadonlyMap<Region, LogStore>;
  readonly logger: Logger;
  /** Does it after what is being brought already. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Brings what is lacked, until the returned function is called. */
export function bringLacked({ local, peers, logger, inTurn }: LackedOptions): () => void {
  let bringing = false;
  return local.listen(SNAPSHOT_LACKED_TOPIC, (payload) => {
    const lacked = decodeLacked(payload);
    if (lacked === undefined) return logger.warn({ event: "malformed-announcement" });
    if (bringing) return;
    bringing = true;
    void bring(lacked).finally(() => {
      bringing = false;
    });
  });

  async function bring({ region: origin, ...wanted }: Lacked): Promise<void> {
    for (const [peer, remote] of nearestFirst(peers, origin)) {
      const options = { ...wanted, origin, peer, remote, local, progress: () => undefined };
      const fetched = await inTurn(() => fetchSnapshot(options));
      if (fetched.ok) return logger.info({ event: "snapshot-here", origin, position: fetched.position });
      logger.warn({ event: "snapshot-not-here", origin, detail: fetched.detail });
    }
  }
}

/** Nobody has more of a log than its own region. */
function nearestFirst<T>(peers: ReadonlyMap<Region, T>, origin: Region): [Region, T][] {
  return [...peers].toSorted(([a], [b]) => Number(b === origin) - Number(a === origin));
}
