/**
 * The snapshots of a `MemoryServer`, as one store sees them.
 * Rule: as on NATS: one that is listed was stored whole, and damage is found at the end of reading, not before.
 */
import { createHash } from "node:crypto";
import { assert } from "../core/assert.ts";
import { DOWN } from "./memory-logs.ts";
import type { MemoryServer } from "./memory.ts";
import { type Done, SNAPSHOT_LABEL_BYTES_MAX, type SnapshotStore, type StoredSnapshot } from "./port.ts";

const PIECE_BYTES = 128 * 1024;
const FULL = { ok: false, reason: "unavailable", detail: "the server is full" } as const;

export interface Shelved {
  readonly label: string;
  readonly bytes: Uint8Array;
  /** Of the bytes as they were written. */
  readonly sha256: string;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export class MemorySnapshots implements SnapshotStore {
  readonly #server: MemoryServer;
  readonly #connected: () => boolean;

  constructor(server: MemoryServer, connected: () => boolean) {
    this.#server = server;
    this.#connected = connected;
  }

  async list(): Promise<Done<{ readonly snapshots: readonly StoredSnapshot[] }>> {
    if (!this.#connected()) return DOWN;
    const oldestFirst = [...this.#server.snapshots];
    const snapshots = oldestFirst.map(([name, { label, bytes }]) => ({ name, label, bytes: bytes.length }));
    return { ok: true, snapshots: snapshots.toReversed() };
  }

  async write(
    name: string,
    label: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<Done<{ readonly bytes: number }>> {
    assert(Buffer.byteLength(label) <= SNAPSHOT_LABEL_BYTES_MAX, "a snapshot's label is short");
    if (!this.#connected()) return DOWN;
    const held: Uint8Array[] = [];
    let heldBytes = 0;
    let failure: typeof FULL | typeof DOWN | undefined;
    for await (const chunk of chunks) {
      if (!this.#connected()) failure = DOWN;
      else if (!this.#server.hold(chunk.length)) failure = FULL;
      if (failure !== undefined) break;
      held.push(chunk.slice());
      heldBytes += chunk.length;
    }
    if (failure === undefined && !this.#connected()) failure = DOWN;
    if (failure !== undefined) {
      this.#server.hold(-heldBytes);
      return failure;
    }
    const bytes = Buffer.concat(held);
    this.#drop(name);
    this.#server.snapshots.set(name, { label, bytes, sha256: sha256(bytes) });
    return { ok: true, bytes: bytes.length };
  }

  async read(
    name: string,
    take: (piece: Uint8Array) => void | Promise<void>,
  ): ReturnType<SnapshotStore["read"]> {
    if (!this.#connected()) return DOWN;
    const shelved = this.#server.snapshots.get(name);
    if (shelved === undefined) return { ok: false, reason: "absent", detail: `there is no snapshot ${name}` };
    const { bytes } = shelved;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      await take(bytes.slice(at, at + PIECE_BYTES));
      if (!this.#connected()) return DOWN;
    }
    if (sha256(bytes) === shelved.sha256) return { ok: true };
    return { ok: false, reason: "damaged", detail: `snapshot ${name} is not what was stored` };
  }

  async remove(name: string): Promise<Done<object>> {
    if (!this.#connected()) return DOWN;
    this.#drop(name);
    return { ok: true };
  }

  #drop(name: string): void {
    const shelved = this.#server.snapshots.get(name);
    if (shelved === undefined) return;
    this.#server.hold(-shelved.bytes.length);
    this.#server.snapshots.delete(name);
  }
}
