/**
 * Writes the primitives of the wire format (bytes, varints, ids, texts) into one fixed piece of memory.
 * Rule: what has no canonical encoding is a bug of the caller and throws; nothing is rounded, cut or replaced. There is no
 * bounds check per byte: strings and numbers have a largest size, and the caller keeps room for its largest command.
 */
import { InvariantError } from "../core/assert.ts";
import type { Codes } from "./codes.ts";
import { CHAR_CLASSES, isText, type IdField, type TextField } from "./fields.ts";

function unencodable(field: string, why: string): never {
  throw new InvariantError(`cannot encode ${field}: ${why}`);
}

export class ByteWriter {
  readonly bytes: Uint8Array;
  readonly #buffer: Buffer;
  /** Where the next byte goes. */
  at = 0;

  constructor(bytesMax: number) {
    this.bytes = new Uint8Array(bytesMax);
    this.#buffer = Buffer.from(this.bytes.buffer);
  }

  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** The value's place in the list, as one byte. */
  code<T>(codes: Codes<T>, value: T): void {
    this.bytes[this.at++] = codeOf(codes, value);
  }

  /** Two values in one byte: the first in its low four bits, the second in its high four. */
  codes<A, B>(low: Codes<A>, a: A, high: Codes<B>, b: B): void {
    this.bytes[this.at++] = codeOf(low, a) | (codeOf(high, b) << 4);
  }

  /** 0 … 2^53-1 in 1 to 8 bytes, 7 bits each, lowest first. */
  varint(field: string, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) unencodable(field, "not a safe integer from 0");
    this.#varint(value);
  }

  /** Four bytes, lowest first. */
  uint32(field: string, value: number): void {
    if (value >>> 0 !== value) unencodable(field, "not an integer from 0 to 2^32-1");
    for (let index = 0; index < 4; index++) this.bytes[this.at++] = value >>> (8 * index);
  }

  /** ±(2^53-1) in 1 to 8 bytes: 6 bits of magnitude and the sign in the first, then 7 bits each. */
  signed(field: string, value: number): void {
    if (!Number.isSafeInteger(value)) unencodable(field, "not a safe integer");
    const magnitude = Math.abs(value);
    const first = (magnitude & 0x3f) | (value < 0 ? 0x40 : 0);
    if (magnitude < 0x40) {
      this.bytes[this.at++] = first;
    } else {
      this.bytes[this.at++] = first | 0x80;
      this.#varint(Math.floor(magnitude / 0x40));
    }
  }

  id(field: IdField, value: string): void {
    const length = value.length;
    if (length < field.bytesMin || length > field.bytesMax) unencodable(field.name, "wrong length");
    const bytes = this.bytes;
    let at = this.at;
    bytes[at++] = length;
    let alphabet = field.first;
    for (let index = 0; index < length; index++) {
      const char = value.charCodeAt(index);
      if (((CHAR_CLASSES[char] ?? 0) & alphabet) === 0) unencodable(field.name, "illegal character");
      bytes[at++] = char;
      alphabet = field.rest;
    }
    this.at = at;
  }

  text(field: TextField, value: string): void {
    const length = value.length;
    // Its UTF-8 has at least as many bytes, so this is already too long; and it keeps the loop within the memory.
    if (length > field.bytesMax) unencodable(field.name, "too long");
    const start = this.at;
    this.#varint(length);
    const bytes = this.bytes;
    let at = this.at;
    for (let index = 0; index < length; index++) {
      const char = value.charCodeAt(index);
      if (char > 0x7f) {
        this.at = start;
        this.#utf8(field, value);
        return;
      }
      bytes[at++] = char;
    }
    if (length < field.bytesMin) unencodable(field.name, "empty");
    this.at = at;
  }

  /** Bytes as they are, as many as the reader knows there to be. */
  raw(field: string, value: Uint8Array, length: number): void {
    if (value.length !== length) unencodable(field, "wrong length");
    this.bytes.set(value, this.at);
    this.at += length;
  }

  #utf8(field: TextField, value: string): void {
    if (!isText(field, value)) unencodable(field.name, "too long or not well-formed");
    this.#varint(Buffer.byteLength(value, "utf8"));
    this.at += this.#buffer.write(value, this.at, "utf8");
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      // `&` takes the low 32 bits of any safe integer, and here only the lowest 7 matter.
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.at++] = rest;
  }
}

function codeOf<T>(codes: Codes<T>, value: T): number {
  const code = codes.values.indexOf(value);
  if (code === -1) unencodable(codes.name, "not one of its values");
  return code;
}
