/** Frames one after another in one object of the store. Rule: each is preceded by its length, 4 bytes little-endian. */

const LENGTH_BYTES = 4;

export function framed(bytes: Uint8Array): Uint8Array {
  const piece = Buffer.alloc(LENGTH_BYTES + bytes.byteLength);
  piece.writeUInt32LE(bytes.byteLength);
  piece.set(bytes, LENGTH_BYTES);
  return piece;
}

/** Puts the pieces in which an object is read together to its frames. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that are whole by now. */
  push(piece: Uint8Array): Uint8Array[] {
    const bytes = Buffer.concat([this.#rest, piece]);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at + LENGTH_BYTES <= bytes.byteLength) {
      const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.byteLength) break;
      frames.push(bytes.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return frames;
  }
}
