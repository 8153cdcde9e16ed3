/**
 * The digest of one fold: for each bucket of users the 128-bit sum of the hashes of their records and facts, and one more for the rest of the fold.
 * Rule (invariant 1): it depends on what the records say alone, not on the order in which they came to say it. A sum changes by the
 * difference when a record changes (Bellare & Micciancio's AdHASH, 1997), so nothing is ever hashed twice for nothing.
 *
 * Records that change are noted and hashed later, a slice at a time or when the digest is asked for: a record that changes often is
 * hashed once.
 */
import { assert, defined } from "./assert.ts";
import type { Fact, UserId } from "./commands.ts";
import type { HeldFact } from "./facts.ts";
import { hash32 } from "./homing.ts";
import type { UserRecord } from "./record.ts";

/** Of users; the sum after the last one is that of the rest of the fold. */
export const BUCKETS = 256;
const LANES = 4;
export const DIGEST_BYTES = (BUCKETS + 1) * LANES * 4;
/** What the rest of a fold is called among buckets. */
export const REST_BUCKET = BUCKETS;
/** Marks whose digest may still come. */
const MARKS_MAX = 4;
const SLOTS_MIN = 1_024;

export class FoldDigest {
  readonly #sums = new Uint32Array((BUCKETS + 1) * LANES);
  /** By the records' slots: the hash that is in the sum, and whether the record has changed since. */
  #hashes = new Uint32Array(SLOTS_MIN * LANES);
  #isChanged = new Uint8Array(SLOTS_MIN);
  #changed: UserRecord[] = [];
  /** By the facts' slots: the hash that is in the sum. */
  #factHashes = new Uint32Array(0);
  readonly #marks = new Map<number, Uint8Array>();

