/**
 * The region's snapshots in its NATS object store.
 * Rule: expected failures are values, and nothing waits for ever: each step is given up when it makes no progress for a while, or when
 * the connection is lost. Objects are written and listed with the client's library. They are read without it, because it would hold a
 * whole object in memory for a reader that is slow, and wait for ever for chunks that are not there.
 */
import { createHash } from "node:crypto";
import { ReadableStream } from "node:stream/web";
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import { Base64UrlPaddedCodec, Objm, setSha256Backend, StorageType } from "@nats-io/obj";
import type { ObjectInfo, ObjectStore } from "@nats-io/obj";
import type { NatsConnection } from "nats";
import { assert } from "../core/assert.ts";
import { SNAPSHOTS_BUCKET } from "../wire/subjects.ts";
import { messageOf, type Connection } from "./connection.ts";
import { SNAPSHOT_LABEL_BYTES_MAX, type Done, type SnapshotStore, type StoredSnapshot } from "./port.ts";
import { pullChunks } from "./pull-chunks.ts";
import { STREAM_NOT_FOUND } from "./streams.ts";

const STREAM = `OBJ_${SNAPSHOTS_BUCKET}`;
const CHUNKS = `$O.${SNAPSHOTS_BUCKET}.C.`;
const CHUNK_BYTES = 128 * 1024;
/** Without a chunk or an answer for this long, an attempt is given up. */
const NO_PROGRESS_MS = 10_000;
/** Chunks that belong to no object after this long were left behind by a writer that died. */
const ABANDONED_AFTER_MS = 600_000;
/** A consumer left behind disappears after this long. */
const INACTIVE_NANOS = 30_000 * 1_000_000;

type Failed = Exclude<Awaited<ReturnType<SnapshotStore["read"]>>, { readonly ok: true }>;
type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: "unavailable" | "absent"; readonly detail: string };

// The library's own SHA-256 is JavaScript; this one is OpenSSL's.
setSha256Backend("native");

let readsStarted = 0;

/** Ends waiting: when the connection is lost, or when nothing has progressed for a while. */
class Patience {
  readonly ended: Promise<{ readonly ok: false; readonly reason: "unavailable"; readonly detail: string }>;
  #end: (detail: string) => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #unhook: () => void;

  constructor(connection: Connection) {
    this.ended = new Promise((resolve) => {
      this.#end = (detail) => resolve({ ok: false, reason: "unavailable", detail });
    });
    this.#unhook = connection.onChange((connected, detail) => {
      if (!connected) this.#end(detail);
    });
    this.progressed();
  }

  progressed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(`nothing for ${NO_PROGRESS_MS / 1_000} s`), NO_PROGRESS_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#unhook();
  }
}

export class NatsSnapshots implements SnapshotStore {
  readonly #connection: Connection;
  readonly #replicas: number;

  constructor(connection: Connection, replicas: number) {
    this.#connection = connection;
    this.#replicas = replicas;
  }

  async list(): Promise<Done<{ readonly snapshots: readonly StoredSnapshot[] }>> {
    const listed = await this.#open((objects) => objects.list());
    if (!listed.ok) return listed.reason === "absent" ? { ok: true, snapshots: [] } : listed;
    const newestFirst = listed.value.toSorted(
      (a, b) => -(a.mtime.localeCompare(b.mtime) || a.name.localeCompare(b.name)),
    );
    const snapshots = newestFirst.map(({ name, description = "", size }) => ({
      name,
      label: description,
      bytes: size,
    }));
    return { ok: true, snapshots };
  }

