/**
 * What logs and copies on NATS have in common: appending one message, reading one stream, and knowing which readers there are.
 * Rule: an append is acknowledged by the stream it was meant for, or it is not acknowledged.
 */
import type { MsgHdrs } from "nats";
import type { Position } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { NO_RESPONDERS, parseJetStreamAnswer, type Answer, type Connection } from "./connection.ts";
import type * as port from "./port.ts";
import { LogReader, type Plan, type Progress, type Source } from "./reader.ts";
import type { Finding } from "./streams.ts";

const WRONG_LAST_SEQUENCE = 10_071;

/** What the server answers to an append. */
interface PubAck {
  readonly stream: string;
  readonly seq: number;
  /** Left out when false. */
  readonly duplicate?: boolean;
}

/** What the logs of one store share. */
export interface Shared {
  readonly connection: Connection;
  readonly readers: Set<port.Reader>;
}

/** What a finding without a stream means for a reader. */
export function planWithout({ reason, detail }: Extract<Finding, { ok: false }>): Plan {
  return reason === "wrong-shape"
    ? { kind: "broken", reason: "identity-changed", detail }
    : { kind: "wait", detail };
}

/** How a reader goes on in a log that is held from `first` to `head`; a position's sequence is `offset` more. */
export function planWithin(
  { wanted, delivered }: Progress,
  { first, head, offset }: { readonly first: Position; readonly head: Position; readonly offset: number },
): Plan {
  if (head < delivered)
    return {
      kind: "broken",
      reason: "identity-changed",
      detail: `ends at ${head}, was read up to ${delivered}`,
    };
  if (wanted < first)
    return { kind: "broken", reason: "missing", detail: `wanted ${wanted}, the first held is ${first}` };
  const again = delivered >= first;
  return { kind: "start", sequence: Math.min(again ? delivered : wanted, head + 1) + offset, again };
}

export function startReader(
  shared: Shared,
  source: Source,
  from: Position,
  handlers: port.ReadHandlers,
): port.Reader {
  const reader = new LogReader(shared.connection, source, from, handlers);
  const handle = {
    stop: async () => {
      await reader.stop();
      shared.readers.delete(handle);
    },
  };
  shared.readers.add(handle);
  return handle;
}

export function rejected(detail: string): port.AppendResult {
  return { ok: false, reason: "rejected", detail };
}

/** What is wrong with a frame of this size, or empty. */
function sizeFault(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an entry must not be empty";
  return bytes.length > LIMITS.frameBytesMax ? `${bytes.length} bytes exceed ${LIMITS.frameBytesMax}` : "";
}

/** Where an append goes. */
export interface Destination {
  readonly stream: string;
  readonly subject: string;
  /** Told when nobody at all takes what is sent there. */
  unheard(): void;
}

export async function append(
  connection: Connection,
  to: Destination,
  bytes: Uint8Array,
  heads: MsgHdrs,
): Promise<port.AppendResult> {
  const fault = sizeFault(bytes);
  if (fault !== "") return rejected(fault);
  const answer = await connection.request(to.subject, bytes, heads);
  if (!answer.ok && answer.code === NO_RESPONDERS) to.unheard();
  const ack: Answer<PubAck> = answer.ok ? parseJetStreamAnswer<PubAck>(answer.value) : answer;
  if (ack.ok) {
    const { stream, seq, duplicate = false } = ack.value;
    if (stream !== to.stream) return rejected(`stored by ${stream}, not ${to.stream}`);
    return { ok: true, position: seq, duplicate };
  }
  if (ack.code === WRONG_LAST_SEQUENCE) return { ok: false, reason: "fenced", detail: ack.detail };
  return { ok: false, reason: ack.kind === "unavailable" ? "unavailable" : "rejected", detail: ack.detail };
}
