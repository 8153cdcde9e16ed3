/**
 * How a read of one region comes to the nodes of another, and the answer back: announcements that the asking region's replicators carry.
 * Rule: a replicator reads the head and nothing else; what is larger than the bound is nobody's. Lost when nobody listens: who asks waits
 * only so long.
 */
import type { Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";

/** The first line of an ask and of its answer. */
export interface RelayHead {
  readonly ask: string;
  /** From when the ask is made, so long somebody waits for its answer; of an answer nothing. */
  readonly waitMs: number;
}

export interface Relayed extends RelayHead {
  /** JSON text. */
  readonly said: string;
}

export const RELAYED_BYTES_MAX = 256 * 1024;

const HEAD_BYTES_MAX = 70;
const HEAD = /^([A-Za-z0-9_-]{1,64}) (0|[1-9][0-9]{0,3})$/;
const LINE_END = 0x0a;

/** Asks for the nodes of that region. */
export function readAskedTopic(region: Region): string {
  return `read-asked-${region}`;
}

/** Answers for the nodes of that region. */
export function readAnsweredTopic(region: Region): string {
  return `read-answered-${region}`;
}

/** `undefined` when it is larger than the bound. */
export function encodeRelayed({ ask, waitMs }: RelayHead, said: unknown): Uint8Array | undefined {
  const bytes = Buffer.from(`${ask} ${waitMs}\n${JSON.stringify(said)}`);
  return bytes.length > RELAYED_BYTES_MAX ? undefined : bytes;
}

/** `undefined` when there is none, or what it heads is too large. */
export function decodeRelayHead(payload: Uint8Array): RelayHead | undefined {
  if (payload.length > RELAYED_BYTES_MAX) return undefined;
  const end = lineEnd(payload);
  const [, ask, digits] = HEAD.exec(Buffer.from(payload.subarray(0, end)).toString()) ?? [];
  const waitMs = Number(digits);
  return ask === undefined || waitMs > LIMITS.waitMsMax ? undefined : { ask, waitMs };
}

export function decodeRelayed(payload: Uint8Array): Relayed | undefined {
  const head = decodeRelayHead(payload);
  if (head === undefined) return undefined;
  return { ...head, said: Buffer.from(payload.subarray(lineEnd(payload) + 1)).toString() };
}

function lineEnd(payload: Uint8Array): number {
  return Math.max(0, payload.subarray(0, HEAD_BYTES_MAX + 1).indexOf(LINE_END));
}
