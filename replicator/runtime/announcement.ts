/** What is told within a region, in small JSON on the region's own NATS, lost when nobody listens. */
import { LINK_STATES } from "../core/commands.ts";
import type { LogId, Position, Region } from "../core/commands.ts";
import type { LinkReport } from "../core/link-events.ts";

/** How a region's replicators tell its nodes of their links. */
export const LINKS_TOPIC = "links";
/** A peer's replicator, or a node, has use for a snapshot that is newer than those stored. No payload. */
export const SNAPSHOT_WANTED_TOPIC = "snapshot-wanted";
/** A node that can go on from none of its region's snapshots, to the region's replicators: a peer may have one that leads on. */
export const SNAPSHOT_LACKED_TOPIC = "snapshot-lacked";
/** How a peer's replicator tells the origin's nodes how far it has copied their log. */
export const COPIED_TOPIC = "copied";
/** Nodes of one region, of how far each has folded the region's log. */
export const STANDING_TOPIC = "standing";

export interface Copied {
  /** The region that has the copy. */
  readonly region: Region;
  readonly logId: LogId;
  readonly position: Position;
}

export function encodeCopied(copied: Copied): Uint8Array {
  return Buffer.from(JSON.stringify(copied));
}

/** The announcement's meaning; `undefined` when it has none. */
export function decodeCopied(payload: Uint8Array): Copied | undefined {
  const value = parseJson(payload);
  return isCopied(value) ? value : undefined;
}

function isCopied(value: unknown): value is Copied {
  if (typeof value !== "object" || value === null) return false;
  const copied = value as Partial<Record<keyof Copied, unknown>>;
  return (
    typeof copied.region === "string" &&
    typeof copied.logId === "string" &&
    Number.isSafeInteger(copied.position)
  );
}

/** Where a node stands in its region's log; without identity where it has folded nothing of it. */
export interface Standing {
  readonly node: string;
  readonly logId: LogId;
  readonly position: Position;
}

export function encodeStanding(standing: Standing): Uint8Array {
  return Buffer.from(JSON.stringify(standing));
}

/** The announcement's meaning; `undefined` when it has none. */
export function decodeStanding(payload: Uint8Array): Standing | undefined {
  const value = parseJson(payload);
  return isStanding(value) ? value : undefined;
}

function isStanding(value: unknown): value is Standing {
  if (typeof value !== "object" || value === null) return false;
  const standing = value as Partial<Record<keyof Standing, unknown>>;
  return (
    typeof standing.node === "string" &&
    typeof standing.logId === "string" &&
    Number.isSafeInteger(standing.position)
  );
}

/** A log as a region holds it, to which none of the region's snapshots leads. */
export interface Lacked {
  readonly region: Region;
  readonly logId: LogId;
  /** A snapshot that leads to it has it up to here. */
  readonly atLeast: Position;
  readonly head: Position;
  /** Names of those that would lead to it, but that they are damaged, or say what the log never had. */
  readonly useless: readonly string[];
}

export function encodeLacked(lacked: Lacked): Uint8Array {
  return Buffer.from(JSON.stringify(lacked));
}

/** The announcement's meaning; `undefined` when it has none. */
export function decodeLacked(payload: Uint8Array): Lacked | undefined {
  const value = parseJson(payload);
  return isLacked(value) ? value : undefined;
}

function isLacked(value: unknown): value is Lacked {
  if (typeof value !== "object" || value === null) return false;
  const lacked = value as Partial<Record<keyof Lacked, unknown>>;
  return (
    typeof lacked.region === "string" &&
    typeof lacked.logId === "string" &&
    Number.isSafeInteger(lacked.atLeast) &&
    Number.isSafeInteger(lacked.head) &&
    Array.isArray(lacked.useless) &&
    lacked.useless.every((name) => typeof name === "string")
  );
}

export function encodeReports(reports: readonly LinkReport[]): Uint8Array {
  return Buffer.from(JSON.stringify(reports));
}

/** The reports in an announcement; `undefined` when it is not one. Node and replicator may be of different versions: extra members pass. */
export function decodeReports(payload: Uint8Array): LinkReport[] | undefined {
  const value = parseJson(payload);
  return Array.isArray(value) && value.every(isReport) ? value : undefined;
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined;
  }
}

function isReport(value: unknown): value is LinkReport {
  if (typeof value !== "object" || value === null) return false;
  const report = value as Partial<Record<keyof LinkReport, unknown>>;
  return (
    typeof report.origin === "string" &&
    LINK_STATES.some((state) => state === report.state) &&
    typeof report.reason === "string" &&
    Number.isSafeInteger(report.sinceMs) &&
    Number.isSafeInteger(report.head)
  );
}
