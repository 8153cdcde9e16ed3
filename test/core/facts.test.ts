/** The facts of one fold: the highest stands, in whatever order; bounded; written at the home; in digests; read out as they were. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STANCE_WORDS } from "../../replicator/core/commands.ts";
import type { Fact } from "../../replicator/core/commands.ts";
import { bucketOf, differingBuckets } from "../../replicator/core/digest.ts";
import { highest, isAbove } from "../../replicator/core/facts.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { above } from "./model-facts.ts";
import { holds } from "./property.ts";
import { recorded } from "./recorded.ts";
import { accept, bookmark, drop, forward, hasRead, open, says } from "./samples.ts";

/** Facts about one thing each, few enough to collide. */
const stance = fc
  .tuple(fc.nat(2), fc.constantFrom(...STANCE_WORDS), fc.nat(1), fc.constantFrom("", "a", "b"))
  .map(([round, word, atMs, message]): Fact => says("ann", "bob", word, round, { atMs, message }));
const read = fc.nat(2).map((round): Fact => hasRead("ann", "bob", round));
const note = fc
  .tuple(fc.constantFrom("", "x", "y"), fc.nat(2))
  .map(([offset, count]): Fact => bookmark("ann", offset, count));

describe("of facts about one thing the highest stands", () => {
  it.each([
    ["stance", stance],
    ["read", read],
    ["bookmark", note],
  ])("%s, in whatever order they come", (_kind, one) => {
    holds(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), fc.nat(), (facts, turn) => {
        const turned = [...facts.slice(turn % facts.length), ...facts.slice(0, turn % facts.length)];
        const folds = [facts, turned, facts.toReversed()].map((order) => {
          const { fold, give } = recorded();
          give(...order);
          return fold.facts.all.map(({ fact }) => fact);
        });
        expect(folds).toEqual([[highest(facts)], [highest(facts)], [highest(facts)]]);
        for (const a of facts) for (const b of facts) expect(isAbove(a, b)).toBe(above(a, b));
      }),
      200,
    );
  });

  it("none of none", () => {
    expect(highest([undefined])).toBeUndefined();
  });

  it("within a round words only go up, and a new round begins anew", () => {
    const { give } = recorded();
    expect(give(says("ann", "bob", "cancelled"))).toContain("said cancelled bob 1");
    for (const word of ["asked", "accepted", "declined", "cancelled"] as const)
      expect(give(says("ann", "bob", word))).toEqual(["refused stance: nothing-new"]);
    expect(give(says("ann", "bob", "asked", 2))).toEqual(["said anew asked bob 2"]);
  });
});

describe("a fact is written where its user is homed", () => {
  it("a log that has nothing of the user claims the user", () => {
    const { fold, give } = recorded();
    expect(give(says("ann", "bob", "asked"))).toEqual(["appeared ann", "said asked bob 1"]);
    expect(fold.homed("ann")).toMatchObject({ epoch: { generation: 0, count: 1 }, version: 1, sessions: [] });
    expect(give(open("ann", "s1"), hasRead("ann", "bob", 1), bookmark("ann", "x", 1))).toEqual([
      "changed ann",
      "applied open",
      "said read bob 1",
      "said bookmark x",
    ]);
  });

  it("a log that gave the user up passes it on, and keeps what it has", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), says("ann", "bob", "asked"), drop("ann", "eu"));
    expect(give(says("ann", "bob", "cancelled"))).toEqual(["forward 2 to eu: cancelled bob 1"]);
    expect(fold.facts.all.map(({ fact }) => fact)).toEqual([says("ann", "bob", "asked")]);
  });

  it("a forward takes effect once", () => {
    const { give } = recorded();
    const one = accept("us", 0, 1, says("ann", "bob", "asked"));
    expect(give(one)).toEqual(["appeared ann", "said asked bob 1", "processed 1 of us log-us"]);
    expect(give(one)).toEqual(["refused accept: already-processed"]);
    expect(give(accept("us", 1, 2, says("ann", "bob", "asked")))).toEqual([
      "refused stance: nothing-new",
      "processed 2 of us log-us",
    ]);
  });

  it("a forward of one leaves the record alone", () => {
    const { fold, give } = recorded();
    expect(give(forward("us", says("ann", "bob", "asked")))).toEqual(["forward 1 to us: asked bob 1"]);
    expect([fold.table.size, fold.facts.size]).toEqual([0, 0]);
  });
});

