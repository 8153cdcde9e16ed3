/** What becomes of what a log said beyond the place from where the region's heir went on. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { LastWords, judge, saidBy, userOf, wordOf } from "../../replicator/core/lost-end.ts";
import type { Said, Since } from "../../replicator/core/lost-end.ts";
import { Replica } from "../../replicator/core/replica.ts";
import {
  REGIONS,
  bookmark,
  close,
  frame,
  open,
  prefer,
  hasRead,
  sessionOf,
  says,
  update,
} from "./samples.ts";

const SET = { kind: "set", key: "reads", value: "off", by: "op", reason: "r" } as const;
const RELEASE = { kind: "release", user: "ann", to: "us" } as const;

function since(commands: readonly Command[], more: Partial<Since> = {}): Since {
  const replica = new Replica(REGIONS);
  replica.apply("cn", 1, frame("cn", ...commands));
  return { region: "cn", replica, alive: () => undefined, unchangedBelow: 0, wallMs: 5_000, ...more };
}

function lastOf(...said: Said[]): Said[] {
  const words = new LastWords();
  for (const one of said) words.add(one);
  expect(words.size).toBe([...words.all].length);
  return [...words.all];
}

describe("what a command says", () => {
  it("is the same, whoever carries it", () => {
    const said = open("ann", "s1");
    expect(saidBy(said)).toBe(said);
    expect(saidBy({ kind: "forward", to: "us", command: said })).toBe(said);
    expect(saidBy({ kind: "deputed", region: "us", command: said })).toBe(said);
  });

  it("is nothing where it is of the regions' own affairs, or was forwarded here and is for the heir as well", () => {
    const said = open("ann", "s1");
    const affairs: Command[] = [
      { kind: "accept", from: "us", lineage: "log-us", after: 0, at: 1, command: said },
      { kind: "drop", user: "ann", to: "us" },
      { kind: "watermark", peers: [] },
      { kind: "mark" },
    ];
    for (const command of affairs) expect(saidBy(command)).toBeUndefined();
  });

  it.each<[string, string, Said]>([
    ["opened", "ann", open("ann", "s1")],
    ["changed", "ann", update("ann", "s1", "busy")],
    ["closed", "ann", close("ann", "s1")],
    ["preferred", "ann", prefer("ann", "busy")],
    ["friends", "ann", says("ann", "bob", "asked")],
    ["moved", "ann", RELEASE],
    ["decided", "", SET],
  ])("is called %s, of %j", (word, user, said) => {
    expect([wordOf(said), userOf(said)]).toEqual([word, user]);
  });
});

describe("of what was said about one thing", () => {
  it("the last stands, and a session that was changed was opened like that", () => {
    expect(lastOf(open("ann", "s1"), update("ann", "s1", "busy", "{}"))).toEqual([
      open("ann", { ...sessionOf("s1"), status: "busy", state: "{}" }),
    ]);
    expect(lastOf(open("ann", "s1"), close("ann", "s1"))).toEqual([close("ann", "s1")]);
    expect(lastOf(prefer("ann", "busy"), prefer("ann", "away"))).toEqual([prefer("ann", "away")]);
    expect(lastOf(SET, { ...SET, value: "on" }, RELEASE)).toEqual([{ ...SET, value: "on" }, RELEASE]);
  });

  it("the highest fact stands, whatever the order", () => {
    const [asked, accepted] = [says("ann", "bob", "asked"), says("ann", "bob", "accepted")];
    expect(lastOf(accepted, asked)).toEqual([accepted]);
    expect(lastOf(asked, accepted)).toEqual([accepted]);
    expect(lastOf(asked, hasRead("ann", "bob", 1), bookmark("ann", "x", 1))).toHaveLength(3);
  });
});

describe("a session that was opened or changed", () => {
  it("is lost when its lease is over, unless it is in view all the same", () => {
    expect(judge(open("ann", "s1"), since([]))).toMatchObject({ became: "lost" });
    expect(judge(open("ann", "s1"), since([open("ann", "s1")]))).toMatchObject({ became: "back" });
  });

  it("is opened again by its lease", () => {
    expect(judge(open("ann", "s1"), since([], { alive: () => sessionOf("s1") }))).toMatchObject({
      became: "back",
    });
    expect(judge(update("ann", "s1", "busy"), since([], { alive: () => sessionOf("s1") }))).toMatchObject({
      became: "back",
    });
  });

  it("that is in view is changed again where it looks otherwise", () => {
    for (const said of [update("ann", "s1", "busy"), update("ann", "s1", "online", "{}")]) {
      const given = since([open("ann", "s1")], { alive: () => said });
      expect(judge(update("ann", "s1", "online"), given)).toMatchObject({ became: "back" });
      expect(judge(said, given)).toEqual({ became: "again", why: "", command: said });
    }
  });

  it("and was changed since, is left as it is", () => {
    for (const now of [update("ann", "s1", "away"), update("ann", "s1", "busy", "{}")]) {
      const given = since([open("ann", "s1"), now], { alive: () => now });
      expect(judge(update("ann", "s1", "busy"), given)).toMatchObject({ became: "superseded" });
    }
  });
});

describe("a session that was closed", () => {
  it("is closed again while it is in view", () => {
    const said = close("ann", "s1", "kicked");
    expect(judge(said, since([open("ann", "s1")]))).toEqual({ became: "again", why: "", command: said });
    expect(judge(said, since([open("ann", "s2")]))).toMatchObject({ became: "back" });
    expect(judge(said, since([]))).toMatchObject({ became: "back" });
  });
});

describe("a preference", () => {
  const said = prefer("ann", "busy", 9_000);
  it("is set again where the user's record has not changed since, or there is none", () => {
    const again = { became: "again", why: "", command: said };
    expect(judge(said, since([open("ann", "s1")], { unchangedBelow: 2 }))).toEqual(again);
    expect(judge(said, since([]))).toEqual(again);
  });

  it("is lost where the record has changed, is another region's, or its time is over", () => {
    expect(judge(said, since([open("ann", "s1")], { unchangedBelow: 1 }))).toMatchObject({ became: "lost" });
    const elsewhere = since([], { unchangedBelow: 9 });
    elsewhere.replica.apply("us", 1, frame("us", open("ann", "s1", "us")));
    expect(judge(said, elsewhere)).toMatchObject({ became: "lost" });
    expect(judge(said, since([], { wallMs: 9_000 }))).toMatchObject({ became: "lost" });
    expect(judge(prefer("ann", "busy"), since([], { wallMs: 9_000 }))).toMatchObject({ became: "again" });
  });

  it("that stands is as was said", () => {
    expect(judge(said, since([said], { wallMs: 9_000 }))).toMatchObject({ became: "back" });
    expect(judge(prefer("ann", "busy"), since([said]))).toMatchObject({ became: "lost" });
  });
});

describe("a fact about friends", () => {
  const asked = says("ann", "bob", "asked");
  it("is said again unless it stands", () => {
    expect(judge(asked, since([]))).toEqual({ became: "again", why: "", command: asked });
    expect(judge(asked, since([asked]))).toMatchObject({ became: "back" });
  });

  it("gives way to a higher one, and to a newer round of the two", () => {
    const cancelled = says("ann", "bob", "cancelled");
    expect(judge(asked, since([cancelled]))).toMatchObject({ became: "superseded" });
    expect(judge(cancelled, since([asked]))).toMatchObject({ became: "again" });
    const newer = { ...says("bob", "ann", "asked"), round: 2 };
    expect(judge(asked, since([newer]))).toMatchObject({ became: "superseded" });
    expect(judge(hasRead("ann", "bob", 1), since([newer]))).toMatchObject({ became: "again" });
  });
});

describe("what is not said again", () => {
  it("is a move to another home, which is lost unless that is the home", () => {
    expect(judge(RELEASE, since([open("ann", "s1")]))).toEqual({
      became: "lost",
      why: "the user's home is cn",
    });
    expect(judge(RELEASE, since([]))).toMatchObject({ became: "lost" });
    const moved = since([]);
    moved.replica.apply("us", 1, frame("us", open("ann", "s1", "us")));
    expect(judge(RELEASE, moved)).toMatchObject({ became: "back" });
  });

  it("is an operator's decision, which is lost unless it stands", () => {
    expect(judge(SET, since([]))).toMatchObject({ became: "lost" });
    expect(judge(SET, since([SET]))).toMatchObject({ became: "back" });
  });
});
