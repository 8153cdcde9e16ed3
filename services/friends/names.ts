/**
 * The texts that clients carry: the id of a friend request, the offset of an inbox, the cursor of a list. Each begins with its version and
 * is opaque. Rule: a text is taken only if it is the one that would be written for what it says.
 */
import { createHash } from "node:crypto";

import type { UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";

/** One asking of a pair: who asked anew later began another round. */
export interface RequestName {
  readonly from: UserId;
  readonly to: UserId;
  readonly round: number;
}

const VERSION = "1";
const USER = "[A-Za-z0-9._:@-]{1,64}";
const NAME = new RegExp(`^${VERSION} ([0-9a-z]{1,7}) (${USER}) (${USER})$`);
const CURSOR = new RegExp(`^${VERSION} (${USER})$`);
const RADIX = 36;
/** Of each request in an offset: two that differ share these with a chance of one in a million millions. */
const MARK_BYTES = 5;

export function requestId({ from, to, round }: RequestName): string {
  return encode(`${VERSION} ${round.toString(RADIX)} ${from} ${to}`);
}

export function parseRequestId(id: string): RequestName | undefined {
  const [, digits = "", from = "", to = ""] = NAME.exec(decode(id)) ?? [];
  const name = { from, to, round: Number.parseInt(digits, RADIX) };
  return from !== to && name.round > 0 && requestId(name) === id ? name : undefined;
}

/** What a page of an inbox showed: a mark of each request on it, so that what comes between the look and the note stays unread. */
export function formatOffset(shown: readonly RequestName[]): string {
  return `${VERSION}.${Buffer.concat(shown.map(markOf)).toString("base64url")}`;
}

/** Whether an offset shows a request; `undefined` for what is no offset. */
export function parseOffset(offset: string): ((request: RequestName) => boolean) | undefined {
  const [version, text = "", ...rest] = offset.split(".");
  const bytes = Buffer.from(text, "base64url");
  const isWhole = bytes.length % MARK_BYTES === 0 && bytes.length <= MARK_BYTES * LIMITS.friendsPageMax;
  if (version !== VERSION || rest.length > 0 || !isWhole || bytes.toString("base64url") !== text)
    return undefined;
  const marks = new Set<string>();
  for (let at = 0; at < bytes.length; at += MARK_BYTES) marks.add(bytes.toString("hex", at, at + MARK_BYTES));
  return (request) => marks.has(markOf(request).toString("hex"));
}

/** A list is sorted by the other user, so it goes on behind the last one shown, on every replica. */
export function formatCursor(last: UserId): string {
  return encode(`${VERSION} ${last}`);
}

export function parseCursor(cursor: string): UserId | undefined {
  const [, last] = CURSOR.exec(decode(cursor)) ?? [];
  return last !== undefined && formatCursor(last) === cursor ? last : undefined;
}

function markOf({ from, to, round }: RequestName): Buffer {
  return createHash("sha256").update(`${from} ${to} ${round}`).digest().subarray(0, MARK_BYTES);
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function decode(text: string): string {
  return Buffer.from(text, "base64url").toString();
}
