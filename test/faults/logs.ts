/**
 * What is really stored: streams read from a nats-server by a client of its own, beside whatever the product does with them.
 * Rule: the product's adapters are not used, only its names; what they overlook is to be found here.
 */
import { createHash } from "node:crypto";
import { jetstream, jetstreamManager, type JsMsg } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { waitFor } from "../../infra/demo/wait.ts";
import { HEADER_LOG, HEADER_POSITION, copyStream, logStream } from "../../replicator/wire/subjects.ts";
import type { StageRegion } from "./stage-region.ts";

/** For a follower to have read what is stored. */
const FOLLOW_MS = 30_000;

export interface Stored {
  readonly sequence: number;
  /** In a copy: the frame's position at the origin. */
  readonly position: number;
  /** In a copy: the identity of the origin's log. */
  readonly logId: string;
  /** One frame. */
  readonly bytes: Uint8Array;
  readonly subject: string;
  /** By which the server knows it again; empty without one. */
  readonly messageId: string;
}

export interface CopyFaults {
  /** Frames compared. */
  readonly frames: number;
  /** Positions left out. */
  readonly gaps: number;
  /** Positions stored again, or after a later one. */
  readonly duplicates: number;
  /** Frames that are not what the origin has at their position. */
  readonly different: number;
}

/** Runs `work` with a connection that is closed afterwards. */
export async function withNats<T>(url: string, work: (connection: NatsConnection) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: url });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Everything a stream holds now, in its order. */
export function readStream(url: string, stream: string): Promise<Stored[]> {
  return withNats(url, async (connection) => {
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(stream);
    const stored: Stored[] = [];
    if (state.messages === 0) return stored;
    const consumer = await jetstream(connection).consumers.get(stream);
    const messages = await consumer.consume({ max_messages: 1_000 });
    for await (const message of messages) {
      stored.push(storedOf(message));
      if (message.seq >= state.last_seq) break;
    }
    await messages.close();
    return stored;
  });
}

function storedOf({ seq, data, subject, headers }: JsMsg): Stored {
  return {
    sequence: seq,
    position: Number(headers?.get(HEADER_POSITION) || seq),
    logId: headers?.get(HEADER_LOG) ?? "",
    bytes: data,
    subject,
    messageId: headers?.get("Nats-Msg-Id") ?? "",
  };
}

/** A region's log, read from its first frame on as it grows: what is cut off since stays here. */
export interface FollowedLog {
  /** All that the log has had until now; throws where a frame was missed. */
  whole(): Promise<readonly Stored[]>;
  close(): Promise<void>;
}

/** To begin while the log is whole; its nats-server must not go. */
export async function followLog(url: string, region: string): Promise<FollowedLog> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  const consumer = await jetstream(connection).consumers.get(logStream(region));
  const messages = await consumer.consume({ max_messages: 1_000 });
  const stored: Stored[] = [];
  const reading = (async () => {
    for await (const message of messages) stored.push(storedOf(message));
  })();
  return {
    whole: async () => {
      const { state } = await manager.streams.info(logStream(region));
      const waiting = { what: `the log of ${region}`, timeoutMs: FOLLOW_MS, everyMs: 20 };
      await waitFor(waiting, () =>
        stored.length >= state.last_seq
          ? { done: true, value: undefined }
          : { done: false, seen: `${stored.length} of ${state.last_seq}` },
      );
      if (stored.some(({ sequence }, i) => sequence !== i + 1))
        throw new Error(`a frame of ${region} was missed`);
      return stored;
    },
    close: async () => {
      await messages.close();
      await reading;
      await connection.close();
    },
  };
}

/** A region's own log, on its own nats-server. */
export function readLog(url: string, region: string): Promise<Stored[]> {
  return readStream(url, logStream(region));
}

/** A region's copy of the log of `origin`, on the region's nats-server. */
export function readCopy(url: string, origin: string): Promise<Stored[]> {
  return readStream(url, copyStream(origin));
}

/**
 * Sends the newest `count` frames of a region's log again, newest first, each with the message id it was stored with, as a node does
 * whose answer was lost. `stored`: those that the server took for new.
 */
export async function sendAgain(
  url: string,
  region: string,
  count: number,
): Promise<{ sent: number; stored: number }> {
  const newest = (await readLog(url, region)).slice(-count).toReversed();
  return withNats(url, async (connection) => {
    let [sent, stored] = [0, 0];
    for (const { bytes, subject, messageId } of newest) {
      if (messageId === "") continue;
      const { duplicate } = await jetstream(connection).publish(subject, bytes, { msgID: messageId });
      sent += 1;
      if (!duplicate) stored += 1;
    }
    return { sent, stored };
  });
}

/** Removes a stream, as no product process does. */
export function deleteStream(url: string, stream: string): Promise<boolean> {
  return withNats(url, async (connection) => (await jetstreamManager(connection)).streams.delete(stream));
}

/** The first and the last position that a region's own log holds, while it is the first that its stream holds. */
export function extentOf(url: string, region: string): Promise<{ first: number; last: number }> {
  return withNats(url, async (connection) => {
    const { state } = await (await jetstreamManager(connection)).streams.info(logStream(region));
    return { first: state.first_seq, last: state.last_seq };
  });
}

/** Frames that stand twice in a region's log, in words: a frame carries its node, its time and its commands, so no two are equal. */
export async function duplicatesIn(url: string, region: string): Promise<string[]> {
  const first = new Map<string, number>();
  const duplicates: string[] = [];
  for (const { sequence, bytes } of await readStream(url, logStream(region))) {
    const hash = hashOf(bytes);
    const before = first.get(hash);
    if (before === undefined) first.set(hash, sequence);
    else duplicates.push(`frame ${before} of ${region} is stored again at ${sequence}`);
  }
  return duplicates;
}

/** The copy at `replica` of the log of `origin`, against that log itself. */
export async function copyFaults(origin: StageRegion, replica: StageRegion): Promise<CopyFaults> {
  const copy = await readStream(replica.nats.url, copyStream(origin.name));
  const log = await readStream(origin.nats.url, logStream(origin.name));
  const byPosition = new Map(log.map(({ sequence, bytes }) => [sequence, hashOf(bytes)]));
  let [gaps, duplicates, different] = [0, 0, 0];
  let last = (copy[0]?.position ?? 1) - 1;
  for (const { position, bytes } of copy) {
    if (position <= last) duplicates += 1;
    gaps += Math.max(0, position - last - 1);
    if (byPosition.get(position) !== hashOf(bytes)) different += 1;
    last = Math.max(last, position);
  }
  return { frames: copy.length, gaps, duplicates, different };
}

/** Appends bytes to a region's log as no product process would; resolves with their position. */
export function appendRaw(url: string, region: string, bytes: Uint8Array): Promise<number> {
  return withNats(url, async (connection) => {
    const manager = await jetstreamManager(connection);
    const { config } = await manager.streams.info(logStream(region));
    const [subject] = config.subjects;
    if (subject === undefined) throw new Error(`the log of ${region} has no subject`);
    return (await jetstream(connection).publish(subject, bytes)).seq;
  });
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
