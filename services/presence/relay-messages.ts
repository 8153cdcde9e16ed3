/**
 * What nodes of different regions say to each other of a read. Rule: whatever does not fit is no message; members that a newer version adds
 * are passed over.
 */
import { Type } from "typebox";
import type { Static } from "typebox";
import { Compile } from "typebox/compile";

import { SESSION_STATUSES } from "../../replicator/core/commands.ts";
import type { Region, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { TOKEN_TEXT_MAX, formatToken, parseToken } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import { decodeRelayed, encodeRelayed } from "../../replicator/runtime/relay.ts";
import type { RelayHead } from "../../replicator/runtime/relay.ts";
import { AnyUser, RegionName } from "./schemas.ts";
import type { PresenceView } from "./service.ts";

/** Users of one read that another region is asked about; of longer lists none is. */
export const RELAYED_USERS_MAX = 100;

/** Asks for these users as they are where all of the token is applied, and the mode is met besides. */
export interface ReadAsk extends RelayHead {
  readonly from: Region;
  readonly users: readonly UserId[];
  readonly mode: "token" | "bounded" | "latest";
  readonly token: Token;
  /** For `bounded`. */
  readonly maxStalenessMs: number;
  /** What else is asked of that replica, in the words of who asks; absent where the presences are all. */
  readonly question?: unknown;
}

/** Said only where the ask was satisfied. */
export interface ReadAnswer {
  readonly ask: string;
  readonly region: Region;
  /** What was applied there. */
  readonly token: Token;
  readonly waitedMs: number;
  /** Age of the oldest watermark there; absent when a region was never heard of. */
  readonly ageMs?: number;
  readonly presences: readonly PresenceView[];
  /** To the question; who asked reads it. */
  readonly answer?: unknown;
}

const FRESHNESS = Type.Enum(["live", "stale", "unknown"]);
const count = Type.Integer({ minimum: 0 });
const duration = Type.Number({ minimum: 0 });
/** Within what a date can be. */
const time = Type.Integer({ minimum: -8.64e15, maximum: 8.64e15 });
const tokenText = Type.String({ maxLength: TOKEN_TEXT_MAX });

const ASK = Type.Object({
  from: RegionName,
  users: Type.Array(AnyUser, { minItems: 1, maxItems: RELAYED_USERS_MAX }),
  mode: Type.Enum(["token", "bounded", "latest"]),
  token: tokenText,
  maxStalenessMs: duration,
  question: Type.Optional(Type.Unknown()),
});

const SESSION = Type.Object({
  session: Type.String({ maxLength: LIMITS.sessionBytesMax }),
  region: RegionName,
  device: Type.String({ maxLength: LIMITS.deviceBytesMax }),
  platform: Type.String({ maxLength: LIMITS.platformBytesMax }),
  status: Type.Enum([...SESSION_STATUSES]),
  sinceMs: time,
  state: Type.String({ maxLength: LIMITS.stateBytesMax }),
  provisional: Type.Boolean(),
  freshness: FRESHNESS,
});

/** A {@link PresenceView}. */
export const PRESENCE = Type.Object({
  user: AnyUser,
  status: Type.Enum(["online", "away", "busy", "offline", "unknown"]),
  home: Type.Optional(RegionName),
  epoch: Type.Object({ generation: count, count }),
  version: count,
  sessions: Type.Array(SESSION),
  lastSeenMs: Type.Optional(time),
  asOfMs: Type.Union([time, Type.Null()]),
  stalenessMs: Type.Union([duration, Type.Null()]),
  freshness: FRESHNESS,
});

const ANSWER = Type.Object({
  region: RegionName,
  token: tokenText,
  waitedMs: duration,
  ageMs: Type.Optional(duration),
  presences: Type.Array(PRESENCE, { maxItems: RELAYED_USERS_MAX }),
  answer: Type.Optional(Type.Unknown()),
});

const isAsk = Compile(ASK);
const isAnswer = Compile(ANSWER);

/** `undefined` when it is larger than the bound, as the answer. */
export function encodeReadAsk({ ask, waitMs, token, ...rest }: ReadAsk): Uint8Array | undefined {
  return encodeRelayed({ ask, waitMs }, { ...rest, token: formatToken(token) });
}

export function encodeReadAnswer({ ask, token, ...rest }: ReadAnswer): Uint8Array | undefined {
  return encodeRelayed({ ask, waitMs: 0 }, { ...rest, token: formatToken(token) });
}

export function decodeReadAsk(payload: Uint8Array): ReadAsk | undefined {
  const relayed = decodeRelayed(payload);
  const said = parse(relayed?.said);
  if (relayed === undefined || !isAsk.Check(said)) return undefined;
  const token = parseToken(said.token);
  const { from, users, mode, maxStalenessMs, question } = said satisfies Static<typeof ASK>;
  const { ask, waitMs } = relayed;
  const also = question === undefined ? {} : { question };
  return token && { ask, waitMs, from, users, mode, token, maxStalenessMs, ...also };
}

export function decodeReadAnswer(payload: Uint8Array): ReadAnswer | undefined {
  const relayed = decodeRelayed(payload);
  const said = parse(relayed?.said);
  if (relayed === undefined || !isAnswer.Check(said)) return undefined;
  const token = parseToken(said.token);
  return token && { ...said, ask: relayed.ask, token };
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
