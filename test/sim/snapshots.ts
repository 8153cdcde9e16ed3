/**
 * Snapshots in the simulation: what one region's object store holds, and the port to it of one process. Rule: a snapshot is listed when
 * all of it is stored; every piece, sent or fetched, is a request of its own, and can fail as any other.
 */
import { crc32 } from "node:zlib";
import type { SnapshotStore, StoredSnapshot } from "../../replicator/log/port.ts";
import type { Random } from "./random.ts";

const PIECE_BYTES = 32 * 1024;
const UNANSWERED = { ok: false, reason: "unavailable", detail: "no answer" } as const;

interface Kept extends StoredSnapshot {
  readonly content: Uint8Array;
  readonly sum: number;
}

export class SnapshotShelf {
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();

  get size(): number {
    return this.#kept.size;
  }

  list(): StoredSnapshot[] {
    return [...this.#kept.values()].map(({ name, label, bytes }) => ({ name, label, bytes })).toReversed();
  }

  get(name: string): Kept | undefined {
    return this.#kept.get(name);
  }

  put(name: string, label: string, content: Uint8Array): void {
    this.#kept.delete(name);
    this.#kept.set(name, { name, label, bytes: content.length, content, sum: crc32(content) });
  }

  remove(name: string): void {
    this.#kept.delete(name);
  }

  /** Those that are as they were stored. */
  sound(): StoredSnapshot[] {
    return [...this.#kept.values()].filter(isSound);
  }

  /** One byte of one snapshot rots, or its end is cut off, until the returned function is called. */
  tear(random: Random): () => void {
    const torn = random.pick([...this.#kept.values()]);
    const length = random.chance(0.5) ? random.below(torn.bytes) : torn.bytes;
    const content = Uint8Array.from(torn.content.subarray(0, length));
    const at = random.below(content.length);
    if (content.length === torn.bytes) content[at] = (content[at] ?? 0) ^ 0x01;
    this.#kept.set(torn.name, { ...torn, content });
    return () => this.#kept.set(torn.name, torn);
  }
}

function isSound({ content, bytes, sum }: Kept): boolean {
  return content.length === bytes && crc32(content) === sum;
}

/** `ask` is a request to the server; no answer is `undefined`. */
export function snapshotStore(
  shelf: SnapshotShelf,
  ask: <T>(serve: () => T) => Promise<T | undefined>,
): SnapshotStore {
  return {
    list: async () => {
      const snapshots = await ask(() => shelf.list());
      return snapshots === undefined ? UNANSWERED : { ok: true, snapshots };
    },
    write: async (name, label, chunks) => {
      const sent: Uint8Array[] = [];
      try {
        for await (const chunk of chunks) {
          const kept = chunk.slice();
          if ((await ask(() => sent.push(kept))) === undefined) return UNANSWERED;
        }
      } catch (error) {
        return { ok: false, reason: "unavailable", detail: String(error) };
      }
      const content = Buffer.concat(sent);
      const stored = await ask(() => {
        shelf.put(name, label, content);
        return true;
      });
      return stored === undefined ? UNANSWERED : { ok: true, bytes: content.length };
    },
    read: async (name, take) => {
      const found = await ask(() => ({ kept: shelf.get(name) }));
      if (found === undefined) return UNANSWERED;
      const { kept } = found;
      if (kept === undefined) return { ok: false, reason: "absent", detail: `no snapshot ${name}` };
      for (let at = 0; at < kept.content.length; at += PIECE_BYTES) {
        const piece = await ask(() => kept.content.slice(at, at + PIECE_BYTES));
        if (piece === undefined) return UNANSWERED;
        await take(piece);
      }
      if (isSound(kept)) return { ok: true };
      return { ok: false, reason: "damaged", detail: `${name} is not as it was stored` };
    },
    remove: async (name) => {
      const answer = await ask(() => {
        shelf.remove(name);
        return true;
      });
      return answer === undefined ? UNANSWERED : { ok: true };
    },
  };
}
