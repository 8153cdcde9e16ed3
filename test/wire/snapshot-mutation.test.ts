/** 20,000 damaged snapshots: the decoder never throws, and calls none of them whole that is not what was written. */
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { randomFrom, testSeed } from "./seed.ts";
import { decoded, encoded, PARTS } from "./snapshot-samples.ts";

const MUTATIONS = 20_000;
const seed = testSeed("snapshot-mutation.test.ts");
const random = randomFrom(seed);
const below = (bound: number): number => Math.floor(random() * bound);

function flipBits(bytes: Uint8Array): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  for (let flips = 1 + below(3); flips > 0; flips--) {
    const at = below(flipped.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << below(8));
  }
  return flipped;
}

const MUTATORS: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  flipBits,
  (bytes) => bytes.with(below(bytes.length), [0, 1, 0x7f, 0x80, 0xff][below(5)] ?? 0),
  (bytes) => bytes.slice(0, below(bytes.length)),
  (bytes) => Uint8Array.from([...bytes, ...Array.from({ length: 1 + below(30) }, () => below(256))]),
  (bytes) => Uint8Array.from([...bytes.slice(0, below(bytes.length)), ...bytes.slice(below(bytes.length))]),
  (bytes) => bytes.slice(1 + below(40)),
];

it("20,000 mutated snapshots never throw and are never whole and different", async () => {
  const sound = await encoded(PARTS);
  const seen: Record<string, number> = {};
  for (let index = 0; index < MUTATIONS; index++) {
    const bytes = MUTATORS[index % MUTATORS.length]?.(sound) ?? sound;
    const cut = below(bytes.length + 1);
    const { parts, fault } = await decoded([bytes.slice(0, cut), bytes.slice(cut)]);
    const outcome = fault?.reason ?? "whole";
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    if (fault === undefined && !isDeepStrictEqual(parts, PARTS))
      throw new Error(`whole, and not what was written: ${Buffer.from(bytes).toString("hex")}`);
  }
  // A reason that never came up would mean that the mutations do not reach it.
  const wanted = ["magic", "version", "order", "too-large", "checksum", "torn", "malformed"];
  expect(wanted.filter((what) => (seen[what] ?? 0) < 20)).toEqual([]);
}, 60_000);
