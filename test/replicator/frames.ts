/** Frames that stand for a text each: what is put back into a log are sound frames, or nothing. */
import { decodeFrame, encodeFrame } from "../../replicator/wire/codec.ts";

export function frameOf(text: string, logId: string): Uint8Array {
  const commands = [{ kind: "mark" }] as const;
  return encodeFrame({ region: "cn", logId, node: text, committedAtMs: 0, commands });
}

export function textIn(bytes: Uint8Array): string {
  const decoded = decodeFrame(bytes);
  return decoded.ok ? decoded.frame.node : decoded.reason;
}
