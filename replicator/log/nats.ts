/**
 * The log port on NATS JetStream: one store is one connection to one region's NATS.
 * Rule: expected failures are values; the stream's order is the log's order.
 */
import type { LogId, Region } from "../core/commands.ts";
import { announceSubject } from "../wire/subjects.ts";
import { Connection, type ConnectOptions } from "./connection.ts";
import { NatsCopyLog } from "./nats-copy.ts";
import { NatsOriginLog } from "./nats-origin.ts";
import type { Shared } from "./nats-shared.ts";
import type * as port from "./port.ts";
import { finishRenewal, renew } from "./renewal.ts";
import { markProof, proofOf } from "./proof.ts";
import { storedSeal } from "./seals.ts";
import { NatsSnapshots } from "./snapshots.ts";
import * as streams from "./streams.ts";

export interface LogStoreOptions extends ConnectOptions {
  /** Replicas of each stream created, inside the region's NATS cluster. Default 1. */
  readonly replicas?: number;
}

/** Returns at once and connects in the background; until then calls fail with `unavailable` and readers wait. */
export function connectLogStore(options: LogStoreOptions): port.LogStore {
  return new NatsLogStore(options);
}

class NatsLogStore implements port.LogStore {
  readonly #shared: Shared;
  readonly #replicas: number;
  readonly #snapshots: NatsSnapshots;
  /** The handles of the regions' logs as they are now. */
  readonly #logs = new Map<Region, NatsOriginLog>();

  constructor(options: LogStoreOptions) {
    const connection = new Connection(options);
    this.#shared = { connection, readers: new Set() };
    this.#replicas = options.replicas ?? 1;
    this.#snapshots = new NatsSnapshots(connection, this.#replicas);
  }

  connected(): boolean {
    return this.#shared.connection.connected();
  }

  describe(): string {
    return this.#shared.connection.describe();
  }

  async openLog(region: Region, options: { create: boolean }): Promise<port.Opened<port.OriginLog>> {
    const kind = streams.logKind(region);
    const settled = options.create
      ? await finishRenewal(this.#shared.connection, kind, this.#replicas)
      : { ok: true as const };
    if (!settled.ok) return settled;
    const finding = await this.#find(kind, options.create);
    if (!finding.ok) return finding;
    const { logId, after } = finding.found;
    const held = this.#logs.get(region);
    if (held?.logId === logId) return { ok: true, log: held };
    const { connection } = this.#shared;
    const replicas = this.#replicas;
    // A log just made has no end that could be lost.
    const marked =
      finding.created === true ? await markProof(connection, logId, "proven", replicas) : undefined;
    if (marked?.ok === false) return marked;
    const known = await proofOf(connection, logId);
    if (!known.ok) return known;
    const proven = known.proof === "proven";
    held?.release();
    const log = new NatsOriginLog(this.#shared, { region, logId, after, replicas, proven });
    this.#logs.set(region, log);
    return { ok: true, log };
  }

  async openCopy(origin: Region, options: { create: boolean }): Promise<port.Opened<port.CopyLog>> {
    const finding = await this.#find(streams.copyKind(origin), options.create);
    if (!finding.ok) return finding;
    const stored = await storedSeal(this.#shared.connection, origin);
    if (!stored.ok) return stored;
    const replicas = this.#replicas;
    const opened = { origin, making: finding.found.logId, sealed: stored.seal, replicas };
    return { ok: true, log: new NatsCopyLog(this.#shared, opened) };
  }

  async renewLog(region: Region, replaced: LogId): Promise<port.Opened<port.OriginLog>> {
    const { connection } = this.#shared;
    const renewed = await renew(connection, streams.logKind(region), replaced, this.#replicas);
    return renewed.ok ? this.openLog(region, { create: true }) : renewed;
  }

  snapshots(): port.SnapshotStore {
    return this.#snapshots;
  }

  announce(topic: string, payload: Uint8Array): void {
    this.#shared.connection.publish(announceSubject(topic), payload);
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.#shared.connection.listen(announceSubject(topic), handler);
  }

  onConnection(handler: port.ConnectionHandler): void {
    this.#shared.connection.onChange(handler);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shared.readers].map((reader) => reader.stop()));
    await this.#shared.connection.close();
  }

  #find(kind: streams.StreamKind, create: boolean): Promise<streams.Creation> {
    const { connection } = this.#shared;
    return create
      ? streams.createStream(connection, kind, this.#replicas)
      : streams.findStream(connection, kind);
  }
}
