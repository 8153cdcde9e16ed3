/**
 * The shapes of the HTTP API: what validates requests, writes answers and describes itself in `/openapi.json`.
 * Rule: objects are closed (`additionalProperties: false`), and every bound comes from LIMITS.
 */
import { Type, type Static, type TProperties, type TSchema } from "typebox";

import {
  END_REASONS,
  LINK_STATES,
  LOGIN_POLICIES,
  PREFERRED_STATUSES,
  SESSION_STATUSES,
} from "../../replicator/core/commands.ts";
import { ACKS } from "./acknowledge.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { REQUEST_CLASSES } from "./gates.ts";

const FRESHNESS = ["live", "stale", "unknown"] as const;

export const object = <P extends TProperties>(
  properties: P,
  options: { $id?: string; minProperties?: number } = {},
) => Type.Object(properties, { ...options, additionalProperties: false });

/** A reference to a schema that the app holds under its `$id`, typed as that schema. */
export const ref = <T extends TSchema & { $id?: string }>(schema: T) =>
  Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` });

export const choice = <const V extends readonly string[]>(values: V, description?: string) =>
  Type.Unsafe<V[number]>({ type: "string", enum: values, ...(description !== undefined && { description }) });

const id = (bytesMax: number, description: string) =>
  Type.String({ pattern: `^[A-Za-z0-9._:@-]{1,${bytesMax}}$`, description });

export const dateTime = (description: string) => Type.String({ format: "date-time", description });
export const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description !== undefined && { description }) });
/** A list of types and no `anyOf`: the serializer would try every branch. */
export const nullable = <T extends TSchema & { type: string }>(schema: T) =>
  Type.Unsafe<Static<T> | null>({ ...schema, type: [schema.type, "null"] });

/** Users that are nobody: nodes check the way between regions with them. */
export const CANARY_PREFIX = "rollcall.canary.";
export const AnyUser = id(LIMITS.userBytesMax, "User id");
export const User = Type.String({
  pattern: `^(?!rollcall\\.canary\\.)[A-Za-z0-9._:@-]{1,${LIMITS.userBytesMax}}$`,
  description: `User id, chosen by the caller; what begins with ${CANARY_PREFIX} is reserved`,
});
export const SessionId = id(LIMITS.sessionBytesMax, "Session id: names a session, is never a credential");
export const Device = id(LIMITS.deviceBytesMax, "A login replaces the live session of the same device");
export const Platform = id(LIMITS.platformBytesMax, "For example web, ios or android");
export const RegionName = Type.String({ pattern: `^[a-z][a-z0-9-]{0,${LIMITS.regionBytesMax - 1}}$` });
export const Status = choice(SESSION_STATUSES);
export const Preferred = choice(PREFERRED_STATUSES);
export const EndedBecause = choice(
  [...END_REASONS, "unknown"] as const,
  "`unknown`: no such session here, now or recently",
);
export const Policy = choice(
  LOGIN_POLICIES,
  "Which other sessions of the user this login ends, in every region: none, those of its platform, or all. They are `kicked`",
);
export const State = Type.Record(Type.String(), Type.Unknown(), {
  description: `Client-defined, at most ${LIMITS.stateBytesMax} bytes as JSON. An empty object is no state`,
});
export const TokenText = Type.String({ description: "Consistency token; opaque" });
export const FreshnessName = choice(
  FRESHNESS,
  "Of the region's watermark: live, stale after 2 s, unknown after 60 s",
);
const Positions = Type.Record(Type.String(), Type.Integer({ minimum: 0 }));

export const UserPath = object({ user: User });
export const SessionPath = object({ session: SessionId });
export const NoQuery = object({});
export const WriteQuery = object({
  ack: Type.Optional(
    choice(
      ACKS,
      "When the write is acknowledged. local: it is in this region's log, and lost only with this region's NATS. peer: another region has copied it too, which takes a round trip; 503 not-copied when none does in time",
    ),
  ),
});

/** Options of every read. */
export const readQuery = {
  consistency: Type.Optional(
    choice(
      ["any", "bounded", "token", "latest"],
      "any: what is here. bounded: with maxStalenessMs, no region heard of longer ago than that. token: all that the token speaks of. latest: all that every region's log has when asked now, a round trip, and what a token speaks of. A token with any or bounded is refused. Default: `token` when a token is sent, `bounded` with maxStalenessMs, else `any`",
    ),
  ),
  waitMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: LIMITS.waitMsMax,
      description: `How long to wait for that. Default 0; for latest, which takes a round trip and is never satisfied with 0, ${LIMITS.latestWaitMs}`,
    }),
  ),
  maxStalenessMs: Type.Optional(
    Type.Integer({ minimum: 0, description: "Only for `bounded`, which needs it" }),
  ),
  token: Type.Optional(TokenText),
};
export const ReadQuery = object(readQuery);
export const ReadHeaders = Type.Object({ "rollcall-token": Type.Optional(TokenText) });

export const Consistency = object(
  {
    mode: choice(["any", "bounded", "token", "latest"]),
    satisfied: Type.Boolean({ description: "False: the answer may lack changes that were asked for" }),
    waitedMs: Type.Number({ minimum: 0 }),
    servedBy: Type.String({
      description: "This region; or another that had it sooner, home:cn if that is the home",
    }),
    applied: Positions,
    missing: Type.Optional(Positions),
    unheard: Type.Optional(
      Type.Array(RegionName, {
        description:
          "Regions that could not be asked, or that were heard of too long ago, or of whose logs more has to be heard to tell whether a session is over: what they have of late may be missing",
      }),
    ),
  },
  { $id: "Consistency" },
);
export const consistency = { consistency: ref(Consistency) };

const sessionFields = {
  session: SessionId,
  region: RegionName,
  platform: Type.String(),
  status: Status,
  since: dateTime("When the session was opened, by its region's clock"),
  state: Type.Optional(State),
  provisional: Type.Optional(
    Type.Boolean({ description: "The user's home has not processed this session yet" }),
  ),
  freshness: FreshnessName,
};
const presenceFields = {
  user: User,
  status: choice(["online", "away", "busy", "offline", "unknown"]),
  home: Type.Optional(RegionName),
  epoch: object({ generation: count(), count: count() }),
  version: count("Position of the newest change in the home's log"),
  sessions: Type.Array(object(sessionFields)),
  lastSeenAt: Type.Optional(dateTime("When the user was last online")),
  asOf: nullable(dateTime("This answer is complete up to here; null: a region was never heard of")),
  stalenessMs: nullable(
    Type.Number({ description: "Age of the oldest watermark this rests on; null is no data" }),
  ),
  freshness: FreshnessName,
};
export const Presence = object(presenceFields, { $id: "Presence" });
const presence = ref(Presence);

export const OnePresence = object({ ...presenceFields, ...consistency });
export const ManyPresences = object({ presences: Type.Array(presence), ...consistency });
export const OnlinePage = object({
  users: Type.Array(presence),
  cursor: Type.Optional(Type.String({ description: "Absent on the last page" })),
  ...consistency,
});
export const UserSessions = object({
  user: User,
  sessions: Type.Array(object({ ...sessionFields, device: Type.Optional(Type.String()) })),
  asOf: presenceFields.asOf,
  stalenessMs: presenceFields.stalenessMs,
  freshness: FreshnessName,
  ...consistency,
});
export const Occupancy = object({
  users: count(),
  sessions: count(),
  byRegion: Type.Record(
    Type.String(),
    object({ users: count(), sessions: count(), freshness: FreshnessName }),
  ),
  ...consistency,
});

export const AskPresences = object({ users: Type.Array(User, { maxItems: LIMITS.batchUsersMax }) });
export const OnlineQuery = object({
  region: Type.Optional(RegionName),
  home: Type.Optional(RegionName),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.pageMax, description: "Default 100" })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  ...readQuery,
});

export const OpenSession = object({
  user: User,
  device: Type.Optional(Device),
  platform: Type.Optional(Platform),
  status: Type.Optional(Status),
  state: Type.Optional(State),
  policy: Type.Optional(Policy),
  home: Type.Optional(RegionName),
});
export const OpenedSession = object({
  session: SessionId,
  user: User,
  home: RegionName,
  region: RegionName,
  ttlSeconds: Type.Number(),
  heartbeatSeconds: Type.Number({
    description: "Send heartbeats at this interval; it carries the server's jitter",
  }),
  provisional: Type.Boolean(),
  token: TokenText,
});
export const UpdateSession = object(
  { status: Type.Optional(Status), state: Type.Optional(State) },
  { minProperties: 1 },
);
export const PreferStatus = object({
  status: Preferred,
  until: Type.Optional(dateTime("When it returns to `automatic`; in the future")),
});
export const Rehome = object({ home: RegionName });
export const Written = object({ token: TokenText });
export const LoggedOut = object({ ended: count("Sessions ended"), token: TokenText });

export const TouchQuery = object({
  device: Type.Optional(id(LIMITS.deviceBytesMax, "Names the implicit session. Default `web`")),
});
/** Items are strings here, and ids to the handler: a badly formed id must fail alone. */
export const Heartbeats = object({
  sessions: Type.Array(Type.String(), { maxItems: LIMITS.batchSessionsMax }),
});
export const HeartbeatsAnswer = object({
  renewed: count(),
  ended: Type.Array(object({ session: Type.String(), reason: EndedBecause })),
  undecided: Type.Optional(
    Type.Array(Type.String(), { description: "Neither: unknown here, and the region's log cannot be asked" }),
  ),
});

export const TokenAnswer = object({ token: TokenText, applied: Positions });

const Percentiles = object({ p50: Type.Number(), p99: Type.Number(), p999: Type.Number() });
const measured = (description: string) =>
  nullable(Type.Number({ description: `${description}; null is no data` }));
export const Link = object({
  origin: RegionName,
  replica: RegionName,
  state: choice([...LINK_STATES, "unknown"] as const),
  reason: Type.String(),
  since: nullable(dateTime("When the link entered its state; null is no data")),
  eventsBehind: measured("Frames of the origin's log that the replica has not folded"),
  watermarkAgeMs: measured("Age of the newest watermark"),
  loopLagMs: measured("Origin's watermark until its echo comes back"),
  visibleMs: Type.Union([Percentiles, Type.Null()]),
  clockOffsetMs: measured("Replica's clock minus the origin's"),
  clockErrorMs: measured("Error of the clock offset"),
  reportAgeMs: measured("Age of the report this row rests on"),
  lastVerifiedAt: nullable(
    dateTime("When the digest that the log carries was last found equal to this replica's; null is no data"),
  ),
  secondsToOverrun: measured(
    "Until the replica needs a snapshot, if it copies nothing any more; only for this region's log, and while the replica is behind",
  ),
});
export const Replication = object({
  region: RegionName,
  applied: Type.Record(Type.String(), object({ logId: Type.String(), position: count() })),
  links: Type.Array(Link),
});
/** Not only blanks. */
export const Reason = Type.String({
  pattern: String.raw`\S`,
  maxLength: LIMITS.reasonBytesMax,
  description: "Why; kept in the audit trail and told to refused clients",
});
export const decision = {
  reason: Type.String(),
  by: Type.String({ description: "The role of the key it was decided with" }),
  since: dateTime("When it was decided, by the clock of the node that took it"),
};
export const SwitchPath = object({ class: choice(REQUEST_CLASSES) });
export const RegionPath = object({ region: RegionName });
export const PutSwitch = object({
  open: Type.Boolean(),
  reason: Reason,
  expiresInSeconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.switchSecondsMax,
      description: "Only with `open: false`: the class opens by itself then",
    }),
  ),
});
export const PutWriteOff = object({ writtenOff: Type.Boolean(), reason: Reason });
export const Switches = object({
  switches: Type.Array(
    object({
      class: choice(REQUEST_CLASSES),
      open: Type.Boolean({
        description: "False: switched off at this node, which follows a decision within 5 s",
      }),
      admitted: Type.Number({ description: "Share of an open class that this node lets in, 0 to 1" }),
      until: Type.Optional(dateTime("When it opens by itself")),
      decision: Type.Optional(object(decision)),
    }),
  ),
});
export const AuditQuery = object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.auditMax, description: "Default 100" })),
});
export const Audit = object({
  entries: Type.Array(object({ key: Type.String(), value: Type.String(), ...decision })),
});

const Check = object({ name: Type.String(), ok: Type.Boolean(), detail: Type.String() });
export const Alive = object({ status: choice(["live"]) });
export const Ready = object({ status: choice(["ready"]), checks: Type.Optional(Type.Array(Check)) });
export const ReadyQuery = object({ verbose: Type.Optional(Type.String({ maxLength: 5 })) });

export const ProblemName = Type.String({ pattern: "^[a-z-]{1,40}$" });
export const ProblemKind = object({
  type: Type.String(),
  status: Type.Integer(),
  title: Type.String(),
  advice: Type.String(),
});
/** RFC 9457. Open: problems carry members of their own. */
export const ProblemDetails = Type.Object(
  { type: Type.String(), title: Type.String(), status: Type.Integer(), detail: Type.String() },
  { $id: "Problem" },
);

export const SHARED_SCHEMAS = [Presence, Consistency, ProblemDetails];

export const Verify = object({
  origin: Type.Optional(RegionName),
  repair: Type.Optional(
    Type.Boolean({ description: "Take the replica made of snapshot and logs in place of this one" }),
  ),
});
export const Verification = object({
  compared: count("Logs of which both replicas stood at one position"),
  differences: Type.Array(object({ region: RegionName, bucket: count(), user: Type.String() }), {
    description: "Records that this node had wrong, 100 at most",
  }),
  repaired: Type.Boolean(),
});
export const SnapshotTaken = object({ name: Type.String(), bytes: count(), token: TokenText });
