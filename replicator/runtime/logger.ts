/** Structured logs: pino JSON on standard output, one `event` name per fact; keys and tokens are never logged. */
import pino from "pino";
import type { Logger } from "pino";

export type { Logger };

export function createLogger(options: {
  level: string;
  service: string;
  region: string;
  node: string;
}): Logger {
  return pino({
    level: options.level,
    base: { service: options.service, region: options.region, node: options.node },
    redact: ["*.authorization", "*.key", "*.keys", "*.token"],
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}
