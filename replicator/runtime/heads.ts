/**
 * How a node learns how far the logs of all regions go: it asks on its region's NATS, and the region's replicators say what each origin's
 * server answers. Small JSON, lost when nobody listens; whoever asks waits only so long. Rule: what is said for an ask was read after it.
 */
import type { LogId, Position, Region } from "../core/commands.ts";

export const HEADS_ASKED_TOPIC = "heads-asked";
export const HEAD_TOPIC = "head";

/** One region's log, as its own server had it after the ask came. */
export interface Head {
  /** Names the ask. */
  readonly ask: string;
  readonly region: Region;
  readonly logId: LogId;
  readonly head: Position;
}

const ASK_LENGTH_MAX = 128;

export function encodeAsk(ask: string): Uint8Array {
  return Buffer.from(JSON.stringify({ ask }));
}

/** The ask's name; `undefined` when it is none. */
export function decodeAsk(payload: Uint8Array): string | undefined {
  const { ask } = parse(payload) ?? {};
  return isAsk(ask) ? ask : undefined;
}

export function encodeHead(head: Head): Uint8Array {
  return Buffer.from(JSON.stringify(head));
}

/** The answer's meaning; `undefined` when it has none. */
export function decodeHead(payload: Uint8Array): Head | undefined {
  const { ask, region, logId, head } = parse(payload) ?? {};
  if (!isAsk(ask) || typeof region !== "string" || typeof logId !== "string") return undefined;
  if (typeof head !== "number" || !Number.isSafeInteger(head) || head < 0) return undefined;
  return { ask, region, logId, head };
}

function isAsk(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= ASK_LENGTH_MAX;
}

function parse(payload: Uint8Array): Partial<Record<keyof Head, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString());
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
