/**
 * The shape of Rollcall's JetStream streams: how they are created, recognised and looked at.
 * Rule: a stream of any other shape is refused, never adapted; a log's identity is minted once, by whoever creates the stream, and
 * lives in its description because servers before 2.10 have no stream metadata.
 */
import { randomBytes } from "node:crypto";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { MsgHdrsImpl, type Msg, type MsgHdrs } from "nats";
import type { LogId, Position, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import {
  HEADER_LOG,
  HEADER_POSITION,
  copyStream,
  copySubject,
  logStream,
  logSubject,
} from "../wire/subjects.ts";
import type { Answer, Connection } from "./connection.ts";
import type { Entry, OpenFailure } from "./port.ts";

/** Within this long a retry with the same message id takes effect once. */
const DUPLICATE_WINDOW_NANOS = 120_000 * 1_000_000;
/** A frame with its headers. */
const MESSAGE_BYTES_MAX = LIMITS.frameBytesMax + 8 * 1024;
const NO_MESSAGE_FOUND = 10_037;
const STREAM_NAME_IN_USE = 10_058;
const STREAM_NOT_FOUND = 10_059;

/** What of a stream's configuration matters; everything here must be exactly so. */
type Shape = Pick<
  StreamConfig,
  | "name"
  | "subjects"
  | "description"
  | "storage"
  | "retention"
  | "discard"
  | "max_age"
  | "max_msgs_per_subject"
  | "deny_delete"
  | "duplicate_window"
>;

export interface Found {
  readonly info: StreamInfo;
  /** Of a log; empty for a copy, whose identity is that of the entries in it. */
  readonly logId: LogId;
}
export type Finding =
  | { readonly ok: true; readonly found: Found }
  | { readonly ok: false; readonly reason: OpenFailure; readonly detail: string };

/** A kind of stream: what it is called, how it is described, and how the identity is read back. */
export interface StreamKind {
  readonly stream: string;
  readonly subject: string;
  describe(): string;
  identify(description: string): LogId | undefined;
}

export function logKind(region: Region): StreamKind {
  const prefix = `rollcall log ${region} id=`;
  return {
    stream: logStream(region),
    subject: logSubject(region),
    describe: () => prefix + randomBytes(9).toString("base64url"),
    identify: (description) => {
      const logId = description.startsWith(prefix) ? description.slice(prefix.length) : "";
      return /^[A-Za-z0-9_-]{10,16}$/.test(logId) ? logId : undefined;
    },
  };
}

export function copyKind(origin: Region): StreamKind {
  const description = `rollcall copy of ${origin}`;
  return {
    stream: copyStream(origin),
    subject: copySubject(origin),
    describe: () => description,
    identify: (actual) => (actual === description ? "" : undefined),
  };
}

function shapeOf(kind: StreamKind, description: string): Shape {
  return {
    name: kind.stream,
    subjects: [kind.subject],
    description,
    storage: "file",
    retention: "limits",
    discard: "new",
    max_age: 0,
    max_msgs_per_subject: -1,
    deny_delete: true,
    duplicate_window: DUPLICATE_WINDOW_NANOS,
  };
}

/** What of `config` is not as it must be, for people; empty when all is well. */
function differences(kind: StreamKind, config: StreamConfig): string {
  const actual = new Map<string, unknown>(Object.entries(config));
  const wanted = Object.entries(shapeOf(kind, config.description ?? ""));
  const wrong = wanted.flatMap(([key, value]) => {
    const found = actual.get(key);
    return JSON.stringify(found) === JSON.stringify(value)
      ? []
      : [`${key} is ${JSON.stringify(found)}, not ${JSON.stringify(value)}`];
  });
  if (kind.identify(config.description ?? "") === undefined)
    wrong.push(`description is ${JSON.stringify(config.description ?? "")}`);
  if (config.max_msg_size !== -1 && config.max_msg_size < MESSAGE_BYTES_MAX)
    wrong.push(`max_msg_size ${config.max_msg_size} is below ${MESSAGE_BYTES_MAX}`);
  if (config.mirror !== undefined || config.sources !== undefined) wrong.push("it has a mirror or sources");
  if (config.sealed) wrong.push("it is sealed");
  return wrong.join("; ");
}

/** Looks the stream up and checks its shape. */
export async function findStream(connection: Connection, kind: StreamKind): Promise<Finding> {
  return judge(kind, await connection.api<StreamInfo>(`STREAM.INFO.${kind.stream}`, {}));
}

/** Creates the stream, or finds the one that somebody else was faster to create: all converge on one identity. */
export async function createStream(
  connection: Connection,
  kind: StreamKind,
  replicas: number,
): Promise<Finding> {
  const existing = await findStream(connection, kind);
  if (existing.ok || existing.reason !== "absent") return existing;
  const config = {
    ...shapeOf(kind, kind.describe()),
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: MESSAGE_BYTES_MAX,
    deny_purge: false,
    num_replicas: replicas,
  };
  const created = await connection.api<StreamInfo>(`STREAM.CREATE.${kind.stream}`, config);
  if (!created.ok && created.code === STREAM_NAME_IN_USE) return findStream(connection, kind);
  return judge(kind, created);
}

function judge(kind: StreamKind, answer: Answer<StreamInfo>): Finding {
  if (!answer.ok) {
    const reason = answer.code === STREAM_NOT_FOUND ? "absent" : "unavailable";
    return { ok: false, reason, detail: `${kind.stream}: ${answer.detail}` };
  }
  const info = answer.value;
  const wrong = differences(kind, info.config);
  const logId = kind.identify(info.config.description ?? "");
  if (wrong !== "" || logId === undefined)
    return { ok: false, reason: "wrong-shape", detail: `${kind.stream} is not Rollcall's: ${wrong}` };
  return { ok: true, found: { info, logId } };
}

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

/** The provenance of one stored message, asked of the stream's leader; `absent` when it is not there, `wrong-shape` when it has none. */
export async function storedProvenance(
  connection: Connection,
  kind: StreamKind,
  which: { readonly seq: number } | { readonly last_by_subj: string },
): Promise<
  | { readonly ok: true; readonly provenance: Provenance }
  | { readonly ok: false; readonly reason: OpenFailure; readonly detail: string }
> {
  const answer = await connection.api<{ message: { seq: number; hdrs?: string } }>(
    `STREAM.MSG.GET.${kind.stream}`,
    which,
  );
  if (!answer.ok) {
    const absent = answer.code === NO_MESSAGE_FOUND || answer.code === STREAM_NOT_FOUND;
    return {
      ok: false,
      reason: absent ? "absent" : "unavailable",
      detail: `${kind.stream}: ${answer.detail}`,
    };
  }
  const { seq, hdrs } = answer.value.message;
  const headers = hdrs === undefined ? undefined : MsgHdrsImpl.decode(Buffer.from(hdrs, "base64"));
  const provenance = provenanceOf(headers, seq);
  return typeof provenance === "string"
    ? { ok: false, reason: "wrong-shape", detail: provenance }
    : { ok: true, provenance };
}

/** The entry in a message of a log. */
export function logEntry(logId: LogId, message: Msg, sequence: number): Entry | string {
  if (message.data.length === 0) return `message ${sequence} is empty`;
  return { position: sequence, logId, bytes: message.data };
}

/** The entry in a message of a copy. */
export function copyEntry(message: Msg, sequence: number): Entry | string {
  const from = provenanceOf(message.headers, sequence);
  if (typeof from === "string") return from;
  if (message.data.length === 0) return `message ${sequence} is empty`;
  return { position: from.position, logId: from.logId, bytes: message.data };
}
