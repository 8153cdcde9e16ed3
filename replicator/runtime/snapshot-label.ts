/**
 * What is written on a stored snapshot: who took it, when, and at which vector of positions. Rule: whether a snapshot is of use is
 * decided by its label alone; what is in it must agree with the label, or it is damaged.
 */
import type { Position, Region } from "../core/commands.ts";
import { formatToken, parseToken } from "../core/token.ts";
import type { Token } from "../core/token.ts";

export interface SnapshotLabel {
  readonly region: Region;
  readonly node: string;
  /** Wall-clock milliseconds. */
  readonly atMs: number;
  /** Where each fold stands; logs never heard of are left out. */
  readonly vector: Token;
  /** Where the own logs of regions ended that were succeeded: no more of them counts. */
  readonly over?: Token;
  /** Up to where folds have no need any more of an heir's log that they read, or are to go over to. */
  readonly needed?: Token;
}

export function formatLabel({ region, node, atMs, vector, over, needed }: SnapshotLabel): string {
  const more = { over: textOf(over), needed: textOf(needed) };
  return JSON.stringify({ region, node, atMs, vector: formatToken(vector), ...more });
}

/** Nothing is written where there is nothing to say. */
function textOf(places: Token | undefined): string | undefined {
  return places === undefined || places.size === 0 ? undefined : formatToken(places);
}

/** The inverse of {@link formatLabel}; `undefined` for any other text. */
export function parseLabel(text: string): SnapshotLabel | undefined {
  const parsed = parseJson(text);
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { region, node, atMs, ...texts } = { region: "", node: "", atMs: Number.NaN, vector: "", ...parsed };
  if (typeof region !== "string" || typeof node !== "string" || !Number.isSafeInteger(atMs)) return undefined;
  const { vector, over, needed } = { over: formatToken(NOWHERE), needed: formatToken(NOWHERE), ...texts };
  const places = { vector: tokenOf(vector), over: tokenOf(over), needed: tokenOf(needed) };
  if (places.vector === undefined || places.over === undefined || places.needed === undefined)
    return undefined;
  return { region, node, atMs, vector: places.vector, over: places.over, needed: places.needed };
}

const NOWHERE: Token = new Map();

function tokenOf(text: unknown): Token | undefined {
  return typeof text === "string" ? parseToken(text) : undefined;
}

/**
 * Position of the region's log in the snapshot, of one that is over where it ended; `undefined` where it has that log under another
 * identity, or not at all.
 */
export function positionIn(label: SnapshotLabel, region: Region, logId: string): Position | undefined {
  const places = [label.vector.get(region), label.over?.get(region)];
  return places.find((at) => at?.logId === logId)?.position;
}

/** Up to where who goes on from the snapshot needs nothing of the region's log, for any fold that reads it. */
export function doneIn(label: SnapshotLabel, region: Region, logId: string): Position {
  const needed = [...(label.needed?.values() ?? [])].filter((at) => at.logId === logId);
  return Math.min(positionIn(label, region, logId) ?? 0, ...needed.map(({ position }) => position));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
