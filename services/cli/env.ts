/** What the command takes from the environment. */
import { Type } from "typebox";

import { readEnvironment } from "../../replicator/runtime/environment.ts";

const SCHEMA = Type.Object({
  ROLLCALL_REGIONS: Type.String({ default: "" }),
  ROLLCALL_KEY: Type.String({ default: "" }),
});

export interface CliEnv {
  /** `cn=http://…,us=http://…` */
  readonly regions: string;
  /** Of the role service or operator; empty where the nodes have no keys. */
  readonly key: string;
}

export function readCliEnv(): CliEnv {
  const env = readEnvironment(SCHEMA);
  return { regions: env.ROLLCALL_REGIONS, key: env.ROLLCALL_KEY };
}
