/** The truth table of two users: every cell, from both sides, and what rounds do to it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { STANCE_WORDS } from "../../replicator/core/commands.ts";
import type { Stance, StanceWord } from "../../replicator/core/commands.ts";
import { pairOf } from "../../replicator/core/pair.ts";
import { keyIn, modelPair } from "./model-facts.ts";
import { says } from "./samples.ts";

type Word = StanceWord | "none";

function said(user: string, word: Word, round = 1, atMs = 1_000): Stance | undefined {
  const message = word === "asked" ? `of ${user}` : "";
  return word === "none"
    ? undefined
    : says(user, user === "ann" ? "bob" : "ann", word, round, { message, atMs });
}

/** What ann says, what bob says, what they are, and who asked. */
const CELLS: [Word, Word, string, string][] = [
  ["none", "none", "none", ""],
  ["none", "asked", "requested", "bob"],
  ["none", "accepted", "friends", "ann"],
  ["none", "declined", "declined", "ann"],
  ["none", "cancelled", "cancelled", "bob"],
  ["asked", "none", "requested", "ann"],
  ["asked", "asked", "friends", "ann"],
  ["asked", "accepted", "friends", "ann"],
  ["asked", "declined", "declined", "ann"],
  ["asked", "cancelled", "requested", "ann"],
  ["accepted", "none", "friends", "bob"],
  ["accepted", "asked", "friends", "bob"],
  ["accepted", "accepted", "friends", "ann"],
  ["accepted", "declined", "declined", "ann"],
  ["accepted", "cancelled", "cancelled", "bob"],
  ["declined", "none", "declined", "bob"],
  ["declined", "asked", "declined", "bob"],
  ["declined", "accepted", "declined", "ann"],
  ["declined", "declined", "declined", "ann"],
  ["declined", "cancelled", "cancelled", "bob"],
  ["cancelled", "none", "cancelled", "ann"],
  ["cancelled", "asked", "requested", "bob"],
  ["cancelled", "accepted", "cancelled", "ann"],
  ["cancelled", "declined", "cancelled", "ann"],
  ["cancelled", "cancelled", "cancelled", "ann"],
];

describe("what two users are to each other", () => {
  it.each(CELLS)("%s and %s: %s, asked by %s", (ofAnn, ofBob, state, from) => {
    const [ann, bob] = [said("ann", ofAnn), said("bob", ofBob)];
    const asking = [ann, bob].find((one) => one?.word === "asked" && one.user === from);
    const { message = "", atMs = 0 } = asking ?? {};
    const expected = { state, from, round: state === "none" ? 0 : 1, message, atMs };
    expect(pairOf("ann", "bob", ann, bob)).toEqual(expected);
    expect(pairOf("bob", "ann", bob, ann)).toEqual(expected);
    const facts = new Map(
      [ann, bob].flatMap((one) => (one === undefined ? [] : [[keyIn(one), one] as const])),
    );
    expect(modelPair(facts, "ann", "bob")).toEqual(expected);
  });

  it("is what the README's table says", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const rows = readme.slice(readme.indexOf("| A says")).split("\n\n")[0]?.split("\n").slice(2) ?? [];
    const cells = rows.flatMap((row) => row.replaceAll("*", "").split("|").slice(2, -1));
    const told = CELLS.map(([, , state, from]) =>
      state === "requested" ? `requested by ${from === "ann" ? "A" : "B"}` : state,
    );
    expect(cells.map((cell) => cell.trim())).toEqual(told);
  });

  it("is a friendship only if nobody took it back or said no", () => {
    const friends = CELLS.filter(([, , state]) => state === "friends");
    const words = new Set(friends.flatMap(([ofAnn, ofBob]) => [ofAnn, ofBob]));
    expect([...words].toSorted()).toEqual(["accepted", "asked", "none"]);
  });

  it.each(STANCE_WORDS)("%s of an earlier round counts for nothing", (word) => {
    const old = said("bob", word, 1);
    expect(pairOf("ann", "bob", said("ann", "asked", 2), old)).toMatchObject({
      state: "requested",
      from: "ann",
      round: 2,
    });
  });

  it("of two who asked at once the earlier is shown, and of two at the same time the lesser name", () => {
    const [late, early] = [said("ann", "asked", 1, 2_000), said("bob", "asked", 1, 1_000)];
    expect(pairOf("ann", "bob", late, early)).toMatchObject({ from: "bob", message: "of bob", atMs: 1_000 });
    expect(pairOf("bob", "ann", early, late)).toMatchObject({ from: "bob", message: "of bob", atMs: 1_000 });
  });
});
