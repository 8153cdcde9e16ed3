/**
 * Items by key: an open-addressing hash table on typed arrays beside the list of items. Like a `Map` that nothing is deleted from, it
 * goes through them in the order of their arrival; unlike one, it has no bound at 16.7 million items, and it can prefetch many at once.
 * Rule: what it answers follows from what was put in alone; prefetching changes nothing but what the CPU's caches hold.
 *
 * Why prefetching: among a million items nearly every read waits for memory, 100 ns and more each, and one lookup is a chain of them.
 * Reads that do not depend on each other wait together, so a batch of lookups taken step by step waits about as long as one.
 */
import { defined } from "./assert.ts";
import { hash32 } from "./homing.ts";

/** Keys to prefetch at a time: enough for their reads to overlap, few enough for what is read to stay in the nearest cache. */
export const AHEAD = 32;
/** Each grows by itself, so that no growth stops the process for long: at 10 million items one holds 160,000. */
const SEGMENTS = 64;
const SEGMENT_SHIFT = 26;
const SLOTS_MIN = 16;
/** In place of a place: a slot that never had one, and one whose item was deleted. */
const EMPTY = 0;
const DELETED = -1;
/** What all segments share until their first item: one empty slot. */
const NO_PAIRS = new Int32Array(2);

/** Slots are pairs: the key's hash, and the item's place in the list plus one. At most 2 of 3 slots are not empty. */
class Segment {
  pairs = NO_PAIRS;
  mask = 0;
  #live = 0;
  #used = 0;

  add(hash: number, place: number): void {
    if (3 * (this.#used + 1) > 2 * (this.mask + 1)) this.#rebuild();
    this.#put(hash, place);
    this.#live += 1;
  }

  delete(slot: number): void {
    this.pairs[2 * slot + 1] = DELETED;
    this.#live -= 1;
  }

  /** Twice as large, or only rid of the deleted where those are many. */
  #rebuild(): void {
    const { pairs } = this;
    const slots = 3 * this.#live > this.mask + 1 ? pairs.length : pairs.length / 2;
    const size = Math.max(SLOTS_MIN, slots);
    this.pairs = new Int32Array(2 * size);
    this.mask = size - 1;
    this.#used = 0;
    for (let at = 0; at < pairs.length; at += 2) {
      const place = held(pairs, at + 1);
      if (place > EMPTY) this.#put(held(pairs, at), place);
    }
  }

  #put(hash: number, place: number): void {
    const { pairs, mask } = this;
    let slot = hash & mask;
    while (pairs[2 * slot + 1] !== EMPTY) slot = (slot + 1) & mask;
    pairs[2 * slot] = hash;
    pairs[2 * slot + 1] = place;
    this.#used += 1;
  }
}

/** A number is there for every slot; said in the way that costs a lookup nothing. */
function held(pairs: Int32Array, index: number): number {
  return Number(pairs[index]);
}

export class Table<T> {
  readonly #keyOf: (item: T) => string;
  readonly #items: (T | undefined)[] = [];
  /** Places in the list that deleted items have left. */
  readonly #free: number[] = [];
  readonly #segments = Array.from({ length: SEGMENTS }, () => new Segment());

  constructor(keyOf: (item: T) => string) {
    this.#keyOf = keyOf;
  }

  get size(): number {
    return this.#items.length - this.#free.length;
  }

  get(key: string): T | undefined {
    const hash = hash32(key) | 0;
    const segment = this.#segment(hash);
    const slot = this.#slotOf(segment, key, hash);
    return slot === -1 ? undefined : this.#items[this.#placeAt(segment, slot)];
  }

  /** `item` has this key. */
  set(key: string, item: T): void {
    const hash = hash32(key) | 0;
    const segment = this.#segment(hash);
    const slot = this.#slotOf(segment, key, hash);
    if (slot !== -1) {
      this.#items[this.#placeAt(segment, slot)] = item;
      return;
    }
    const place = this.#free.pop() ?? this.#items.length;
    this.#items[place] = item;
    segment.add(hash, place + 1);
  }

  delete(key: string): boolean {
    const hash = hash32(key) | 0;
    const segment = this.#segment(hash);
    const slot = this.#slotOf(segment, key, hash);
    if (slot === -1) return false;
    const place = this.#placeAt(segment, slot);
    this.#items[place] = undefined;
    this.#free.push(place);
    segment.delete(slot);
    return true;
  }

  /** Items may come and go meanwhile: each that stays is yielded once. */
  *values(): Generator<T> {
    for (const item of this.#items) if (item !== undefined) yield item;
  }

  *keys(): Generator<string> {
    for (const item of this.values()) yield this.#keyOf(item);
  }

  *[Symbol.iterator](): Generator<[string, T]> {
    for (const item of this.values()) yield [this.#keyOf(item), item];
  }

  /**
   * Brings what these keys stand for into the CPU's caches: each step reads something of an item, and is taken for all of them before
   * the next. At most `AHEAD` keys at a time pay off. The sum of what was read is returned so that no compiler leaves the reading out, and means nothing.
   */
  prefetch(keys: readonly string[], steps: readonly ((item: T) => number)[]): number {
    const hashes = keys.map((key) => hash32(key) | 0);
    let sum = 0;
    for (const hash of hashes) {
      const { pairs, mask } = this.#segment(hash);
      sum += held(pairs, 2 * (hash & mask));
    }
    const found: T[] = [];
    for (const hash of hashes) {
      const place = this.#placeLike(hash);
      const item = place < 0 ? undefined : this.#items[place];
      if (item !== undefined) found.push(item);
    }
    for (const step of steps) for (const item of found) sum += step(item);
    return sum;
  }

  /** Where in the segment the key is, or -1. */
  #slotOf({ pairs, mask }: Segment, key: string, hash: number): number {
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = held(pairs, 2 * slot + 1);
      if (place === EMPTY) return -1;
      if (pairs[2 * slot] !== hash || place === DELETED) continue;
      const item = defined(this.#items[place - 1], "a place in a slot has an item");
      if (this.#keyOf(item) === key) return slot;
    }
  }

  #placeAt({ pairs }: Segment, slot: number): number {
    return held(pairs, 2 * slot + 1) - 1;
  }

  /** Place of the first item with this hash, negative without one; its key may be another: good for warming caches, and for nothing else. */
  #placeLike(hash: number): number {
    const { pairs, mask } = this.#segment(hash);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = held(pairs, 2 * slot + 1);
      if (place === EMPTY || pairs[2 * slot] === hash) return place - 1;
    }
  }

  #segment(hash: number): Segment {
    return defined(this.#segments[hash >>> SEGMENT_SHIFT], "every hash has a segment");
  }
}
