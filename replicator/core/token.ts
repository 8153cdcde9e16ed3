/**
 * Consistency tokens: a vector of log positions, each with its log's identity, opaque to clients.
 * Rule (invariant 8): a token is satisfied by a replica only when every position is applied in the log of that very identity.
 */
import type { LogId, Position, Region } from "./commands.ts";

export interface LogPosition {
  readonly logId: LogId;
  readonly position: Position;
}

export type Token = ReadonlyMap<Region, LogPosition>;

export type TokenCheck =
  | { readonly kind: "satisfied" }
  /** Positions still to be applied, per region. */
  | { readonly kind: "missing"; readonly missing: ReadonlyMap<Region, number> }
  /** The token speaks of a log that this replica knows under another identity. */
  | { readonly kind: "replaced"; readonly region: Region };

const TEXT_VERSION = "1";
const ENTRY = /^([a-z][a-z0-9-]{0,15}):([A-Za-z0-9_-]{1,32}):(0|[1-9][0-9]{0,15})$/;
/** Longest token text accepted: 16 regions with their identities. */
export const TOKEN_TEXT_MAX = 16 * (16 + 32 + 16 + 3) + 2;

/** The vector that has at least what `a` and what `b` has. Where the identities differ, `b` (the newer statement) stands. */
export function mergeTokens(a: Token, b: Token): Token {
  const merged = new Map(a);
  for (const [region, at] of b) {
    const known = merged.get(region);
    if (known === undefined || known.logId !== at.logId || known.position < at.position)
      merged.set(region, at);
  }
  return merged;
}

/** Whether a replica that has applied `applied` may answer a read that carries `token`. */
export function checkToken(token: Token, applied: Token): TokenCheck {
  const missing = new Map<Region, number>();
  for (const [region, wanted] of token) {
    const have = applied.get(region);
    if (wanted.position === 0) continue;
    if (have === undefined || have.logId === "") missing.set(region, wanted.position);
    else if (have.logId !== wanted.logId) return { kind: "replaced", region };
    else if (have.position < wanted.position) missing.set(region, wanted.position - have.position);
  }
  return missing.size === 0 ? { kind: "satisfied" } : { kind: "missing", missing };
}

/**
 * The text clients carry, e.g. `1.cn:Qm3x…:812,us:…:40`: regions in order, so that equal tokens are equal texts. A position of 0 asks
 * for nothing and is left out.
 */
export function formatToken(token: Token): string {
  const entries = [...token]
    .filter(([, { position }]) => position > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${TEXT_VERSION}.${entries.map(([region, at]) => `${region}:${at.logId}:${at.position}`).join(",")}`;
}

/** The inverse of {@link formatToken}; `undefined` for anything else (other version, duplicate region, unsafe position). */
export function parseToken(text: string): Token | undefined {
  if (text.length > TOKEN_TEXT_MAX || !text.startsWith(`${TEXT_VERSION}.`)) return undefined;
  const token = new Map<Region, LogPosition>();
  const body = text.slice(TEXT_VERSION.length + 1);
  if (body === "") return token;
  for (const part of body.split(",")) {
    const match = ENTRY.exec(part);
    const [, region, logId, digits] = match ?? [];
    if (region === undefined || logId === undefined || digits === undefined || token.has(region))
      return undefined;
    const position = Number(digits);
    if (!Number.isSafeInteger(position)) return undefined;
    token.set(region, { logId, position });
  }
  return token;
}
