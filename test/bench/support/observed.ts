/** A log store that tells when an entry of a copy has been folded: right after the node's own handler of the entry has returned. */
import type { CopyLog, Entry, LogStore, Opened } from "../../../replicator/log/port.ts";

export function observed(store: LogStore, folded: (entry: Entry) => void): LogStore {
  return {
    connected: () => store.connected(),
    describe: () => store.describe(),
    openLog: (region, options) => store.openLog(region, options),
    openCopy: async (origin, options): Promise<Opened<CopyLog>> => {
      const opened = await store.openCopy(origin, options);
      return opened.ok ? { ok: true, log: observedCopy(opened.log, folded) } : opened;
    },
    renewLog: (region, replaced) => store.renewLog(region, replaced),
    snapshots: () => store.snapshots(),
    announce: (topic, payload) => store.announce(topic, payload),
    listen: (topic, handler) => store.listen(topic, handler),
    onConnection: (handler) => store.onConnection(handler),
    close: () => store.close(),
  };
}

function observedCopy(copy: CopyLog, folded: (entry: Entry) => void): CopyLog {
  return {
    region: copy.region,
    extent: () => copy.extent(),
    checkpoint: () => copy.checkpoint(),
    append: (entry, fence) => copy.append(entry, fence),
    entry: (position) => copy.entry(position),
    truncate: (below, logId) => copy.truncate(below, logId),
    reset: (through) => copy.reset(through),
    get sealed() {
      return copy.sealed;
    },
    seal: (next) => copy.seal(next),
    read: (from, handlers) =>
      copy.read(from, {
        entry: (entry) => {
          const waiting = handlers.entry(entry);
          folded(entry);
          return waiting;
        },
        interrupted: (detail) => handlers.interrupted(detail),
        resumed: () => handlers.resumed(),
        broken: (reason, detail) => handlers.broken(reason, detail),
      }),
  };
}
