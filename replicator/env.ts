/** The replicator's configuration, from the environment. */
import { Type } from "typebox";

import type { Region } from "./core/commands.ts";
import { ENVIRONMENT, parsePeers, readEnvironment } from "./runtime/environment.ts";

const SCHEMA = Type.Object({
  ROLLCALL_REGION: Type.String(ENVIRONMENT.region),
  ROLLCALL_NATS_URL: Type.String({ default: "nats://127.0.0.1:4222" }),
  ROLLCALL_PEERS: Type.String({ default: "" }),
  ROLLCALL_NODE: Type.String({ default: `replicator-${process.pid}` }),
  ROLLCALL_LOG_LEVEL: Type.Enum([...ENVIRONMENT.logLevel], { default: "info" }),
  ROLLCALL_EXIT_WITH_PARENT: Type.Enum(["0", "1"], { default: "0" }),
});

export interface ReplicatorEnv {
  readonly region: Region;
  readonly natsUrl: string;
  /** Region → address of its NATS. */
  readonly peers: ReadonlyMap<Region, string>;
  readonly node: string;
  readonly logLevel: string;
  readonly exitWithParent: boolean;
}

/** Throws with the name of the variable that does not fit. */
export function readReplicatorEnv(): ReplicatorEnv {
  const env = readEnvironment(SCHEMA);
  return {
    region: env.ROLLCALL_REGION,
    natsUrl: env.ROLLCALL_NATS_URL,
    peers: parsePeers(env.ROLLCALL_PEERS, env.ROLLCALL_REGION),
    node: env.ROLLCALL_NODE,
    logLevel: env.ROLLCALL_LOG_LEVEL,
    exitWithParent: env.ROLLCALL_EXIT_WITH_PARENT === "1",
  };
}
