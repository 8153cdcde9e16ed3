/**
 * The vocabulary of the replicated log: what a frame may say. Every change to presence and friends is one of these
 * commands, and a fold is nothing but their application in log order.
 */

import type { Epoch } from "./homing.ts";

export type Region = string;
export type UserId = string;
export type SessionId = string;
/** Minted when a log's stream is created. A position without it means nothing. */
export type LogId = string;
/** Place of a frame in one log, 1-based and dense. 0 means "nothing yet". */
export type Position = number;

export const SESSION_STATUSES = ["online", "away", "busy"] as const;
export type SessionStatus = (typeof SESSION_STATUSES)[number];

export const PREFERRED_STATUSES = ["automatic", "away", "busy", "invisible"] as const;
export type PreferredStatus = (typeof PREFERRED_STATUSES)[number];

export const END_REASONS = ["expired", "logout", "kicked", "replaced", "forced"] as const;
export type EndReason = (typeof END_REASONS)[number];

export const LINK_STATES = [
  "live",
  "catching-up",
  "snapshotting",
  "stalled",
  "disconnected",
  "blocked",
  "overrun",
] as const;
export type LinkState = (typeof LINK_STATES)[number];

/** Which of the user's other sessions a login ends: none, those of its platform, or all. */
export const LOGIN_POLICIES = ["multi", "per-platform", "single"] as const;
export type LoginPolicy = (typeof LOGIN_POLICIES)[number];

/** One login of one user on one device. `region` is where it is connected, whatever the user's home. */
export interface Session {
  readonly session: SessionId;
  readonly region: Region;
  readonly device: string;
  readonly platform: string;
  readonly policy: LoginPolicy;
  readonly status: SessionStatus;
  /** Client-defined state as JSON text, at most `LIMITS.stateBytesMax` bytes; empty when there is none. */
  readonly state: string;
  /** Wall-clock milliseconds of the login, by the connected region's clock. Shown, never compared. */
  readonly sinceMs: number;
}

/**
 * Puts the session into the user's record, replacing a session of the same id or the same non-empty device, and kicking those that its
 * policy ends. The order of the home's log decides between two logins, never a time.
 */
export interface Open {
  readonly kind: "open";
  readonly user: UserId;
  readonly session: Session;
}

/** Changes status and state of a session that exists; does nothing to one that does not. */
export interface Update {
  readonly kind: "update";
  readonly user: UserId;
  readonly session: SessionId;
  readonly status: SessionStatus;
  readonly state: string;
}

export interface Close {
  readonly kind: "close";
  readonly user: UserId;
  readonly session: SessionId;
  readonly reason: EndReason;
  /** Who ended it, where that is not the session itself: the replacing session, or an operator's name; else empty. */
  readonly by: string;
}

/** Sets the user's preferred status on all devices. */
export interface Prefer {
  readonly kind: "prefer";
  readonly user: UserId;
  readonly preferred: PreferredStatus;
  /** Wall-clock milliseconds at which the home returns it to `automatic`; 0 for no end. */
  readonly untilMs: number;
}

/**
 * Makes the log that applies it the user's home at `epoch`, with what the home before handed over. Never a region's own word: it comes
 * as a forward out of a `release`. Of sessions that replace each other the ones that the log has already stand.
 */
export interface Claim {
  readonly kind: "claim";
  readonly user: UserId;
  readonly epoch: Epoch;
  readonly sessions: readonly Session[];
  readonly preferred: PreferredStatus;
  readonly untilMs: number;
}

/** In the order in which they stand above each other within a round. */
export const STANCE_WORDS = ["asked", "accepted", "declined", "cancelled"] as const;
export type StanceWord = (typeof STANCE_WORDS)[number];

/** What `user` says of `other`: the request to be friends, the answer to one, or that the own one is taken back. */
export interface Stance {
  readonly kind: "stance";
  readonly user: UserId;
  readonly other: UserId;
  readonly word: StanceWord;
  /** Counts the requests of the pair, from 1: who asks writes one more than there were, any other word the one that it is about. */
  readonly round: number;
  /** Of who asks, at most `LIMITS.friendMessageBytesMax` bytes; else empty. */
  readonly message: string;
  /** Wall-clock milliseconds. Shown; a tie-break between equal words, and nothing else. */
  readonly atMs: number;
}

/** `user` has read the requests of `other` up to `round`. */
export interface Read {
  readonly kind: "read";
  readonly user: UserId;
  readonly other: UserId;
  readonly round: number;
}

/** How far `user` has read the inbox, in words of the client: of several the highest count stands. */
export interface Bookmark {
  readonly kind: "bookmark";
  readonly user: UserId;
  /** At most `LIMITS.readOffsetBytesMax` bytes. */
  readonly offset: string;
  readonly count: number;
}

/** What a user says beside the record: the highest of each key stands, whatever the order (`facts.ts`). */
export type Fact = Stance | Read | Bookmark;

