/**
 * What a presence node can do, as its HTTP routes see it. Times are wall-clock milliseconds; conversion to the API's
 * formats, validation of shapes, and roles are the routes' business.
 * Rule: a failure is a value that names its problem; nothing here throws for bad input.
 */
import type {
  EndReason,
  LinkState,
  LoginPolicy,
  Position,
  PreferredStatus,
  Region,
  SessionId,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { EvacuationAnswer, EvacuationRequest, RegionView } from "./evacuation-view.ts";

/** Stable last path segment of the RFC 9457 `type`. */
export type ProblemName =
  | "session-ended"
  | "unknown-session"
  | "unknown-region"
  | "unknown-user"
  | "not-home"
  | "home-unsettled"
  | "other-region"
  | "evacuation-refused"
  | "nothing-returned"
  | "token-log-replaced"
  | "log-unavailable"
  | "not-copied"
  | "overloaded"
  | "not-ready";

export interface Problem {
  readonly name: ProblemName;
  readonly detail: string;
  /** Extra members of the problem object, e.g. `{reason, by}` of an ended session. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Sent as `Retry-After`; for `log-unavailable`, `overloaded`, `not-ready` and `home-unsettled`. */
  readonly retryAfterSeconds?: number;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

export type Freshness = "live" | "stale" | "unknown";
export type PresenceStatus = "online" | "away" | "busy" | "offline" | "unknown";

export interface SessionView {
  readonly session: SessionId;
  readonly region: Region;
  readonly device: string;
  readonly platform: string;
  readonly status: SessionStatus;
  readonly sinceMs: number;
  /** JSON text; empty when there is none. */
  readonly state: string;
  readonly provisional: boolean;
  readonly freshness: Freshness;
}

export interface PresenceView {
  readonly user: UserId;
  readonly status: PresenceStatus;
  /** Absent for a user that was never seen. */
  readonly home?: Region;
  readonly epoch: { readonly generation: number; readonly count: number };
  /** Position in the home's log of the newest change; 0 for a user that was never seen. */
  readonly version: Position;
  readonly sessions: readonly SessionView[];
  readonly lastSeenMs?: number;
  /** `null` together with `stalenessMs`: a region it rests on was never heard of. */
  readonly asOfMs: number | null;
  /** Age of the oldest watermark this answer rests on. */
  readonly stalenessMs: number | null;
  readonly freshness: Freshness;
}

export interface OpenInput {
  readonly user: UserId;
  readonly device?: string;
  readonly platform?: string;
  readonly policy?: LoginPolicy;
  readonly status?: SessionStatus;
  /** JSON text. */
  readonly state?: string;
  readonly home?: Region;
}

export interface OpenedSession {
  readonly session: SessionId;
  readonly user: UserId;
  readonly home: Region;
  readonly region: Region;
  readonly ttlSeconds: number;
  /** With the server's jitter. */
  readonly heartbeatSeconds: number;
  /** True while the user's home has not processed this login yet. */
  readonly provisional: boolean;
  readonly token: Token;
}

/** `unknown`: no such session in what this node has folded, now or recently. */
export type HeartbeatRefusal = { readonly reason: EndReason | "unknown"; readonly by: string };

/** How a read was met. `missing` counts positions, per region; absent when satisfied. */
export interface Consistency {
  readonly mode: ReadOptions["mode"];
  readonly satisfied: boolean;
  readonly waitedMs: number;
  /** This region; or the one that answered in its place, as `home:cn` where it shows the home of one of the users asked about. */
  readonly servedBy: string;
  readonly applied: Readonly<Record<Region, Position>>;
  readonly missing?: Readonly<Record<Region, number>>;
  /**
   * Regions that nobody could ask, or that were heard of too long ago, or of whose logs more has to be heard to tell whether a session is over: what
   * they have of late may be missing.
   */
  readonly unheard?: Region[];
}

/** Users as they were read, in the order asked. */
export interface Reading {
  readonly presences: readonly PresenceView[];
  readonly consistency: Consistency;
  /** Of the replica that answered. */
  readonly applied: Token;
}

export interface OnlinePage {
  readonly users: readonly PresenceView[];
  /** Opaque; absent on the last page. A user online during the whole walk appears exactly once. */
  readonly cursor?: string;
}

export interface Occupancy {
  readonly users: number;
  readonly sessions: number;
  readonly byRegion: Readonly<Record<Region, { users: number; sessions: number; freshness: Freshness }>>;
}

/** One cell of the origin × replica matrix. `null` is "no data", never 0. */
export interface ReplicationLink {
  readonly origin: Region;
  readonly replica: Region;
  /** `unknown` when the replica has not reported lately. */
  readonly state: LinkState | "unknown";
  readonly reason: string;
  readonly sinceMs: number | null;
  /** Frames of the origin's log that the replica has not folded. */
  readonly eventsBehind: number | null;
  readonly watermarkAgeMs: number | null;
  readonly loopLagMs: number | null;
  readonly visibleMs: { readonly p50: number; readonly p99: number; readonly p999: number } | null;
  /** Replica's clock minus origin's, with its error; only for links that this node is an end of. */
  readonly clockOffsetMs: number | null;
  readonly clockErrorMs: number | null;
  /** Age of the report this row rests on; 0 for rows this node measures itself. */
  readonly reportAgeMs: number | null;
  /** Wall-clock milliseconds at which this node's digest of the origin's log was last found equal to the log's own; only for rows it measures itself. */
  readonly verifiedMs: number | null;
  /** Until the replica is overrun in the origin's log, if it copies nothing any more; only for the log of this node's region, while the replica is behind. */
  readonly secondsToOverrun: number | null;
}

export interface ReplicationView {
  readonly region: Region;
  readonly applied: Readonly<Record<Region, { logId: string; position: Position }>>;
  readonly links: readonly ReplicationLink[];
}

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** How a read is to be met; `waitMs` is 0 to `LIMITS.waitMsMax`. */
export type ReadOptions =
  | { readonly mode: "any" }
  | { readonly mode: "bounded"; readonly maxStalenessMs: number; readonly waitMs: number }
  | { readonly mode: "token"; readonly token: Token; readonly waitMs: number }
  /** And what the token speaks of, if there is one. */
  | { readonly mode: "latest"; readonly token?: Token; readonly waitMs: number };

/** One operator's decision as the region's log has it. */
export interface SettingView {
  readonly key: string;
  readonly value: string;
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
}

/** What bounds this node, and how often it made itself felt since start. */
export interface Bounds {
  readonly sessionsMax: number;
  /** Live data as a share of the heap limit, 0 to 1. */
  readonly heapShare: number;
  /** Sessions refused, by the bound that was reached. */
  readonly refused: Readonly<Record<"sessions" | "heap", number>>;
  /** How often the process stood still. */
  readonly stalls: number;
  /** Milliseconds that counted for no lease: the process stood still, or refused heartbeats. */
  readonly stalledMs: number;
}

export interface PresenceService {
  readonly region: Region;
  readonly regions: readonly Region[];
  openSession(input: OpenInput): Promise<Outcome<OpenedSession>>;
  /** Heartbeats of these sessions follow: a hint that makes many at once cheaper. */
  heartbeatsFollow?(sessions: readonly SessionId[]): void;
  /** The hot path: `undefined` when renewed. `unknown` is of what is folded; only of a node that is {@link abreast} is it of the region. */
  heartbeat(session: SessionId): HeartbeatRefusal | undefined;
  /**
   * Ok when this node has folded all that its region's log held at the call: what it does not know then, the region does not know. Else, after
   * `LIMITS.appendTimeoutMs` at the latest, `not-ready`, or `overloaded` where too many wait.
   */
  abreast(): Promise<Outcome<undefined>>;
  /** Weak presence. The hot path: `undefined` when a live implicit session was renewed, else a promise of having opened one. */
  touch(user: UserId, device: string): undefined | Promise<Outcome<undefined>>;
  /** Whether {@link touch} would renew, and not open. */
  holds(user: UserId, device: string): boolean;
  /** Whether heartbeats are let through from now on: while they are not, no lease runs down. */
  hearing(heard: boolean): void;
  /** A session that is not known here is waited for until this node is {@link abreast}. */
  updateSession(
    session: SessionId,
    change: { status?: SessionStatus; state?: string },
  ): Promise<Outcome<{ token: Token }>>;
  /** As {@link updateSession}. Idempotent: closing a session that ended here lately is ok, with the node's applied vector as token; another is unknown. */
  closeSession(session: SessionId): Promise<Outcome<{ token: Token }>>;
  forceLogout(user: UserId): Promise<Outcome<{ ended: number; token: Token }>>;
  prefer(user: UserId, preferred: PreferredStatus, untilMs: number): Promise<Outcome<{ token: Token }>>;
  presence(user: UserId): PresenceView;
  /** As {@link consistency}, then the users as they are; in time by another region's node where this one has not what is asked for. */
  read(users: readonly UserId[], options: ReadOptions): Promise<Outcome<Reading>>;
  online(filter: {
    region?: Region;
    home?: Region;
    limit: number;
    cursor?: string;
  }): OnlinePage | { invalidCursor: true };
  occupancy(): Occupancy;
  /** Waits until the options are met or `waitMs` is over; answers how they were met. */
  consistency(options: ReadOptions): Promise<Outcome<Consistency>>;
  replication(): ReplicationView;
  /** This replica's applied vector. */
  applied(): Token;
  /** False while the logs are being folded at the start: what this node could answer would be wrongly empty. */
  ready(): boolean;
  /** What a node that starts has to do or to hear before it is ready; empty for folding, and for one that has started. */
  startingWith(): string;
  /** Gives a user who is homed here over to the region `to`; one who lives there already stays. Answers when it is done. */
  rehome(user: UserId, to: Region): Promise<Outcome<{ token: Token }>>;
  /** What operators decided, by key: of this region's log, as folded. */
  settings(): ReadonlyMap<string, SettingView>;
  /** The same decisions in their order, newest last; only the last `LIMITS.auditMax` of them. */
  audit(): readonly SettingView[];
  /** Appended to the region's log; in effect when folded. */
  decide(key: string, value: string, by: string, reason: string): Promise<Outcome<{ token: Token }>>;
  /** Gives all users of this region over to another, as a decision that its nodes carry out; see {@link EvacuationPlan}. */
  evacuate(request: EvacuationRequest & { readonly to: Region }): Promise<Outcome<EvacuationAnswer>>;
  /** Ends that: who was moved by it, and is still with the heir, comes back. */
  restore(request: EvacuationRequest): Promise<Outcome<EvacuationAnswer>>;
  /** Of every region. */
  evacuations(): ReadonlyMap<Region, RegionView>;
  bounds(): Bounds;
}

/** Reads, by how they were met. */
export interface ReadsMet {
  atOnce: number;
  waited: number;
  /** By another region. */
  home: number;
  unsatisfied: number;
}

/** Reads for which other regions were asked. */
export interface RelayAsked {
  asked: number;
  served: number;
  /** Not asked: too many were under way, or there was too much to ask. */
  full: number;
  /** Answers that cannot be read, or are not to what was asked. */
  strange: number;
}

/** Reads that other regions asked here. */
export interface RelayAnswered {
  answered: number;
  /** Not answered: too many were under way, this node is not ready, or the answer is too large. */
  declined: number;
  malformed: number;
}

/** What the node says of itself. */
export interface NodeStatus {
  /** The checks of `/readyz`; ready when all are ok. A peer's lag is never one of them. */
  health(): readonly HealthCheck[];
  /** Gauges and counters for `/metrics`. */
  counters(): Counters;
}

export interface Counters {
  readonly liveSessions: number;
  readonly heartbeats: number;
  readonly sessionsOpened: number;
  /** By reason. */
  readonly sessionsEnded: Readonly<Record<EndReason, number>>;
  readonly appendedFrames: number;
  readonly appendedCommands: number;
  readonly appendFailures: Readonly<Record<string, number>>;
  readonly appendQueueBytes: number;
  readonly foldedFrames: Readonly<Record<Region, number>>;
  readonly foldedCommands: Readonly<Record<Region, number>>;
  /** Commands a fold refused, by reason, e.g. `unknown-session`, `already-processed`. */
  readonly refusedCommands: Readonly<Record<string, number>>;
  readonly refusedFrames: Readonly<Record<string, number>>;
  readonly pendingForwards: number;
  readonly reconciled: Readonly<Record<"reopened" | "orphaned", number>>;
  /** Digests compared and found different, records found changed without a command, replicas made anew. */
  readonly integrity: Readonly<Record<"compared" | "mismatches" | "corrupt" | "resyncs", number>>;
  /** Users given over to the region that they log in from. */
  readonly rehomed: number;
  /** How reads were met. */
  readonly reads: Readonly<ReadsMet>;
  /** Reads asked of other regions' nodes, and by them of this one. */
  readonly relayed: Readonly<RelayAsked & RelayAnswered>;
  /** Snapshots taken, failed, and the size of the newest. */
  readonly snapshots: Readonly<Record<"taken" | "failed" | "bytes", number>>;
}