describe("what changes nothing is refused", () => {
  it("nobody asks, answers or reads oneself", () => {
    const { fold, give } = recorded();
    expect(give(says("ann", "ann", "asked"), hasRead("ann", "ann", 1))).toEqual([
      "refused stance: about-oneself",
      "refused read: about-oneself",
    ]);
    expect([fold.table.size, fold.facts.size]).toEqual([0, 0]);
  });

  it("a fold holds a bounded number of each kind per user", () => {
    const { fold, give } = recorded();
    const others = Array.from({ length: LIMITS.stancesPerUserMax + 1 }, (_, n) => `user-${n}`);
    const [last = ""] = others.slice(-1);
    expect(give(...others.map((other) => says("ann", other, "asked"))).at(-1)).toBe(
      "refused stance: too-many-facts",
    );
    expect(give(...others.map((other) => hasRead("ann", other, 1))).at(-1)).toBe(
      "refused read: too-many-facts",
    );
    expect(fold.facts.get("ann", `stance ${last}`)).toBeUndefined();
    expect(give(says("ann", "user-0", "cancelled"))).toEqual(["said anew cancelled user-0 1"]);
    expect(give(says("bob", last, "asked"), bookmark("ann", "x", 1))).toEqual([
      "appeared bob",
      `said asked ${last} 1`,
      "said bookmark x",
    ]);
  });
});

describe("facts in digests", () => {
  const FACTS: [string, Fact, Fact][] = [
    ["other", says("ann", "bob", "asked"), says("ann", "cleo", "asked")],
    ["word", says("ann", "bob", "asked"), says("ann", "bob", "accepted")],
    ["round", says("ann", "bob", "asked"), says("ann", "bob", "asked", 2)],
    ["message", says("ann", "bob", "asked"), says("ann", "bob", "asked", 1, { message: "x" })],
    ["time", says("ann", "bob", "asked"), says("ann", "bob", "asked", 1, { atMs: 1_001 })],
    ["read other", hasRead("ann", "bob", 1), hasRead("ann", "cleo", 1)],
    ["read round", hasRead("ann", "bob", 1), hasRead("ann", "bob", 2)],
    ["offset", bookmark("ann", "x", 1), bookmark("ann", "y", 1)],
    ["count", bookmark("ann", "x", 1), bookmark("ann", "x", 2)],
  ];
  it.each(FACTS)("another %s is another sum in the user's bucket alone", (_what, one, other) => {
    const sums = [one, other].map((fact) => {
      const { fold, give } = recorded();
      give(fact, says("dan", "eve", "asked"));
      return fold.sums();
    });
    const [a = new Uint8Array(), b = new Uint8Array()] = sums;
    expect(differingBuckets(a, b)).toEqual([bucketOf("ann")]);
  });

  it("a fact that was replaced leaves nothing behind", () => {
    const [one, other] = [recorded(), recorded()];
    one.give(says("ann", "bob", "asked"), says("ann", "bob", "cancelled"));
    other.give(says("ann", "bob", "cancelled"));
    expect(one.fold.sums()).toEqual(other.fold.sums());
  });

  it("one that changed without a command is found when it is looked at, and when another takes its place", () => {
    const { fold, give, told } = recorded();
    give(says("ann", "bob", "asked"), open("dan", "s1"));
    const [ann, dan] = [fold.homed("ann"), fold.homed("dan")];
    const [held] = fold.facts.of("ann");
    if (held === undefined || ann === undefined || dan === undefined) throw new Error("they are there");
    expect([fold.isIntact(ann), fold.isIntact(dan)]).toEqual([true, true]);
    held.fact = says("ann", "bob", "declined");
    expect([fold.isIntact(ann), fold.isIntact(ann)]).toEqual([false, true]);
    held.fact = says("ann", "bob", "asked", 7);
    expect(give(says("ann", "bob", "asked", 8))).toEqual(["corrupt ann", "said anew asked bob 8"]);
    expect(told).toHaveLength(2);
  });
});