/** What a client says of a user's presence. */
export type PresenceCommand = Open | Update | Close | Prefer;

/** What becomes of a client's request. */
export type ClientCommand = PresenceCommand | Fact;

/** A command about the user's record. */
export type RecordCommand = PresenceCommand | Claim;

/** A command about one user, which only the log of the user's home may apply. */
export type UserCommand = RecordCommand | Fact;

/** A command about a user homed in `to`, carried there by this log. It gets the next ordinal of this log towards `to`. */
export interface Forward {
  readonly kind: "forward";
  readonly to: Region;
  readonly command: UserCommand;
}

/**
 * The home's acceptance of the forward with ordinal `at` from the log of region `from` (the `via`) whose lineage is `lineage`.
 * It takes effect if `after <= processed < at`, so it applies once however often it is appended, and never out of
 * order: the forwards between `after` and `at` were superseded by newer ones about the same session.
 */
export interface Accept {
  readonly kind: "accept";
  readonly from: Region;
  readonly lineage: LogId;
  readonly after: number;
  readonly at: number;
  readonly command: UserCommand;
}

/** The loser of a double claim gives the user up to `to`, after forwarding the record's live sessions. */
export interface Drop {
  readonly kind: "drop";
  readonly user: UserId;
  readonly to: Region;
}

/** The home gives the user over to `to`, planned: the record becomes a claim at the next epoch, forwarded there. */
export interface Release {
  readonly kind: "release";
  readonly user: UserId;
  readonly to: Region;
}

/** What a node knows of one peer's log and of the link that brings it; part of a watermark. */
export interface PeerProgress {
  readonly region: Region;
  /** Identity of the peer's log as folded; empty before its first frame. */
  readonly logId: LogId;
  /** Folded up to here. */
  readonly position: Position;
  /** The newest position known to exist at the origin. */
  readonly head: Position;
  /** Commit time of the newest folded watermark of that peer, by the peer's clock; 0 before the first. */
  readonly watermarkMs: number;
  /** When that watermark was folded here, by this node's clock; 0 before the first. */
  readonly heardMs: number;
  readonly state: LinkState;
  /** When the link entered `state`, by this node's clock. */
  readonly sinceMs: number;
  /** Why it is in `state`; empty when `live`. */
  readonly reason: string;
  /** Loop lag of this node's own log towards that peer, in milliseconds; -1 before the first echo. */
  readonly loopLagMs: number;
  /** Commit→visible of the peer's frames at this node, in milliseconds; -1 before the first frame. */
  readonly visibleP50Ms: number;
  readonly visibleP99Ms: number;
  readonly visibleP999Ms: number;
}

/** Appended every 250 ms, busy or idle. Its time is the frame's `committedAtMs`. */
export interface Watermark {
  readonly kind: "watermark";
  readonly peers: readonly PeerProgress[];
}

/**
 * The first command of a log that goes on where another one ended: its state begins as that of log `logId` at `position`, where the frame
 * with this checksum stood. A fold that stands exactly there goes on; any other needs a snapshot of this log.
 */
export interface Renewed {
  readonly kind: "renewed";
  readonly logId: LogId;
  readonly position: Position;
  readonly checksum: number;
}

/** Every replica remembers the digest of this log's fold as it is now. */
export interface Mark {
  readonly kind: "mark";
}

/** The digest of this log's fold at the mark of version `at` (`Fold.version`), as the appending node has it. Replicas compare theirs. */
export interface Digest {
  readonly kind: "digest";
  readonly at: number;
  /** `DIGEST_BYTES` long. */
  readonly sums: Uint8Array;
}

/** What an operator decided for this region: kept by key, and all of them in a bounded audit trail. */
export interface SettingCommand {
  readonly kind: "set";
  readonly key: string;
  readonly value: string;
  readonly by: string;
  readonly reason: string;
}

/** What a region may say in the place of another one. */
export type DeputedCommand = UserCommand | Forward | Accept | Drop | Release | Mark | Digest;

/** A command of the log of `region`, which this log stands for since it succeeded it (`succession.ts`). Nothing to the fold of this region. */
export interface Deputed {
  readonly kind: "deputed";
  readonly region: Region;
  readonly command: DeputedCommand;
}

export type Command =
  | UserCommand
  | Forward
  | Accept
  | Drop
  | Release
  | Watermark
  | Renewed
  | Mark
  | Digest
  | SettingCommand
  | Deputed;

/** A batch of commands appended to a log as one message. Its position is given by the log, not written in it. */
export interface Frame {
  /** The region whose log this is: the only one with the authority to write it. */
  readonly region: Region;
  readonly logId: LogId;
  /** Name of the node that appended it. */
  readonly node: string;
  /** Wall-clock milliseconds at which the oldest command of the frame was committed to. Never orders anything. */
  readonly committedAtMs: number;
  readonly commands: readonly Command[];
  /** CRC-32 of the frame as it stands in the log; absent from one that is not written yet. Tells apart what stood at one position. */
  readonly checksum?: number;
}
