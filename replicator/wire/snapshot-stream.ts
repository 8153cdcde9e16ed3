/**
 * Snapshot ⇄ stream of bytes: each part is compressed and framed. The format is specified in README.md beside this file.
 * Rule: a snapshot is whole or it is nothing: the decoder never throws on bytes, and what is cut off, damaged, out of order or goes on
 * after its end is a fault. (De)compression runs beside the event loop, and both directions hold a bounded number of parts.
 */
import { crc32, deflateRaw, inflateRaw } from "node:zlib";
import { assert } from "../core/assert.ts";
import type { Region } from "../core/commands.ts";
import type { SnapshotPart } from "../core/snapshot.ts";
import { readPart } from "./snapshot-reader.ts";
import { PART_BYTES_MAX, SnapshotWriter } from "./snapshot-writer.ts";

/**
 * | bytes | what |
 * |---|---|
 * | 0–1 | magic `RS` |
 * | 2 | version |
 * | 3–6 | number of the part, from 0 |
 * | 7–10 | its bytes |
 * | 11–14 | its bytes compressed, which follow |
 * | 15–18 | CRC-32 of bytes 0–14 and of the part |
 */
const HEADER_BYTES = 19;
const MAGIC_0 = 0x52;
const MAGIC_1 = 0x53;
export const SNAPSHOT_VERSION = 1;
/** What does not get smaller by deflating gets a little larger. */
const PACKED_BYTES_MAX = PART_BYTES_MAX + PART_BYTES_MAX / 64;
/** Parts being compressed at a time: as many as there are threads for it. */
const AHEAD = 4;
const CHUNK_BYTES = 64 * 1024;

export type SnapshotFaultReason =
  /** Not a snapshot, or not from this byte on. */
  | "magic"
  /** Of a version that this process does not know. */
  | "version"
  /** A part beyond its bounds. */
  | "too-large"
  /** Damaged. */
  | "checksum"
  /** Parts are missing, twice or in another order. */
  | "order"
  /** Sound, but not what an encoder writes. */
  | "malformed"
  /** Ends before its end. */
  | "torn";

export interface SnapshotFault {
  readonly reason: SnapshotFaultReason;
  /** For people. Names fields, offsets and sizes, never content. */
  readonly detail: string;
}

/** The bytes of a snapshot, one piece for each part or more. Throws `InvariantError` on parts that cannot be encoded. */
export async function* encodeSnapshot(
  parts: Iterable<SnapshotPart> | AsyncIterable<SnapshotPart>,
): AsyncGenerator<Uint8Array, void, void> {
  const writer = new SnapshotWriter();
  const ahead: Promise<Uint8Array>[] = [];
  let number = 0;
  for await (const part of parts) {
    for (const bytes of writer.write(part)) {
      ahead.push(frame(number++, bytes));
      if (ahead.length >= AHEAD) yield* ahead.splice(0, 1);
    }
  }
  yield* ahead;
}

async function frame(number: number, bytes: Uint8Array): Promise<Uint8Array> {
  const packed = await deflate(bytes);
  const framed = new Uint8Array(HEADER_BYTES + packed.length);
  framed.set([MAGIC_0, MAGIC_1, SNAPSHOT_VERSION]);
  const view = new DataView(framed.buffer);
  view.setUint32(3, number, true);
  view.setUint32(7, bytes.length, true);
  view.setUint32(11, packed.length, true);
  view.setUint32(15, checksum(framed, bytes), true);
  framed.set(packed, HEADER_BYTES);
  return framed;
}

function checksum(header: Uint8Array, bytes: Uint8Array): number {
  return crc32(bytes, crc32(header.subarray(0, 15)));
}

function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    deflateRaw(bytes, { level: 1, chunkSize: CHUNK_BYTES }, (error, packed) => {
      if (error === null) resolve(packed);
      else reject(error);
    });
  });
}

/** The part, or undefined when its bytes are not those that were framed. */
function unpack({ header, packed, size }: Framed): Promise<Uint8Array | undefined> {
  const options = { maxOutputLength: size, chunkSize: Math.max(64, Math.min(size, CHUNK_BYTES)) };
  return new Promise((resolve) => {
    inflateRaw(packed, options, (error, bytes) => {
      const stated = new DataView(header.buffer, header.byteOffset).getUint32(15, true);
      const sound = error === null && bytes.length === size && checksum(header, bytes) === stated;
      resolve(sound ? bytes : undefined);
    });
  });
}

interface Missing {
  readonly records: Map<Region, number>;
  readonly facts: Map<Region, number>;
}

interface Framed {
  readonly header: Uint8Array;
  readonly packed: Uint8Array;
  /** Bytes of the part. */
  readonly size: number;
}

/** Feed it the pieces in order, each after the one before was dealt with, then `end` it. */
export class SnapshotDecoder {
  readonly #take: (part: SnapshotPart) => void | Promise<void>;
  /** What has come and belongs to no part yet that is all there. */
  #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  #neededBytes = HEADER_BYTES;
  /** Of the next part. */
  #number = 0;
  #fault: SnapshotFault | undefined;
  /** What is still to come, per fold; undefined before the head. */
  #missing: Missing | undefined;
  #complete = false;
  #busy = false;

  /** `take` gets each part in order, and is waited for. Nothing it got counts before `end` has returned undefined. */
  constructor(take: (part: SnapshotPart) => void | Promise<void>) {
    this.#take = take;
  }

