/**
 * The version of the frame's binary schema, and its history.
 * Rule: any change to the bytes a frame encodes to, or to the bytes a decoder accepts, is a new version with a new line
 * here and a new golden file. A released version is never edited, because frames of it are stored in logs.
 *
 * - 1: the first. Commands open, update, close, prefer, forward, accept, drop, watermark, renewed, mark, digest, set,
 *   claim, release, stance, read, bookmark, deputed.
 */
export const SCHEMA_VERSION = 1;
