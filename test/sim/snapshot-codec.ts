/**
 * Snapshots as bytes in the simulation: each part as the shipped writer and reader have it, behind its length and checksum. Rule: nothing
 * is compressed, as that is done by other threads, and a run must be a function of its seed.
 */
import { crc32 } from "node:zlib";
import { readPart } from "../../replicator/wire/snapshot-reader.ts";
import { SnapshotWriter } from "../../replicator/wire/snapshot-writer.ts";
import type { SnapshotCodec } from "../../services/presence/snapshots.ts";

const HEADER_BYTES = 8;

export const SIM_CODEC: SnapshotCodec = {
  async *encode(parts) {
    const writer = new SnapshotWriter();
    for (const part of parts) {
      for (const bytes of writer.write(part)) {
        const framed = Buffer.alloc(HEADER_BYTES + bytes.length);
        framed.writeUInt32LE(bytes.length, 0);
        framed.writeUInt32LE(crc32(bytes), 4);
        framed.set(bytes, HEADER_BYTES);
        yield framed;
      }
    }
  },
  decoder: (take) => {
    let held = Buffer.alloc(0);
    let fault: { detail: string } | undefined;
    return {
      get fault() {
        return fault;
      },
      push: (piece) => {
        held = Buffer.concat([held, piece]);
        while (fault === undefined && held.length >= HEADER_BYTES) {
          const end = HEADER_BYTES + held.readUInt32LE(0);
          if (held.length < end) break;
          const bytes = held.subarray(HEADER_BYTES, end);
          const read = crc32(bytes) === held.readUInt32LE(4) ? readPart(bytes) : undefined;
          if (read?.ok === true) take(read.part);
          else fault = { detail: read?.detail ?? "a part is damaged" };
          held = held.subarray(end);
        }
        return Promise.resolve();
      },
      end: () => (fault ??= held.length > 0 ? { detail: "the end is missing" } : undefined),
    };
  },
};
