/**
 * Bounds on connections: how many there are, and how long one may take to send a request. Rule: a socket that sends slowly, or nothing,
 * is cut off within `LIMITS.cutOffMs`, so nobody holds this node's sockets by doing nothing with them. Beyond `connectionsMax` a new
 * connection is closed at once, and counted.
 */
import type { Server } from "node:http";

import { LIMITS } from "../../replicator/core/limits.ts";

/** Options of the HTTP server. Node looks at its connections every 30 s unless told otherwise. */
export const HTTP_TIMES = {
  requestTimeout: LIMITS.requestTimeoutMs,
  keepAliveTimeout: LIMITS.keepAliveMs,
  http: {
    headersTimeout: LIMITS.headersTimeoutMs,
    connectionsCheckingInterval: LIMITS.connectionsCheckMs,
  },
} as const;

export interface Connections {
  open(): Promise<number>;
  /** Closed at once since start, because there were too many. */
  refused(): number;
}

export function boundConnections(server: Server, max: number = LIMITS.connectionsMax): Connections {
  let refused = 0;
  server.maxConnections = max;
  server.on("drop", () => {
    refused += 1;
  });
  return {
    open: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    refused: () => refused,
  };
}