  /** What was wrong first; undefined while all is well. */
  get fault(): SnapshotFault | undefined {
    return this.#fault;
  }

  /** Takes a piece of any size, whose memory may be used again when it has. After a fault it does nothing. */
  async push(piece: Uint8Array): Promise<void> {
    assert(!this.#busy, "pieces are pushed one after another");
    if (this.#fault !== undefined || piece.length === 0) return;
    this.#busy = true;
    this.#pieces.push(piece);
    this.#heldBytes += piece.length;
    const ahead: Promise<Uint8Array | undefined>[] = [];
    do {
      for (let framed = this.#next(); framed !== undefined; framed = this.#next()) {
        ahead.push(unpack(framed));
        if (ahead.length === AHEAD) break;
      }
      const first = ahead.shift();
      if (first !== undefined) await this.#accept(await first);
    } while (ahead.length > 0 || this.#isNextThere());
    const rest = this.#pieces.pop();
    if (rest !== undefined && this.#heldBytes > 0) this.#pieces.push(rest.slice());
    this.#busy = false;
  }

  /** Says that there is nothing more. Returns undefined if the snapshot was whole. */
  end(): SnapshotFault | undefined {
    assert(!this.#busy, "a decoder is ended after its last piece");
    if (!this.#complete) this.#fail("torn", `ends after ${this.#number} parts and ${this.#heldBytes} bytes`);
    else if (this.#heldBytes > 0) this.#fail("malformed", "it goes on after its end");
    return this.#fault;
  }

  #isNextThere(): boolean {
    return this.#fault === undefined && this.#heldBytes >= this.#neededBytes;
  }

  /** Takes the next part off what is held, if it is all there and may be one. */
  #next(): Framed | undefined {
    if (!this.#isNextThere()) return undefined;
    const [only, ...more] = this.#pieces;
    const held = only === undefined || more.length > 0 ? Buffer.concat(this.#pieces) : only;
    this.#pieces = [held];
    const view = new DataView(held.buffer, held.byteOffset);
    const size = view.getUint32(7, true);
    const end = HEADER_BYTES + view.getUint32(11, true);
    if (!this.#isHeader(held, view)) return undefined;
    this.#neededBytes = end;
    if (held.length < end) return undefined;
    this.#pieces = [held.subarray(end)];
    this.#heldBytes -= end;
    this.#neededBytes = HEADER_BYTES;
    this.#number++;
    return { header: held.subarray(0, HEADER_BYTES), packed: held.subarray(HEADER_BYTES, end), size };
  }

  #isHeader(held: Uint8Array, view: DataView): boolean {
    const version = held[2];
    const number = view.getUint32(3, true);
    const size = view.getUint32(7, true);
    const packedBytes = view.getUint32(11, true);
    if (held[0] !== MAGIC_0 || held[1] !== MAGIC_1)
      return this.#fail("magic", `part ${this.#number} does not begin with RS`);
    if (version !== SNAPSHOT_VERSION)
      return this.#fail("version", `version ${version}, this process knows ${SNAPSHOT_VERSION}`);
    if (number !== this.#number) return this.#fail("order", `part ${number} where ${this.#number} belongs`);
    if (size === 0 || size > PART_BYTES_MAX || packedBytes > PACKED_BYTES_MAX)
      return this.#fail("too-large", `part ${number} of ${size} bytes, ${packedBytes} compressed`);
    return true;
  }

  async #accept(bytes: Uint8Array | undefined): Promise<void> {
    if (this.#fault?.reason === "malformed" || this.#fault?.reason === "checksum") return;
    if (bytes === undefined) {
      this.#fail("checksum", `a part up to number ${this.#number - 1} is damaged`);
      return;
    }
    const result = readPart(bytes);
    if (!result.ok) this.#fail("malformed", result.detail);
    else if (this.#isInPlace(result.part)) await this.#take(result.part);
  }

  /** Whether the part may follow those before it. */
  #isInPlace(part: SnapshotPart): boolean {
    if (this.#complete) return this.#fail("malformed", "it goes on after its end");
    const missing = this.#missing;
    if (part.kind === "head") {
      if (missing !== undefined) return this.#fail("malformed", "a second head");
      this.#missing = {
        records: new Map(part.folds.map(({ region, users }) => [region, users])),
        facts: new Map(part.folds.map(({ region, facts }) => [region, facts])),
      };
      return true;
    }
    if (missing === undefined) return this.#fail("malformed", "it does not begin with a head");
    if (part.kind === "records") return this.#count(missing, "records", part.region, part.records.length);
    if (part.kind === "facts") return this.#count(missing, "facts", part.region, part.facts.length);
    if (part.kind === "end") {
      for (const what of ["records", "facts"] as const)
        if ([...missing[what].values()].some((left) => left > 0))
          return this.#fail("malformed", `fewer ${what} than its head says`);
      this.#complete = true;
    }
    return true;
  }

  #count(missing: Missing, what: keyof Missing, region: Region, count: number): boolean {
    const left = (missing[what].get(region) ?? 0) - count;
    if (left < 0) return this.#fail("malformed", `more ${what} than its head says`);
    missing[what].set(region, left);
    return true;
  }

  #fail(reason: SnapshotFaultReason, detail: string): false {
    this.#fault ??= { reason, detail };
    return false;
  }
}
