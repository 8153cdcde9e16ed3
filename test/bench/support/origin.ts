/** The writing end of a region's log, as a node has it: the shipped appender on the shipped log adapter, with its bytes counted. */
import { connectLogStore } from "../../../replicator/log/nats.ts";
import type { LogStore, OriginLog } from "../../../replicator/log/port.ts";
import { systemClock } from "../../../replicator/runtime/clock.ts";
import { Appender } from "../../../services/presence/appender.ts";
import { untilConnected } from "./connected.ts";

export interface Origin {
  readonly appender: Appender;
  readonly store: LogStore;
  /** Of all frames appended so far. */
  readonly bytes: () => number;
}

export async function openOrigin(region: string, natsUrl: string): Promise<Origin> {
  const store = connectLogStore({ servers: natsUrl, name: `bench-origin-${region}` });
  await untilConnected(store);
  const opened = await store.openLog(region, { create: true });
  if (!opened.ok) throw new Error(`${opened.reason}: ${opened.detail}`);
  const appender = new Appender({
    region,
    node: "bench-origin",
    clock: systemClock,
    connected: () => store.connected(),
  });
  const { log, bytes } = counting(opened.log);
  appender.use(log);
  return { appender, store, bytes };
}

function counting(log: OriginLog): { log: OriginLog; bytes: () => number } {
  let appended = 0;
  return {
    bytes: () => appended,
    log: {
      region: log.region,
      logId: log.logId,
      extent: () => log.extent(),
      read: (from, handlers) => log.read(from, handlers),
      entry: (position) => log.entry(position),
      truncate: (below) => log.truncate(below),
      proof: () => log.proof(),
      compared: () => log.compared(),
      putBack: (entry) => log.putBack(entry),
      append: (bytes, messageId) => {
        appended += bytes.length;
        return log.append(bytes, messageId);
      },
    },
  };
}
