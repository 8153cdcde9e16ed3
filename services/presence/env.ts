/** The presence node's configuration, from the environment. */
import { Type } from "typebox";

import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { ENVIRONMENT, parseRegions, readEnvironment } from "../../replicator/runtime/environment.ts";
import { bindHost, parseKeys } from "./auth.ts";
import type { ApiKeys } from "./auth.ts";
import { REHOME_LOGINS } from "./travellers.ts";

const SCHEMA = Type.Object({
  ROLLCALL_REGION: Type.String(ENVIRONMENT.region),
  ROLLCALL_PEERS: Type.String({ default: "" }),
  ROLLCALL_NATS_URL: Type.String({ default: "nats://127.0.0.1:4222" }),
  ROLLCALL_HTTP_HOST: Type.String({ default: "127.0.0.1" }),
  ROLLCALL_HTTP_PORT: Type.Integer({ default: 7080, minimum: 0, maximum: 65_535 }),
  ROLLCALL_NODE: Type.String({ default: `node-${process.pid}`, maxLength: LIMITS.nodeBytesMax }),
  ROLLCALL_KEYS: Type.String({ default: "" }),
  ROLLCALL_LOG_LEVEL: Type.Enum([...ENVIRONMENT.logLevel], { default: "info" }),
  ROLLCALL_TTL_MS: Type.Integer({ default: LIMITS.ttlMs, minimum: 1_000, maximum: 3_600_000 }),
  ROLLCALL_HEARTBEAT_MS: Type.Integer({ default: LIMITS.heartbeatMs, minimum: 100, maximum: 1_200_000 }),
  ROLLCALL_SESSIONS_MAX: Type.Integer({ default: LIMITS.sessionsMax, minimum: 1, maximum: 100_000_000 }),
  ROLLCALL_REHOME_LOGINS: Type.Integer({ default: REHOME_LOGINS, minimum: 0, maximum: 1_000 }),
  ROLLCALL_CANARY_SECONDS: Type.Integer({ default: 10, minimum: 0, maximum: 3_600 }),
  ROLLCALL_SNAPSHOT_SECONDS: Type.Integer({
    default: LIMITS.snapshotMs / 1_000,
    minimum: LIMITS.snapshotSoonestMs / 1_000,
    maximum: 86_400,
  }),
  ROLLCALL_LOG_BYTES_MAX: Type.Integer({ default: LIMITS.logBytesMax, minimum: 1_048_576 }),
  ROLLCALL_LOG_SECONDS_MAX: Type.Integer({
    default: LIMITS.logAgeMaxMs / 1_000,
    minimum: 10,
    maximum: 31_536_000,
  }),
  ROLLCALL_EXIT_WITH_PARENT: Type.Enum(["0", "1"], { default: "0" }),
});

export interface NodeEnv {
  readonly region: Region;
  readonly peers: readonly Region[];
  readonly natsUrl: string;
  readonly host: string;
  readonly port: number;
  readonly node: string;
  readonly keys: ApiKeys;
  readonly logLevel: string;
  readonly ttlMs: number;
  readonly heartbeatMs: number;
  /** Live sessions the node takes. */
  readonly sessionsMax: number;
  /** Logins in a row from one other region after which a user is homed there; 0: never. */
  readonly rehomeLogins: number;
  /** How often the way to the other regions is checked; 0: never. */
  readonly canaryMs: number;
  /** How often snapshots are taken, and how large and old the region's log may get while a peer has not copied it. */
  readonly keep: { readonly snapshotMs: number; readonly logBytesMax: number; readonly logAgeMaxMs: number };
  readonly exitWithParent: boolean;
}

/** Throws with the name of the variable that does not fit; without keys only a loopback host is taken. */
export function readNodeEnv(): NodeEnv {
  const env = readEnvironment(SCHEMA);
  const keys = parseKeys(env.ROLLCALL_KEYS);
  if (!keys.ok) throw new Error(`ROLLCALL_KEYS: ${keys.errors.join("; ")}`);
  const host = bindHost(keys.keys, env.ROLLCALL_HTTP_HOST);
  if (!host.ok) throw new Error(`ROLLCALL_HTTP_HOST: ${host.reason}`);
  if (env.ROLLCALL_TTL_MS <= 2 * env.ROLLCALL_HEARTBEAT_MS) {
    throw new Error(
      "ROLLCALL_TTL_MS must be more than twice ROLLCALL_HEARTBEAT_MS, so that one lost heartbeat ends nobody",
    );
  }
  return {
    region: env.ROLLCALL_REGION,
    peers: parseRegions(env.ROLLCALL_PEERS, env.ROLLCALL_REGION),
    natsUrl: env.ROLLCALL_NATS_URL,
    host: host.host,
    port: env.ROLLCALL_HTTP_PORT,
    node: env.ROLLCALL_NODE,
    keys: keys.keys,
    logLevel: env.ROLLCALL_LOG_LEVEL,
    ttlMs: env.ROLLCALL_TTL_MS,
    heartbeatMs: env.ROLLCALL_HEARTBEAT_MS,
    sessionsMax: env.ROLLCALL_SESSIONS_MAX,
    rehomeLogins: env.ROLLCALL_REHOME_LOGINS,
    canaryMs: 1_000 * env.ROLLCALL_CANARY_SECONDS,
    keep: {
      snapshotMs: 1_000 * env.ROLLCALL_SNAPSHOT_SECONDS,
      logBytesMax: env.ROLLCALL_LOG_BYTES_MAX,
      logAgeMaxMs: 1_000 * env.ROLLCALL_LOG_SECONDS_MAX,
    },
    exitWithParent: env.ROLLCALL_EXIT_WITH_PARENT === "1",
  };
}