  /** The record is new or has changed. */
  touch(record: UserRecord): void {
    const { slot } = record;
    if (slot >= this.#isChanged.length) this.#grow(slot);
    if (this.#isChanged[slot] === 1) return;
    this.#isChanged[slot] = 1;
    this.#changed.push(record);
  }

  /** Takes at most `max` changed records into the sums. */
  settle(max: number): void {
    for (let count = 0; count < max; count++) {
      const record = this.#changed.pop();
      if (record === undefined) return;
      this.#isChanged[record.slot] = 0;
      this.#rehash(record);
    }
  }

  /** The digest as the fold is now; `rest` is all that is not in records, as text. */
  sums(rest: string): Uint8Array {
    this.settle(Number.POSITIVE_INFINITY);
    hashText(rest);
    finish();
    this.#sums.set(LANE, REST_BUCKET * LANES);
    const bytes = new Uint8Array(DIGEST_BYTES);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < this.#sums.length; index++)
      view.setUint32(4 * index, defined(this.#sums[index], "a bucket has its sum"), true);
    return bytes;
  }

  /** Remembers the digest at the mark of that version. */
  remember(version: number, sums: Uint8Array): void {
    this.#marks.set(version, sums);
    for (const oldest of this.#marks.keys()) {
      if (this.#marks.size <= MARKS_MAX) break;
      this.#marks.delete(oldest);
    }
  }

  /** Buckets that differ from what was remembered at `at`; `undefined` when nothing was. */
  compare(at: number, sums: Uint8Array): number[] | undefined {
    const own = this.#marks.get(at);
    return own === undefined ? undefined : differingBuckets(own, sums);
  }

  /**
   * Looks whether the record still says what it said when it was last hashed. False means that it changed without a command: memory,
   * or a defect. The sum follows what it says now, so that the digest is that of this replica as it is.
   */
  isIntact(record: UserRecord): boolean {
    if (this.#isChanged[record.slot] === 1) return true;
    return !this.#rehash(record);
  }

  /** Whether the record's hash had to be replaced. */
  #rehash(record: UserRecord): boolean {
    hashRecord(record);
    return this.#replace(this.#hashes, record.slot, record.user);
  }

  /** Takes the fact into the sums as it is now. Returns whether they had it otherwise: it is new, or has changed since. */
  settleFact({ slot, fact }: HeldFact): boolean {
    if (slot * LANES >= this.#factHashes.length) {
      const hashes = new Uint32Array(Math.max(2 * this.#factHashes.length, (slot + 1) * LANES));
      hashes.set(this.#factHashes);
      this.#factHashes = hashes;
    }
    hashFact(fact);
    return this.#replace(this.#factHashes, slot, fact.user);
  }

  /** Puts the hash just made in the place of the one before. Returns whether that was another. */
  #replace(hashes: Uint32Array, slot: number, user: UserId): boolean {
    const at = slot * LANES;
    const sum = bucketOf(user) * LANES;
    let differs = false;
    for (let lane = 0; lane < LANES; lane++) {
      const before = defined(hashes[at + lane], "a slot has its hash");
      const after = defined(LANE[lane], "a hash has its lanes");
      if (before === after) continue;
      differs = true;
      hashes[at + lane] = after;
      this.#sums[sum + lane] = defined(this.#sums[sum + lane], "a bucket has its sum") + after - before;
    }
    return differs;
  }

  #grow(slot: number): void {
    const slots = Math.max(2 * this.#isChanged.length, slot + 1);
    const hashes = new Uint32Array(slots * LANES);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const isChanged = new Uint8Array(slots);
    isChanged.set(this.#isChanged);
    this.#isChanged = isChanged;
  }
}

/** Numbers of the buckets in which two digests differ; {@link REST_BUCKET} is that of the rest. */
export function differingBuckets(a: Uint8Array, b: Uint8Array): number[] {
  assert(a.length === DIGEST_BYTES && b.length === DIGEST_BYTES, "a digest has its size");
  const buckets: number[] = [];
  for (let bucket = 0; bucket <= BUCKETS; bucket++) {
    const from = bucket * LANES * 4;
    for (let at = from; at < from + LANES * 4; at++) {
      if (a[at] === b[at]) continue;
      buckets.push(bucket);
      break;
    }
  }
  return buckets;
}

export function bucketOf(user: UserId): number {
  return hash32(user) >>> 24;
}

/** The hash being made: four lanes of 32 bits, each a multiplicative hash with a multiplier of its own, mixed at the end. */
const LANE = new Uint32Array(LANES);
const MULTIPLIERS = [0x01000193, 0x5bd1e995, 0x85ebca6b, 0xc2b2ae35] as const;
const SEEDS = [0x811c9dc5, 0x9747b28c, 0x2545f491, 0x27d4eb2f] as const;
let a = 0;
let b = 0;
let c = 0;
let d = 0;

function begin(): void {
  [a, b, c, d] = SEEDS;
}

function mix(value: number): void {
  a = Math.imul(a ^ value, MULTIPLIERS[0]);
  b = Math.imul(b ^ value, MULTIPLIERS[1]);
  c = Math.imul(c + value, MULTIPLIERS[2]) ^ (c >>> 15);
  d = Math.imul(d + value, MULTIPLIERS[3]) ^ (d >>> 13);
}

/** With its length, so that no two texts after each other can be taken for two others. */
function mixText(text: string): void {
  mix(text.length);
  // The lanes in locals: what `mix` does to each, and nothing stored until the end.
  let [laneA, laneB, laneC, laneD] = [a, b, c, d];
  for (let index = 0; index < text.length; index++) {
    const value = text.charCodeAt(index);
    laneA = Math.imul(laneA ^ value, MULTIPLIERS[0]);
    laneB = Math.imul(laneB ^ value, MULTIPLIERS[1]);
    laneC = Math.imul(laneC + value, MULTIPLIERS[2]) ^ (laneC >>> 15);
    laneD = Math.imul(laneD + value, MULTIPLIERS[3]) ^ (laneD >>> 13);
  }
  [a, b, c, d] = [laneA, laneB, laneC, laneD];
}

/** A safe integer. */
function mixNumber(value: number): void {
  mix(value | 0);
  mix(Math.floor(value / 0x1_0000_0000) | 0);
}

function finish(): void {
  LANE[0] = finished(a ^ d);
  LANE[1] = finished(b ^ a);
  LANE[2] = finished(c ^ b);
  LANE[3] = finished(d ^ c);
}

function finished(lane: number): number {
  const once = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return twice ^ (twice >>> 16);
}

function hashText(text: string): void {
  begin();
  mixText(text);
}

function hashRecord(record: UserRecord): void {
  begin();
  mixText(record.user);
  mixNumber(record.epoch.generation);
  mixNumber(record.epoch.count);
  mixNumber(record.version);
  mixText(record.movedTo);
  mixText(record.preferred);
  mixNumber(record.preferredUntilMs);
  mix(record.sessions.length);
  for (const session of record.sessions) {
    mixText(session.session);
    mixText(session.region);
    mixText(session.device);
    mixText(session.platform);
    // Absent where it says nothing, so that nodes from before policies have the same digest.
    if (session.policy !== "multi") mixText(session.policy);
    mixText(session.status);
    mixText(session.state);
    mixNumber(session.sinceMs);
  }
  finish();
}

function hashFact(fact: Fact): void {
  begin();
  mixText(fact.kind);
  mixText(fact.user);
  switch (fact.kind) {
    case "stance":
      mixText(fact.other);
      mixText(fact.word);
      mixNumber(fact.round);
      mixText(fact.message);
      mixNumber(fact.atMs);
      break;
    case "read":
      mixText(fact.other);
      mixNumber(fact.round);
      break;
    case "bookmark":
      mixText(fact.offset);
      mixNumber(fact.count);
      break;
  }
  finish();
}
