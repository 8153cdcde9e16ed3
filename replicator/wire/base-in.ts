/** Where a log goes on where another ended. Rule: its first frame alone says so. */
import type { Renewed } from "../core/commands.ts";
import { decodeFrame } from "./codec.ts";

/** Of a log's first frame: what its log goes on from; nothing for a log without a past. */
export function baseIn(bytes: Uint8Array): Renewed | undefined {
  const decoded = decodeFrame(bytes);
  const first = decoded.ok ? decoded.frame.commands[0] : undefined;
  return first?.kind === "renewed" ? first : undefined;
}
