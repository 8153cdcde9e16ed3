/** A table answers as a `Map` does, whatever came and went before; prefetching changes no answer. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hash32 } from "../../replicator/core/homing.ts";
import { AHEAD, Table } from "../../replicator/core/table.ts";
import { holds } from "./property.ts";

interface Item {
  readonly key: string;
  readonly value: number;
}

function table(): Table<Item> {
  return new Table<Item>(({ key }) => key);
}

/** Keys that share a segment, and some of them a slot in it. */
const KEYS = Array.from({ length: 20_000 }, (_, n) => `key-${n}`).filter((key) => hash32(key) >>> 26 === 5);
/** Two keys with the same 32-bit hash. */
function collision(): [string, string] {
  const byHash = new Map<number, string>();
  for (let n = 0; ; n++) {
    const key = `k${n}`;
    const hash = hash32(key);
    const other = byHash.get(hash);
    if (other !== undefined) return [other, key];
    byHash.set(hash, key);
  }
}

const change = fc.record({
  key: fc.constantFrom(...KEYS.slice(0, 40)),
  value: fc.nat(9),
  remove: fc.boolean(),
});

/** All that it answers, for comparing. */
function answers(of: Table<Item> | ReadonlyMap<string, Item>): unknown[] {
  const asked = KEYS.slice(0, 45).map((key) => of.get(key));
  return [of.size, asked, new Map(of), new Set(of.keys())];
}

describe("a table", () => {
  it("has what a map has after the same changes", () => {
    expect(KEYS.length).toBeGreaterThan(100);
    holds(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const [one, map] = [table(), new Map<string, Item>()];
        const deleted: boolean[] = [];
        for (const { key, value, remove } of changes) {
          if (remove) deleted.push(one.delete(key) === map.delete(key));
          else {
            one.set(key, { key, value });
            map.set(key, one.get(key) ?? { key, value });
          }
        }
        expect(deleted).not.toContain(false);
        expect(answers(one)).toEqual(answers(map));
      }),
      200,
    );
  });

  it("grows, and does not where much was deleted", () => {
    const [one, map] = [table(), new Map<string, Item>()];
    for (let round = 0; round < 5; round++) {
      for (const key of KEYS) {
        const item = { key, value: round };
        one.set(key, item);
        map.set(key, item);
      }
      expect(answers(one)).toEqual(answers(map));
      for (const key of KEYS.slice(round)) {
        one.delete(key);
        map.delete(key);
      }
      expect(answers(one)).toEqual(answers(map));
    }
  });

  it("goes through its items in the order of their arrival", () => {
    const one = table();
    for (const key of ["c", "a", "b"]) one.set(key, { key, value: 1 });
    one.set("a", { key: "a", value: 2 });
    expect([...one.values()].map(({ key, value }) => `${key}${value}`)).toEqual(["c1", "a2", "b1"]);
  });

  it("keeps apart two keys of the same hash", () => {
    const [a, b] = collision();
    const one = table();
    one.set(a, { key: a, value: 1 });
    expect(one.get(b)).toBeUndefined();
    one.set(b, { key: b, value: 2 });
    one.delete(a);
    expect([one.get(a), one.get(b)?.value]).toEqual([undefined, 2]);
  });

  it("items that come while it is gone through are met, those that go are not", () => {
    const one = table();
    for (const key of ["a", "b", "c"]) one.set(key, { key, value: 1 });
    const met: string[] = [];
    for (const { key } of one.values()) {
      met.push(key);
      if (key !== "a") continue;
      one.delete("b");
      for (const next of ["d", "e"]) one.set(next, { key: next, value: 1 });
    }
    expect(met.toSorted()).toEqual(["a", "c", "d", "e"]);
  });
});

describe("prefetching", () => {
  it("reads of those that are there, step by step", () => {
    const one = table();
    for (const key of KEYS.slice(0, AHEAD)) one.set(key, { key, value: 1 });
    one.delete(KEYS[0] ?? "");
    const read: string[] = [];
    const steps = ["first", "second"].map((step) => (item: Item) => read.push(`${step} ${item.key}`));
    one.prefetch([...KEYS.slice(0, 3), "nobody"], steps);
    expect(read).toEqual(
      [1, 2].map((n) => `first ${KEYS[n]}`).concat([1, 2].map((n) => `second ${KEYS[n]}`)),
    );
    expect(one.get(KEYS[1] ?? "")?.value).toBe(1);
  });
});
