/**
 * Frame ⇄ bytes. The format is specified in README.md beside this file.
 * Rule: canonical. Every frame has exactly one encoding, and decoding accepts nothing else, so a frame that crosses any
 * number of regions is the same bytes in each, and equal bytes are the only test of equality anyone needs.
 */
import { assert } from "../core/assert.ts";
import type { Frame } from "../core/commands.ts";
import { checkEnvelope, checksumOf, type Refusal, refuse } from "./envelope.ts";
import { FrameReader } from "./frame-reader.ts";
import { type FrameHeader, FrameWriter } from "./frame-writer.ts";

export type DecodeResult = { readonly ok: true; readonly frame: Frame } | Refusal;

export type InspectResult =
  | {
      readonly ok: true;
      readonly header: FrameHeader & { readonly commandCount: number; readonly checksum: number };
    }
  | Refusal;

/** Shared by all calls: encoding is synchronous, and `begin` forgets whatever an earlier call left behind. */
const writer = new FrameWriter();

/** Encodes a whole frame. Throws `InvariantError` on one that cannot be encoded or is larger than a frame may be. */
export function encodeFrame(frame: Frame): Uint8Array {
  writer.begin(frame);
  for (const command of frame.commands)
    assert(writer.add(command) === "added", "a frame's commands fit into one frame");
  return writer.finish();
}

/** Decodes a frame from anywhere. Never throws; `encodeFrame` of what it returns is `bytes` again. */
export function decodeFrame(bytes: Uint8Array): DecodeResult {
  const refusal = checkEnvelope(bytes);
  if (refusal !== undefined) return refusal;
  const reader = new FrameReader(bytes);
  const { commandCount, region, logId, node, committedAtMs } = reader.header();
  const commands = reader.commands(commandCount);
  if (reader.failure !== undefined) return refuse("malformed", reader.failure);
  const frame = { region, logId, node, committedAtMs, commands, checksum: checksumOf(bytes) };
  return { ok: true, frame };
}

/**
 * Checks envelope and header and returns the header, for the replicator, which carries frames without looking at commands.
 * Never throws. A frame that passes may still hold a malformed command.
 */
export function inspectFrame(bytes: Uint8Array): InspectResult {
  const refusal = checkEnvelope(bytes);
  if (refusal !== undefined) return refusal;
  const reader = new FrameReader(bytes);
  const header = reader.header();
  if (reader.failure !== undefined) return refuse("malformed", reader.failure);
  return { ok: true, header: { ...header, checksum: checksumOf(bytes) } };
}
