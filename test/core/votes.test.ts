/** Votes on a fence: how they are written, when a region may give its own, and what follows from them. */
import { describe, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { parseVote, placeToVote, tallyOf, voteKey, voteOf, voteValue } from "../../replicator/core/votes.ts";
import type { Tally } from "../../replicator/core/votes.ts";
import type { Place } from "../../replicator/core/succession.ts";
import { Given, SUCCEED, say } from "./succeeded.ts";

const PLACE = { logId: "log-cn", position: 2, checksum: 0 };

function vote(value: string): Command {
  return { kind: "set", key: voteKey("cn"), value, by: "node", reason: "lost" };
}

function placeOf(given: Given, logId: string, head: number, region: Region = "cn"): Place | undefined {
  return placeToVote(given.replica.folds, defined(given.replica.fold(region), region), { logId, head });
}

function tally(votes: Readonly<Record<Region, string>>): Tally {
  const given = new Given();
  for (const [region, value] of Object.entries(votes)) given.own(region, vote(`1 for us of ${value}`));
  return tallyOf(given.replica.folds, "cn", "us", 1);
}

describe("a vote", () => {
  it("is read as it is written, and has room in a setting, however large", () => {
    const text = "3 for us of Qm3xK9_-aZ at 812 sum deadbeef";
    expect(voteValue(defined(parseVote(text), text))).toBe(text);
    const place = { logId: "x".repeat(LIMITS.logIdBytesMax), position: 10 ** 15, checksum: 2 ** 32 - 1 };
    const largest = voteValue({ heir: "x".repeat(LIMITS.regionBytesMax), generation: 999_999_999, place });
    expect(largest.length).toBeLessThanOrEqual(LIMITS.settingValueBytesMax);
    expect(parseVote(largest)).toMatchObject({ place });
  });

  it.each(["", "3", "0 for us of L at 1 sum 0", "3 for us of L at 1", "3 for us"])("%j is none", (text) => {
    expect(parseVote(text)).toBeUndefined();
  });

  it("counts for the fence of that heir and generation alone", () => {
    const given = new Given();
    given.own("eu", vote("3 for us of log-cn at 2 sum 0"));
    const eu = defined(given.replica.fold("eu"), "eu");
    expect(voteOf(eu, "cn", "us", 3)).toEqual({ heir: "us", generation: 3, place: PLACE });
    expect([voteOf(eu, "cn", "us", 2), voteOf(eu, "cn", "eu", 3), voteOf(eu, "us", "us", 3)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("the place to vote for", () => {
  it("is where the fold stands, once it has all that the sealed copy has", () => {
    const given = new Given();
    expect([2, 1, 3].map((head) => placeOf(given, "log-cn", head))).toEqual([PLACE, PLACE, undefined]);
  });

  it("is none in another log than the copy's, or in none", () => {
    const given = new Given();
    expect(placeOf(given, "log-other", 1)).toBeUndefined();
    expect(placeOf(given, "", 0)).toEqual(PLACE);
    expect(placeOf(given, "", 0, "eu")).toBeUndefined();
  });

  it("does not wait for more of a log that was succeeded before", () => {
    const given = new Given();
    given.both("us", say("fence 1"));
    given.both("us", say(SUCCEED));
    given.both("us", say("yield 1"));
    expect(placeOf(given, "log-cn", 9)).toMatchObject({ logId: "log-us", position: 3 });
  });
});

describe("the tally", () => {
  it("waits for the heir's own vote, then for a majority of all regions", () => {
    expect(tally({})).toEqual({ kind: "waiting", missing: ["eu", "us"] });
    expect(tally({ eu: "log-cn at 2 sum 0" })).toEqual({ kind: "waiting", missing: ["us"] });
    expect(tally({ us: "log-cn at 2 sum 0" })).toEqual({ kind: "waiting", missing: ["eu"] });
  });

  it("is where the heir stands, though others are behind; the lost region's own word is none", () => {
    const decided = { kind: "decided", base: PLACE };
    expect(tally({ us: "log-cn at 2 sum 0", eu: "log-cn at 2 sum 0" })).toEqual(decided);
    expect(tally({ us: "log-cn at 2 sum 0", eu: "log-cn at 1 sum 7" })).toEqual(decided);
    expect(tally({ us: "log-cn at 2 sum 0", cn: "log-cn at 9 sum 0" }).kind).toBe("waiting");
  });

  it.each([
    ["log-cn at 3 sum 0", "us is behind: eu has 1 more frame, evacuate to eu"],
    ["log-cn at 4 sum 0", "us is behind: eu has 2 more frames, evacuate to eu"],
    ["log-cn at 2 sum 1", "eu has folded another log of cn than us"],
    ["log-old at 1 sum 0", "eu has folded another log of cn than us"],
  ])("goes against the heir where another says %j", (eu, why) => {
    expect(tally({ us: "log-cn at 2 sum 0", eu })).toEqual({ kind: "behind", why, base: PLACE });
  });
});
