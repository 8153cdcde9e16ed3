/**
 * The shape of Rollcall's JetStream streams: how they are created, recognised and looked at.
 * Rule: a stream of any other shape is refused, never adapted; a log's identity is minted once, by whoever creates or renews the log, and
 * lives in its description, because servers before 2.10 have no stream metadata, and in its subject, so that nothing that is meant for
 * another log gets into it.
 */
import { randomBytes } from "node:crypto";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { LogId, Region } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { copyStream, copySubject, logStream, logSubject } from "../wire/subjects.ts";
import type { Answer, Connection } from "./connection.ts";
import type { Done } from "./port.ts";

/** Within this long a retry with the same message id takes effect once. */
const DUPLICATE_WINDOW_NANOS = 120_000 * 1_000_000;
/** A frame with its headers. */
const MESSAGE_BYTES_MAX = LIMITS.frameBytesMax + 8 * 1024;
const STREAM_NAME_IN_USE = 10_058;
export const STREAM_NOT_FOUND = 10_059;

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

export interface Identity {
  /** Of a log; of a copy, which making of it this is: the entries in it have the identity of their log. */
  readonly logId: LogId;
  /** The sequence of the stream before the log's position 1: greater than 0 if the stream held another log before. */
  readonly after: number;
}

export interface Found extends Identity {
  readonly info: StreamInfo;
}
export type Finding = Done<{ readonly found: Found }>;
/** `created`: it was not there before. */
export type Creation = Done<{ readonly found: Found; readonly created?: boolean }>;

/** What there is: a stream that can be used, or one whose log is being renewed at this moment and has its new identity already. */
export type Sight = Done<{ readonly found: Found; readonly renewing: boolean }>;

/** A kind of stream: what it is called, and how its identity is minted, written into its configuration and read back. */
export interface StreamKind {
  readonly stream: string;
  mint(): LogId;
  subject(logId: LogId): string;
  /** Without an identity's `after`, a log that is being renewed. */
  describe(logId: LogId, after?: number): string;
  identify(description: string): { readonly logId: LogId; readonly after: number | undefined } | undefined;
}

const mint = (): string => randomBytes(9).toString("base64url");

export function logKind(region: Region): StreamKind {
  const prefix = `rollcall log ${region} id=`;
  return {
    stream: logStream(region),
    mint,
    subject: (logId) => logSubject(region, logId),
    describe: (logId, after) => `${prefix}${logId} after=${after ?? "?"}`,
    identify: (description) => {
      const rest = description.startsWith(prefix) ? description.slice(prefix.length) : "";
      const [, logId, after] = /^([A-Za-z0-9_-]{10,16}) after=(\d{1,15}|\?)$/.exec(rest) ?? [];
      if (logId === undefined || after === undefined) return undefined;
      return { logId, after: after === "?" ? undefined : Number(after) };
    },
  };
}

export function copyKind(origin: Region): StreamKind {
  const prefix = `rollcall copy of ${origin} id=`;
  return {
    stream: copyStream(origin),
    mint,
    subject: (making) => copySubject(origin, making),
    describe: (making) => `${prefix}${making}`,
    identify: (description) => {
      const rest = description.startsWith(prefix) ? description.slice(prefix.length) : "";
      return /^[A-Za-z0-9_-]{10,16}$/.test(rest) ? { logId: rest, after: 0 } : undefined;
    },
  };
}

function shapeOf(kind: StreamKind, logId: LogId, after: number | undefined): Shape {
  return {
    name: kind.stream,
    subjects: [kind.subject(logId)],
    description: kind.describe(logId, after),
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
  const identity = kind.identify(config.description ?? "");
  const wanted = Object.entries(shapeOf(kind, identity?.logId ?? "?", identity?.after));
  const wrong = wanted.flatMap(([key, value]) => {
    const found = actual.get(key);
    return JSON.stringify(found) === JSON.stringify(value)
      ? []
      : [`${key} is ${JSON.stringify(found)}, not ${JSON.stringify(value)}`];
  });
  if (config.max_msg_size !== -1 && config.max_msg_size < MESSAGE_BYTES_MAX)
    wrong.push(`max_msg_size ${config.max_msg_size} is below ${MESSAGE_BYTES_MAX}`);
  if (config.mirror !== undefined || config.sources !== undefined) wrong.push("it has a mirror or sources");
  if (config.sealed) wrong.push("it is sealed");
  return wrong.join("; ");
}

/** Looks the stream up and checks its shape. */
export async function look(connection: Connection, kind: StreamKind): Promise<Sight> {
  return judge(kind, await connection.api<StreamInfo>(`STREAM.INFO.${kind.stream}`, {}));
}

/** Looks the stream up, checks its shape, and that it can be used. */
export async function findStream(connection: Connection, kind: StreamKind): Promise<Finding> {
  return usable(kind, await look(connection, kind));
}

/** Gives the stream another identity, everything else as it is. Without `after` it is not usable until it gets one. */
export async function identifyStream(
  connection: Connection,
  kind: StreamKind,
  { info }: Found,
  logId: LogId,
  after: number | undefined,
): Promise<Sight> {
  const config = { ...info.config, ...shapeOf(kind, logId, after) };
  return judge(kind, await connection.api<StreamInfo>(`STREAM.UPDATE.${kind.stream}`, config));
}

/** Creates the stream, or finds the one that somebody else was faster to create: all converge on one identity. */
export async function createStream(
  connection: Connection,
  kind: StreamKind,
  replicas: number,
): Promise<Creation> {
  const existing = await findStream(connection, kind);
  if (existing.ok || existing.reason !== "absent") return existing;
  const config = {
    ...shapeOf(kind, kind.mint(), 0),
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: MESSAGE_BYTES_MAX,
    deny_purge: false,
    num_replicas: replicas,
  };
  const created = await connection.api<StreamInfo>(`STREAM.CREATE.${kind.stream}`, config);
  // A server may tell two who create at the same moment that both did: what it is, the stream itself says.
  if (created.ok || created.code === STREAM_NAME_IN_USE) {
    const finding = await findStream(connection, kind);
    return finding.ok ? { ...finding, created: created.ok } : finding;
  }
  return usable(kind, judge(kind, created));
}

function usable(kind: StreamKind, sight: Sight): Finding {
  if (!sight.ok || !sight.renewing) return sight;
  return { ok: false, reason: "unavailable", detail: `${kind.stream} is being renewed` };
}

function judge(kind: StreamKind, answer: Answer<StreamInfo>): Sight {
  if (!answer.ok) {
    const reason = answer.code === STREAM_NOT_FOUND ? "absent" : "unavailable";
    return { ok: false, reason, detail: `${kind.stream}: ${answer.detail}` };
  }
  const info = answer.value;
  const wrong = differences(kind, info.config);
  const identity = kind.identify(info.config.description ?? "");
  if (wrong !== "" || identity === undefined)
    return { ok: false, reason: "wrong-shape", detail: `${kind.stream} is not Rollcall's: ${wrong}` };
  const { logId, after } = identity;
  return {
    ok: true,
    found: { info, logId, after: after ?? info.state.last_seq },
    renewing: after === undefined,
  };
}
