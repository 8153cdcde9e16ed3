/** Whether a log goes on where another ended. Rule: its first frame alone says so. */
import { decodeFrame } from "./codec.ts";

/** Of a log's first frame. */
export function goesOn(bytes: Uint8Array): boolean {
  const decoded = decodeFrame(bytes);
  return decoded.ok && decoded.frame.commands[0]?.kind === "renewed";
}
