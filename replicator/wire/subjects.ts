/**
 * The names under which frames travel on NATS: streams, subjects and message headers.
 * Rule: nobody else spells one of these names. A region's name is kept as it is, case included; its pattern
 * (`[a-z][a-z0-9-]*`) holds no dot, space or wildcard, so it is always one subject token and a legal stream name.
 */
import type { Region } from "../core/commands.ts";

/** Header of a message in a copy: the frame's position in the log it was copied from, in decimal. */
export const HEADER_POSITION = "Rollcall-Position";
/** Header of a message in a copy: the identity of the log it was copied from. */
export const HEADER_LOG = "Rollcall-Log";

/** The stream that is the region's own log, on the region's own NATS. */
export function logStream(region: Region): string {
  return `LOG_${region}`;
}

/** The one subject of the region's own log. */
export function logSubject(region: Region): string {
  return `rollcall.log.${region}`;
}

/** The stream in which a peer keeps its copy of the log of `origin`. */
export function copyStream(origin: Region): string {
  return `COPY_${origin}`;
}

/** The one subject of the copy of the log of `origin`. */
export function copySubject(origin: Region): string {
  return `rollcall.copy.${origin}`;
}

/** Announcements are plain messages inside one region, kept by no stream. */
export function announceSubject(topic: string): string {
  return `rollcall.announce.${topic}`;
}
