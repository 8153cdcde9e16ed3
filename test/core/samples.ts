/** Sessions, commands and frames for tests: everything has a default, so that a test says only what it is about. */
import type {
  Accept,
  Bookmark,
  Close,
  Command,
  Drop,
  Forward,
  Frame,
  Open,
  PeerProgress,
  Prefer,
  PreferredStatus,
  Read,
  Region,
  Release,
  Session,
  SessionId,
  SessionStatus,
  Stance,
  StanceWord,
  Update,
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";

export const REGIONS: readonly Region[] = ["cn", "eu", "us"];
export const USERS: readonly UserId[] = ["ann", "bob", "cleo", "dan", "eve"];

export function sessionOf(session: SessionId, region: Region = "cn", device = ""): Session {
  return {
    session,
    region,
    device,
    platform: "ios",
    policy: "multi",
    status: "online",
    state: "",
    sinceMs: 1_000,
  };
}

export function open(user: UserId, session: SessionId | Session, region: Region = "cn", device = ""): Open {
  return {
    kind: "open",
    user,
    session: typeof session === "string" ? sessionOf(session, region, device) : session,
  };
}

export function update(user: UserId, session: SessionId, status: SessionStatus, state = ""): Update {
  return { kind: "update", user, session, status, state };
}

export function close(user: UserId, session: SessionId, reason: Close["reason"] = "logout", by = ""): Close {
  return { kind: "close", user, session, reason, by };
}

export function prefer(user: UserId, preferred: PreferredStatus, untilMs = 0): Prefer {
  return { kind: "prefer", user, preferred, untilMs };
}

export function says(
  user: UserId,
  other: UserId,
  word: StanceWord,
  round = 1,
  given: Partial<Pick<Stance, "message" | "atMs">> = {},
): Stance {
  return { kind: "stance", user, other, word, round, message: "", atMs: 1_000, ...given };
}

export function hasRead(user: UserId, other: UserId, round: number): Read {
  return { kind: "read", user, other, round };
}

export function bookmark(user: UserId, offset: string, count: number): Bookmark {
  return { kind: "bookmark", user, offset, count };
}

export function forward(to: Region, command: UserCommand): Forward {
  return { kind: "forward", to, command };
}

export function accept(from: Region, after: number, at: number, command: UserCommand): Accept {
  return { kind: "accept", from, lineage: logOf(from), after, at, command };
}

export function drop(user: UserId, to: Region): Drop {
  return { kind: "drop", user, to };
}

/** Identity of the region's log in tests. */
export function logOf(region: Region): string {
  return `log-${region}`;
}

export function release(to: Region, user: UserId = "ann"): Release {
  return { kind: "release", user, to };
}

export function frame(region: Region, ...commands: Command[]): Frame {
  return { region, logId: logOf(region), node: `${region}-1`, committedAtMs: 1_000_000, commands };
}

export function frameAt(committedAtMs: number, region: Region, ...commands: Command[]): Frame {
  return { ...frame(region, ...commands), committedAtMs };
}

export function progress(region: Region, given: Partial<PeerProgress> = {}): PeerProgress {
  return {
    region,
    logId: logOf(region),
    position: 1,
    head: 1,
    watermarkMs: 0,
    heardMs: 0,
    state: "live",
    sinceMs: 1_000,
    reason: "",
    loopLagMs: -1,
    visibleP50Ms: -1,
    visibleP99Ms: -1,
    visibleP999Ms: -1,
    ...given,
  };
}
