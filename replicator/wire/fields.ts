/**
 * The strings a frame may hold: for each field its size in bytes and, for ids, its alphabet.
 * Rule: writer and reader judge a string by the same entry here, so whatever one accepts the other accepts. Whoever takes
 * strings from outside asks {@link isId} or {@link isText} first, because encoding a bad one ends the process.
 */
import { LIMITS } from "../core/limits.ts";

/** Bits of {@link CHAR_CLASSES}. */
const USER_CHAR = 1;
const NAME_CHAR = 2;
const REGION_CHAR = 4;
const LOWER_CHAR = 8;
const KEY_CHAR = 16;

/** For each byte, the alphabets it belongs to. A lookup is what makes checking ids cheaper than a regular expression. */
export const CHAR_CLASSES = charClasses();

function charClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  const mark = (chars: string, bits: number): void => {
    for (const char of chars) {
      const code = char.charCodeAt(0);
      classes[code] = (classes[code] ?? 0) | bits;
    }
  };
  mark("abcdefghijklmnopqrstuvwxyz", USER_CHAR | NAME_CHAR | REGION_CHAR | LOWER_CHAR | KEY_CHAR);
  mark("ABCDEFGHIJKLMNOPQRSTUVWXYZ", USER_CHAR | NAME_CHAR);
  mark("0123456789-", USER_CHAR | NAME_CHAR | REGION_CHAR | KEY_CHAR);
  mark("_", USER_CHAR | NAME_CHAR | KEY_CHAR);
  mark(".:", USER_CHAR | KEY_CHAR);
  mark("@", USER_CHAR);
  return classes;
}

/** An ASCII string with an alphabet. At most 127 bytes, so that its length is one byte. */
export interface IdField {
  readonly name: string;
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** Alphabet of the first character. */
  readonly first: number;
  /** Alphabet of the others. */
  readonly rest: number;
}

/** Any well-formed Unicode text, bounded by its size in UTF-8. */
export interface TextField {
  readonly name: string;
  readonly bytesMin: number;
  readonly bytesMax: number;
}

function idField(name: string, bytesMin: number, bytesMax: number, rest: number, first = rest): IdField {
  return { name, bytesMin, bytesMax, first, rest };
}

function textField(name: string, bytesMin: number, bytesMax: number): TextField {
  return { name, bytesMin, bytesMax };
}

export const USER = idField("user", 1, LIMITS.userBytesMax, USER_CHAR);
export const SESSION = idField("session", 1, LIMITS.sessionBytesMax, NAME_CHAR);
export const LOG_ID = idField("logId", 1, LIMITS.logIdBytesMax, NAME_CHAR);
/** A peer's log is unknown before its first frame. */
export const PEER_LOG_ID = idField("peer logId", 0, LIMITS.logIdBytesMax, NAME_CHAR);
export const REGION = idField("region", 1, LIMITS.regionBytesMax, REGION_CHAR, LOWER_CHAR);
export const SETTING_KEY = idField("key", 1, LIMITS.settingKeyBytesMax, KEY_CHAR);

export const NODE = textField("node", 1, LIMITS.nodeBytesMax);
export const DEVICE = textField("device", 0, LIMITS.deviceBytesMax);
export const PLATFORM = textField("platform", 0, LIMITS.platformBytesMax);
export const STATE = textField("state", 0, LIMITS.stateBytesMax);
/** A session id or an operator's name, who is a user. */
export const BY = textField("by", 0, LIMITS.userBytesMax);
export const REASON = textField("reason", 0, LIMITS.reasonBytesMax);
export const SETTING_VALUE = textField("value", 0, LIMITS.settingValueBytesMax);

export const MESSAGE = textField("message", 0, LIMITS.friendMessageBytesMax);
export const OFFSET = textField("offset", 0, LIMITS.readOffsetBytesMax);

/** Half of a surrogate pair without the other half: it has no UTF-8, so it would come back as something else. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether `value` can be sent as `field`. */
export function isId(field: IdField, value: string): boolean {
  if (value.length < field.bytesMin || value.length > field.bytesMax) return false;
  let alphabet = field.first;
  for (let index = 0; index < value.length; index++) {
    if (((CHAR_CLASSES[value.charCodeAt(index)] ?? 0) & alphabet) === 0) return false;
    alphabet = field.rest;
  }
  return true;
}

/** Whether `value` can be sent as `field`: well-formed Unicode of a fitting size in UTF-8. */
export function isText(field: TextField, value: string): boolean {
  const bytes = Buffer.byteLength(value, "utf8");
  return bytes >= field.bytesMin && bytes <= field.bytesMax && !LONE_SURROGATE.test(value);
}
