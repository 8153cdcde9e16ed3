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
}

export function formatLabel({ region, node, atMs, vector }: SnapshotLabel): string {
  return JSON.stringify({ region, node, atMs, vector: formatToken(vector) });
}

/** The inverse of {@link formatLabel}; `undefined` for any other text. */
export function parseLabel(text: string): SnapshotLabel | undefined {
  const parsed = parseJson(text);
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { region, node, atMs, vector } = { region: "", node: "", atMs: Number.NaN, vector: "", ...parsed };
  if (typeof region !== "string" || typeof node !== "string" || typeof vector !== "string") return undefined;
  const token = parseToken(vector);
  if (token === undefined || !Number.isSafeInteger(atMs)) return undefined;
  return { region, node, atMs, vector: token };
}

/** Position of the region's log in the snapshot; `undefined` where it has that log under another identity, or not at all. */
export function positionIn(label: SnapshotLabel, region: Region, logId: string): Position | undefined {
  const at = label.vector.get(region);
  return at?.logId === logId ? at.position : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
