/** What the environment variables of the two processes have in common: how they are checked, and how lists are written. */
import { envSchema } from "env-schema";
import type { Static, TObject } from "typebox";

import type { Region } from "../core/commands.ts";

const REGION = "^[a-z][a-z0-9-]{0,15}$";

export const ENVIRONMENT = {
  region: { pattern: REGION },
  logLevel: ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const,
};

/** The variables as `schema` describes them, with its defaults. Throws with the name of the variable that does not fit. */
export function readEnvironment<T extends TObject>(schema: T): Static<T> {
  return envSchema<Static<T>>({ schema, dotenv: false });
}

/** What `read` makes of the environment. Where it throws, what does not fit is the process's last words, with exit code 1. */
export function readOrExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`configuration: ${error instanceof Error ? error.message : String(error)}\n`);
    return process.exit(1);
  }
}

/** `us,eu` → regions. Throws where a name is none, or is there twice, or is `own`. */
export function parseRegions(text: string, own: Region): Region[] {
  return [...parsePairs(text, own, false).keys()];
}

/** `us=nats://…,eu=nats://…` → region → address. Throws as {@link parseRegions} does, and where an address is missing. */
export function parsePeers(text: string, own: Region): Map<Region, string> {
  return parsePairs(text, own, true);
}

function parsePairs(text: string, own: Region, withAddress: boolean): Map<Region, string> {
  const pairs = new Map<Region, string>();
  for (const part of text.split(",").filter((one) => one !== "")) {
    const [region = "", address = ""] = part.split(/=(.*)/s);
    if (!new RegExp(REGION).test(region)) throw new Error(`ROLLCALL_PEERS: "${region}" is no region name`);
    if (region === own) throw new Error(`ROLLCALL_PEERS: "${region}" is this region itself`);
    if (pairs.has(region)) throw new Error(`ROLLCALL_PEERS: "${region}" is there twice`);
    if (withAddress === (address === "")) {
      throw new Error(
        `ROLLCALL_PEERS: "${part}" should be ${withAddress ? "REGION=ADDRESS" : "a region name alone"}`,
      );
    }
    pairs.set(region, address);
  }
  return pairs;
}
