/**
 * Reads the primitives of the wire format from untrusted bytes.
 * Rule: it never throws and never reads past the end. The first thing wrong is kept in `failure`, and from then on every
 * read yields an empty value, so callers look at `failure` once per command instead of once per field. Only the one
 * encoding that the writer produces is accepted.
 */
import { isUtf8 } from "node:buffer";
import type { Codes } from "./codes.ts";
import { CHAR_CLASSES, type IdField, type TextField } from "./fields.ts";

const VARINT_BYTES_MAX = 8;

export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;
  #failure: string | undefined = undefined;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  /** What was wrong first, for people; `undefined` while all is well. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** Notes that `field` is wrong. Ends the reading. Says nothing of the content, which may be private. */
  fail(field: string, why: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = `${field}: ${why} (at byte ${this.#at})`;
    this.#at = this.#bytes.length;
  }

  byte(field: string): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) {
      this.fail(field, "ends too early");
      return 0;
    }
    this.#at++;
    return value;
  }

  /** Four bytes, lowest first. */
  uint32(field: string): number {
    const low = this.byte(field) | (this.byte(field) << 8);
    const high = this.byte(field) | (this.byte(field) << 8);
    return high * 0x1_0000 + low;
  }

  code<T>(codes: Codes<T>): T {
    const value = codes.values[this.byte(codes.name)];
    if (value !== undefined) return value;
    this.fail(codes.name, "unknown code");
    return codes.values[0];
  }

  /** Two values in one byte: the first in its low four bits, the second in its high four. */
  codes<A, B>(low: Codes<A>, high: Codes<B>): [A, B] {
    const byte = this.byte(low.name);
    const [a, b] = [low.values[byte & 15], high.values[byte >> 4]];
    if (a === undefined) this.fail(low.name, "unknown code");
    if (b === undefined) this.fail(high.name, "unknown code");
    return [a ?? low.values[0], b ?? high.values[0]];
  }

  varint(field: string): number {
    const first = this.byte(field);
    return first < 0x80 ? first : this.#varintTail(field, first - 0x80, 0x80);
  }

  signed(field: string): number {
    const first = this.byte(field);
    const low = first & 0x3f;
    const magnitude = first < 0x80 ? low : this.#varintTail(field, low, 0x40);
    if ((first & 0x40) === 0) return magnitude;
    if (magnitude === 0) {
      this.fail(field, "negative zero");
      return 0;
    }
    return -magnitude;
  }

  id(field: IdField): string {
    const length = this.byte(field.name);
    const start = this.#start(field, length);
    if (length === 0 || this.#failure !== undefined) return "";
    const bytes = this.#bytes;
    const end = start + length;
    let alphabet = field.first;
    for (let index = start; index < end; index++) {
      if (((CHAR_CLASSES[bytes[index] ?? 0] ?? 0) & alphabet) === 0) {
        this.fail(field.name, "illegal character");
        return "";
      }
      alphabet = field.rest;
    }
    this.#at = end;
    return bytes.toString("latin1", start, end);
  }

  text(field: TextField): string {
    const length = this.varint(field.name);
    const start = this.#start(field, length);
    if (length === 0 || this.#failure !== undefined) return "";
    const bytes = this.#bytes;
    const end = start + length;
    this.#at = end;
    let hash = length;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] ?? 0;
      if (byte > 0x7f) return this.#utf8(field, start, end);
      hash = (hash * 31 + byte) | 0;
    }
    return length <= COMMON_BYTES_MAX
      ? common(bytes, start, end, hash)
      : bytes.toString("latin1", start, end);
  }

  /** A copy of the next `length` bytes; empty when they are not all there. */
  raw(field: string, length: number): Uint8Array {
    if (length > this.remaining) this.fail(field, "ends too early");
    if (this.#failure !== undefined) return new Uint8Array();
    const start = this.#at;
    this.#at = start + length;
    return new Uint8Array(this.#bytes.subarray(start, this.#at));
  }

  /** Where a string of `length` bytes starts, after checking that it may be so long and is all there. */
  #start(field: IdField | TextField, length: number): number {
    if (length < field.bytesMin) this.fail(field.name, "too short");
    else if (length > field.bytesMax) this.fail(field.name, "too long");
    else if (length > this.remaining) this.fail(field.name, "ends too early");
    return this.#at;
  }

  #utf8(field: TextField, start: number, end: number): string {
    // `toString` alone would replace what is not UTF-8, and the frame would not encode to the same bytes again.
    if (isUtf8(this.#bytes.subarray(start, end))) return this.#bytes.toString("utf8", start, end);
    this.fail(field.name, "not UTF-8");
    return "";
  }

  /** The bytes of a varint after the first. A sum beyond 2^53 may be rounded, but never to a safe integer. */
  #varintTail(field: string, low: number, firstScale: number): number {
    let value = low;
    let scale = firstScale;
    for (let length = 2; length <= VARINT_BYTES_MAX; length++) {
      const byte = this.byte(field);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0) this.fail(field, "longer than needed");
        else if (value > Number.MAX_SAFE_INTEGER) this.fail(field, "not a safe integer");
        return this.#failure === undefined ? value : 0;
      }
      scale *= 0x80;
    }
    this.fail(field, "not a safe integer");
    return 0;
  }
}

/** Device and platform names are few and in every session: each is kept once, and found again without a new string. */
const COMMON_BYTES_MAX = 16;
const COMMON_SLOTS = 1024;
const commonTexts: string[] = Array.from({ length: COMMON_SLOTS }, () => "");

function common(bytes: Buffer, start: number, end: number, hash: number): string {
  const slot = hash & (COMMON_SLOTS - 1);
  const kept = commonTexts[slot] ?? "";
  if (kept.length === end - start && isAt(kept, bytes, start)) return kept;
  const text = bytes.toString("latin1", start, end);
  commonTexts[slot] = text;
  return text;
}

function isAt(text: string, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}
