/**
 * The names under which frames travel on NATS: streams, subjects and message headers.
 * Rule: nobody else spells one of these names. A region's name is kept as it is, case included; its pattern
 * (`[a-z][a-z0-9-]*`) holds no dot, space or wildcard, so it is always one subject token and a legal stream name; and so is a log's identity.
 */
import type { LogId, Region } from "../core/commands.ts";

/** Header of a message in a copy: the frame's position in the log it was copied from, in decimal. */
export const HEADER_POSITION = "Rollcall-Position";
/** Header of a message in a copy: the identity of the log it was copied from. */
export const HEADER_LOG = "Rollcall-Log";

/** The stream that is the region's own log, on the region's own NATS. */
export function logStream(region: Region): string {
  return `LOG_${region}`;
}

/** The one subject of the region's own log. It names the identity, so that nothing meant for another log of the region gets into this one. */
export function logSubject(region: Region, logId: LogId): string {
  return `rollcall.log.${region}.${logId}`;
}

/** The stream in which a peer keeps its copy of the log of `origin`. */
export function copyStream(origin: Region): string {
  return `COPY_${origin}`;
}

/**
 * The one subject of the copy of the log of `origin`. It names this making of the copy, which each reset ends, so that nothing meant for
 * one before gets into it.
 */
export function copySubject(origin: Region, making: string): string {
  return `rollcall.copy.${origin}.${making}`;
}

/** The stream of which the messages' ids say who renews which log; what else is in them means nothing. */
export const RENEWALS_STREAM = "ROLLCALL_RENEWALS";
export const RENEWALS_SUBJECT = "rollcall.renewals";

/** The stream, in the server's memory, that has a message for what is known of each log's end since the server started. */
export const PROOFS_STREAM = "ROLLCALL_PROOFS";

export function proofSubject(logId: LogId, proof: string): string {
  return `rollcall.proof.${logId}.${proof}`;
}

/** The stream that has a message for each copy that was ever sealed: its seal. */
export const SEALS_STREAM = "ROLLCALL_SEALS";

/** Of the seal of the copy of the log of `origin`. */
export function sealSubject(origin: Region): string {
  return `rollcall.seal.${origin}`;
}

/** The bucket of the region's object store that holds its snapshots. */
export const SNAPSHOTS_BUCKET = "rollcall_snapshots";

/** Announcements are plain messages inside one region, kept by no stream. */
export function announceSubject(topic: string): string {
  return `rollcall.announce.${topic}`;
}
