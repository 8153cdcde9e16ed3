/** The presence node process: connects to its region's NATS and serves HTTP until told to stop. */
import { connectLogStore } from "../../replicator/log/nats.ts";
import { readOrExit } from "../../replicator/runtime/environment.ts";
import { endWith } from "../../replicator/runtime/lifecycle.ts";
import { createLogger } from "../../replicator/runtime/logger.ts";
import { readNodeEnv } from "./env.ts";
import { startNode } from "./node.ts";

const env = readOrExit(readNodeEnv);
const {
  region,
  node: name,
  peers,
  keys,
  ttlMs,
  heartbeatMs,
  sessionsMax,
  rehomeLogins,
  canaryMs,
  keep,
} = env;
const logger = createLogger({ level: env.logLevel, service: "presence", region, node: name });
const store = connectLogStore({ servers: env.natsUrl, name: `${name}@${region}` });
store.onConnection((connected, detail) => {
  logger[connected ? "info" : "warn"]({ event: connected ? "nats-connected" : "nats-lost", detail });
});
const http = { host: env.host, port: env.port };
const node = await startNode({
  region,
  peers,
  name,
  store,
  logger,
  keys,
  http,
  ttlMs,
  heartbeatMs,
  sessionsMax,
  rehomeLogins,
  canaryMs,
  keep,
});
logger.info({ event: "started", url: node.url, peers });
endWith({
  logger,
  exitWithParent: env.exitWithParent,
  stop: async () => {
    await node.stop();
    await store.close();
  },
});
