/**
 * 100,000 damaged frames: decoding never throws, and what it accepts is canonical. Half of them get a checksum that fits, so
 * that they reach the commands as a hostile peer's would.
 */
import { expect, it } from "vitest";
import { decodeFrame, encodeFrame, inspectFrame } from "../../replicator/wire/codec.ts";
import { GOLDEN_V1 } from "./golden.ts";
import { withChecksum } from "./samples.ts";
import { randomFrom, testSeed } from "./seed.ts";

const MUTATIONS = 100_000;
const seed = testSeed("mutation.test.ts");
const random = randomFrom(seed);
const below = (bound: number): number => Math.floor(random() * bound);
const sources = GOLDEN_V1.map(({ hex }) => Uint8Array.from(Buffer.from(hex, "hex")));
const anySource = (): Uint8Array => sources[below(sources.length)] ?? new Uint8Array();

function flipBits(bytes: Uint8Array): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  for (let flips = 1 + below(4); flips > 0; flips--) {
    const at = below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << below(8));
  }
  return flipped;
}

const MUTATORS: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  flip: flipBits,
  overwrite: (bytes) => bytes.with(below(bytes.length), [0, 1, 0x7f, 0x80, 0xff][below(5)] ?? 0),
  truncate: (bytes) => bytes.slice(0, below(bytes.length)),
  extend: (bytes) => Uint8Array.from([...bytes, ...Array.from({ length: 1 + below(8) }, () => below(256))]),
  splice: (bytes) => {
    const other = anySource();
    return Uint8Array.from([...bytes.slice(0, below(bytes.length)), ...other.slice(below(other.length))]);
  },
  remove: (bytes) => {
    const at = below(bytes.length);
    return Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1 + below(4))]);
  },
};

it("decoding 100,000 mutated frames never throws and accepts only canonical ones", () => {
  const names = Object.keys(MUTATORS);
  const seen: Record<string, number> = {};
  const count = (what: string): void => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  for (let index = 0; index < MUTATIONS; index++) {
    const name = names[index % names.length] ?? "flip";
    const mutated = MUTATORS[name]?.(anySource()) ?? new Uint8Array();
    const bytes = below(2) === 0 ? withChecksum(mutated) : mutated;
    const decoded = decodeFrame(bytes);
    const inspected = inspectFrame(bytes);
    count(decoded.ok ? "accepted" : decoded.reason);
    if (!decoded.ok) continue;
    count(`accepted after ${name}`);
    if (!inspected.ok || !Buffer.from(encodeFrame(decoded.frame)).equals(bytes))
      throw new Error(`accepted though not canonical: ${Buffer.from(bytes).toString("hex")}`);
  }
  // A reason that never came up would mean that the mutations do not reach it.
  const wanted = ["short", "magic", "checksum", "version", "malformed", "accepted after flip"];
  expect(wanted.filter((what) => (seen[what] ?? 0) < 200)).toEqual([]);
});
