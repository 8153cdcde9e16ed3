/** The golden vectors of version 1: frames and the bytes they have had ever since that version was released. */
import { readFileSync } from "node:fs";
import type { Frame } from "../../replicator/core/commands.ts";

interface GoldenVector {
  readonly name: string;
  readonly hex: string;
  readonly frame: Frame;
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

const file = new URL("./golden-v1.json", import.meta.url);

export const GOLDEN_V1: readonly GoldenVector[] = JSON.parse(
  readFileSync(file, "utf8"),
  // Bytes are hexadecimal in the file.
  (key, value: unknown) => (key === "sums" && typeof value === "string" ? fromHex(value) : value),
);