  async write(
    name: string,
    label: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<Done<{ readonly bytes: number }>> {
    assert(Buffer.byteLength(label) <= SNAPSHOT_LABEL_BYTES_MAX, "a snapshot's label is short");
    const source = new Source(chunks);
    const written = await this.#attempt(async (client, patience) => {
      source.onPull = () => patience.progressed();
      const options = { description: "rollcall snapshots", storage: StorageType.File };
      const objects = await new Objm(client).create(SNAPSHOTS_BUCKET, {
        ...options,
        replicas: this.#replicas,
      });
      await this.#sweep(objects);
      const meta = { name, description: label, options: { max_chunk_size: CHUNK_BYTES } };
      return objects.put(meta, source.stream());
    });
    await source.close();
    return written.ok ? { ok: true, bytes: written.value.size } : written;
  }

  async read(
    name: string,
    take: (piece: Uint8Array) => void | Promise<void>,
  ): ReturnType<SnapshotStore["read"]> {
    const found = await this.#open((objects) => objects.info(name));
    if (!found.ok) return found;
    const info = found.value;
    if (info === null || info.deleted)
      return { ok: false, reason: "absent", detail: `there is no snapshot ${name}` };
    const hash = createHash("sha256");
    const failed = await this.#readChunks(info, (piece) => {
      hash.update(piece);
      return take(piece);
    });
    if (failed !== undefined) return failed;
    const stated = info.digest.replace("SHA-256=", "").replaceAll("=", "");
    if (hash.digest("base64url") === stated) return { ok: true };
    return { ok: false, reason: "damaged", detail: `snapshot ${name} is not what was stored` };
  }

  async remove(name: string): Promise<Done<object>> {
    const removed = await this.#open((objects) => objects.delete(name));
    if (!removed.ok) return removed.reason === "absent" ? { ok: true } : removed;
    // The library leaves a mark of each object that was.
    const filter = `$O.${SNAPSHOTS_BUCKET}.M.${Base64UrlPaddedCodec.encode(name)}`;
    const purged = await this.#connection.api(`STREAM.PURGE.${STREAM}`, { filter });
    return purged.ok ? { ok: true } : { ok: false, reason: "unavailable", detail: purged.detail };
  }

  /** Does something with the bucket; `absent` when there is none. */
  async #open<T>(act: (objects: ObjectStore) => Promise<T>): Promise<Attempt<T>> {
    const info = await this.#connection.api(`STREAM.INFO.${STREAM}`, {});
    if (!info.ok) {
      const reason = info.code === STREAM_NOT_FOUND ? "absent" : "unavailable";
      return { ok: false, reason, detail: `${STREAM}: ${info.detail}` };
    }
    return this.#attempt(async (client) => act(await new Objm(client).open(SNAPSHOTS_BUCKET, false)));
  }

  async #attempt<T>(act: (client: NatsConnection, patience: Patience) => Promise<T>): Promise<Attempt<T>> {
    const client = this.#connection.client();
    if (client === undefined) return { ok: false, reason: "unavailable", detail: "not connected" };
    const patience = new Patience(this.#connection);
    const acting = act(client, patience).then(
      (value): Attempt<T> => ({ ok: true, value }),
      (error: unknown): Attempt<T> => ({ ok: false, reason: "unavailable", detail: messageOf(error) }),
    );
    const result = await Promise.race([acting, patience.ended]);
    patience.stop();
    return result;
  }

  async #readChunks(
    { name, nuid, chunks }: ObjectInfo,
    take: (piece: Uint8Array) => void | Promise<void>,
  ): Promise<Failed | undefined> {
    readsStarted += 1;
    const consumer = `snapshot_${process.pid}_${readsStarted}_${Math.random().toString(36).slice(2, 10)}`;
    const filter = `${CHUNKS}${nuid}`;
    const created = await this.#connection.api<ConsumerInfo>(
      `CONSUMER.CREATE.${STREAM}.${consumer}.${filter}`,
      {
        stream_name: STREAM,
        action: "create",
        config: {
          name: consumer,
          filter_subject: filter,
          deliver_policy: "all",
          ack_policy: "none",
          max_deliver: 1,
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: INACTIVE_NANOS,
        },
      },
    );
    if (!created.ok) return { ok: false, reason: "unavailable", detail: created.detail };
    const held = created.value.num_pending;
    if (held !== chunks)
      return { ok: false, reason: "damaged", detail: `${held} chunks of snapshot ${name}, not ${chunks}` };
    const failed = await pullChunks(this.#connection, STREAM, consumer, chunks, take);
    // Best effort: what cannot be deleted now goes by itself after INACTIVE_NANOS.
    void this.#connection.api(`CONSUMER.DELETE.${STREAM}.${consumer}`, {});
    return failed;
  }

  /** Removes chunks that writers have left behind. */
  async #sweep(objects: ObjectStore): Promise<void> {
    const info = await this.#connection.api<StreamInfo>(`STREAM.INFO.${STREAM}`, {
      subjects_filter: `${CHUNKS}>`,
    });
    const held = Object.keys((info.ok ? info.value.state.subjects : undefined) ?? {});
    const known = new Set((await objects.list()).map(({ nuid }) => `${CHUNKS}${nuid}`));
    for (const filter of held) {
      if (known.has(filter)) continue;
      const last = await this.#connection.api<{ message: { time: string } }>(`STREAM.MSG.GET.${STREAM}`, {
        last_by_subj: filter,
      });
      if (last.ok && Date.now() - Date.parse(last.value.message.time) > ABANDONED_AFTER_MS)
        await this.#connection.api(`STREAM.PURGE.${STREAM}`, { filter });
    }
  }
}

/** Chunks on their way to the library, which takes what goes wrong with them for its own failures. */
class Source {
  onPull: () => void = () => undefined;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #broken: { readonly error: unknown } | undefined;
  #pulling = false;
  #closed = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({ pull: (controller) => this.#pull(controller) }, { highWaterMark: 0 });
  }

  /** Ends the chunks, and throws what they threw. Does not wait for one that is being made: that may take for ever. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = this.#chunks.return?.();
    if (!this.#pulling) await ended;
    if (this.#broken !== undefined) throw this.#broken.error;
  }

  async #pull(controller: { enqueue(chunk: Uint8Array): void; close(): void }): Promise<void> {
    if (this.#closed) throw new Error("given up");
    this.onPull();
    this.#pulling = true;
    try {
      const next = await this.#chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    } catch (error) {
      this.#broken = { error };
      throw error;
    } finally {
      this.#pulling = false;
    }
  }
}
