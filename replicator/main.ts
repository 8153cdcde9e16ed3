/** The replicator process: connects to its own region's NATS and to each peer's, and carries the peers' logs here until told to stop. */
import { readReplicatorEnv } from "./env.ts";
import { connectLogStore } from "./log/nats.ts";
import { startReplicator } from "./replicator.ts";
import { readOrExit } from "./runtime/environment.ts";
import { endWith } from "./runtime/lifecycle.ts";
import { createLogger } from "./runtime/logger.ts";

const env = readOrExit(readReplicatorEnv);
const { region, node } = env;
const logger = createLogger({ level: env.logLevel, service: "replicator", region, node });
const local = connectLogStore({ servers: env.natsUrl, name: `${node}@${region}` });
const peers = new Map(
  [...env.peers].map(([peer, servers]) => [
    peer,
    connectLogStore({ servers, name: `${node}@${region}→${peer}` }),
  ]),
);
for (const [peer, store] of [[region, local] as const, ...peers]) {
  store.onConnection((connected, detail) => {
    logger[connected ? "info" : "warn"]({
      event: connected ? "nats-connected" : "nats-lost",
      nats: peer,
      detail,
    });
  });
}
const replicator = startReplicator({ region, local, peers, logger });
logger.info({ event: "started", peers: [...peers.keys()] });
endWith({
  logger,
  exitWithParent: env.exitWithParent,
  stop: async () => {
    await replicator.stop();
    await Promise.all([local, ...peers.values()].map((store) => store.close()));
  },
});
