/**
 * Messages of Rollcall's streams and the entries they are; looking at single ones, and dropping the oldest.
 * Rule: what is not an entry is called so, never guessed at.
 */
import { MsgHdrsImpl, type Msg, type MsgHdrs } from "nats";
import type { LogId, Position } from "../core/commands.ts";
import { HEADER_LOG, HEADER_POSITION } from "../wire/subjects.ts";
import type { Connection } from "./connection.ts";
import type { Done, Entry } from "./port.ts";
import { STREAM_NOT_FOUND, type StreamKind } from "./streams.ts";

export const NO_MESSAGE_FOUND = 10_037;

/** Where a message of a copy comes from. */
export interface Provenance {
  readonly position: Position;
  readonly logId: LogId;
  /** Place in the copy's own stream. */
  readonly sequence: number;
}

export function provenanceOf(headers: MsgHdrs | undefined, sequence: number): Provenance | string {
  const position = Number(headers?.get(HEADER_POSITION) || Number.NaN);
  const logId = headers?.get(HEADER_LOG) ?? "";
  if (!Number.isSafeInteger(position) || position < 1 || logId === "")
    return `message ${sequence} of the copy has no valid ${HEADER_POSITION} and ${HEADER_LOG}`;
  return { position, logId, sequence };
}

/** What of a message makes an entry. */
type Stored = Pick<Msg, "subject" | "data"> & { readonly headers?: MsgHdrs };
type Which = { readonly seq: number } | { readonly last_by_subj: string };

/** One stored message, asked of the stream's leader; `absent` when it is not there. */
export async function storedMessage(
  connection: Connection,
  kind: StreamKind,
  which: Which,
): Promise<Done<{ readonly message: Stored; readonly sequence: number }>> {
  const answer = await connection.api<{
    message: { subject: string; seq: number; hdrs?: string; data?: string };
  }>(`STREAM.MSG.GET.${kind.stream}`, which);
  if (!answer.ok) {
    const absent = answer.code === NO_MESSAGE_FOUND || answer.code === STREAM_NOT_FOUND;
    return {
      ok: false,
      reason: absent ? "absent" : "unavailable",
      detail: `${kind.stream}: ${answer.detail}`,
    };
  }
  const { subject, seq: sequence, hdrs, data = "" } = answer.value.message;
  const message = { subject, data: new Uint8Array(Buffer.from(data, "base64")) };
  if (hdrs === undefined) return { ok: true, message, sequence };
  const found = MsgHdrsImpl.decode(Buffer.from(hdrs, "base64"));
  return { ok: true, message: { ...message, headers: found }, sequence };
}

/** The provenance of one stored message of a copy; `absent` when it is not there, `wrong-shape` when it has none. */
export async function storedProvenance(
  connection: Connection,
  kind: StreamKind,
  which: Which,
): Promise<Done<{ readonly provenance: Provenance }>> {
  const stored = await storedMessage(connection, kind, which);
  if (!stored.ok) return stored;
  const provenance = provenanceOf(stored.message.headers, stored.sequence);
  return typeof provenance === "string"
    ? { ok: false, reason: "wrong-shape", detail: provenance }
    : { ok: true, provenance };
}

/**
 * Drops the messages before sequence `below`, or all; the stream's last sequence stays. To drop all, or all up to the last, while somebody
 * appends is to lose what is appended: nats-server 2.9.10 looks at the end first and drops everything afterwards.
 */
export async function purge(connection: Connection, kind: StreamKind, below?: number): Promise<Done<object>> {
  if (below !== undefined && below <= 1) return { ok: true };
  const body = below === undefined ? {} : { seq: below };
  const answer = await connection.api(`STREAM.PURGE.${kind.stream}`, body);
  if (answer.ok) return { ok: true };
  const reason = answer.code === STREAM_NOT_FOUND ? "absent" : "unavailable";
  return { ok: false, reason, detail: `${kind.stream}: ${answer.detail}` };
}

/** The entry in a message of a log, whose subject ends with the log's identity. */
export function logEntry(subject: string, logId: LogId, message: Stored, position: Position): Entry | string {
  if (message.data.length === 0) return `message at ${position} is empty`;
  if (message.subject === subject) return { position, logId, bytes: message.data };
  const another = message.subject.slice(message.subject.lastIndexOf(".") + 1);
  return { position, logId: another, bytes: message.data };
}

/** The entry in a message of a copy. */
export function copyEntry(message: Stored, sequence: number): Entry | string {
  const from = provenanceOf(message.headers, sequence);
  if (typeof from === "string") return from;
  if (message.data.length === 0) return `message ${sequence} is empty`;
  return { position: from.position, logId: from.logId, bytes: message.data };
}
