/**
 * The fixed part that every frame of every version begins with, and the checks that need nothing but it.
 *
 * | bytes | what |
 * |---|---|
 * | 0–1 | magic `RC` |
 * | 2–5 | CRC-32 of everything from byte 6 on, lowest byte first |
 * | 6 | schema version |
 *
 * Rule: this layout never changes. So a damaged frame of a version not known here is told apart from a sound one: the first
 * is `checksum` (fetch it again), the second `version` (upgrade this process).
 */
import { crc32 } from "node:zlib";
import { LIMITS } from "../core/limits.ts";
import { SCHEMA_VERSION } from "./version.ts";

const MAGIC_0 = 0x52;
const MAGIC_1 = 0x43;
const CHECKSUM_AT = 2;
const VERSION_AT = 6;
export const ENVELOPE_BYTES = 7;

export type RefusalReason =
  /** Not even an envelope. */
  | "short"
  /** Not a frame at all. */
  | "magic"
  /** More than `LIMITS.frameBytesMax` bytes. */
  | "too-large"
  /** Damaged or cut off. */
  | "checksum"
  /** Sound, but of a schema this process does not know. */
  | "version"
  /** Sound, but not what an encoder writes: its author is broken or hostile. */
  | "malformed";

export interface Refusal {
  readonly ok: false;
  readonly reason: RefusalReason;
  /** For people. Names fields, offsets and sizes, never content. */
  readonly detail: string;
}

export function refuse(reason: RefusalReason, detail: string): Refusal {
  return { ok: false, reason, detail };
}

/** Fills in the envelope of a frame whose other bytes are written. */
export function sealEnvelope(bytes: Uint8Array): void {
  bytes[0] = MAGIC_0;
  bytes[1] = MAGIC_1;
  bytes[VERSION_AT] = SCHEMA_VERSION;
  const checksum = crc32(bytes.subarray(VERSION_AT));
  for (let index = 0; index < 4; index++) bytes[CHECKSUM_AT + index] = checksum >>> (8 * index);
}

/** Why `bytes` cannot be a frame of a known version; `undefined` when they can. Reads each byte once, allocates nothing. */
export function checkEnvelope(bytes: Uint8Array): Refusal | undefined {
  const size = bytes.length;
  if (size < ENVELOPE_BYTES) return refuse("short", `${size} bytes, at least ${ENVELOPE_BYTES}`);
  if (bytes[0] !== MAGIC_0 || bytes[1] !== MAGIC_1) return refuse("magic", "does not begin with RC");
  if (size > LIMITS.frameBytesMax)
    return refuse("too-large", `${size} bytes, at most ${LIMITS.frameBytesMax}`);
  const computed = crc32(bytes.subarray(VERSION_AT));
  const stated = checksumOf(bytes);
  if (computed !== stated) return refuse("checksum", `computed ${hex(computed)}, frame says ${hex(stated)}`);
  const version = bytes[VERSION_AT];
  if (version !== SCHEMA_VERSION)
    return refuse("version", `schema version ${version}, this process knows ${SCHEMA_VERSION}`);
  return undefined;
}

/** What the envelope says; of bytes that {@link checkEnvelope} has passed it is true. */
export function checksumOf(bytes: Uint8Array): number {
  let checksum = 0;
  for (let index = 3; index >= 0; index--) checksum = (checksum << 8) | (bytes[CHECKSUM_AT + index] ?? 0);
  return checksum >>> 0;
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, "0");
}
