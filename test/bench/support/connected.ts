/** A log store that can be used: `connectLogStore` returns before it has reached the server. */
import type { LogStore } from "../../../replicator/log/port.ts";

const TIMEOUT_MS = 30_000;

/** Resolves when the store is connected; rejects after 30 s. */
export function untilConnected(store: LogStore): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("NATS cannot be reached")), TIMEOUT_MS);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    if (store.connected()) done();
    else store.onConnection((connected) => (connected ? done() : undefined));
  });
}
