/** What a sealed copy takes, which seal stands, and what it is sealed with by what the logs say. */
import { describe, expect, it } from "vitest";
import { forbids, laterOf, mayBegin, parseSeal, sealOf, sealValue } from "../../replicator/core/seal.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import { rank } from "../../replicator/core/homing.ts";
import { defined } from "../../replicator/core/assert.ts";
import { Given, SUCCEED, say } from "./succeeded.ts";

const FENCE = "us fence 1";
const SUCCEEDED = "us succeed 1 of L at 5 sum a";
const YIELDED = "us yield 1 of L at 5 sum a";

function seal(text: string): Seal {
  return defined(parseSeal(text), text);
}

/** Of logs L and M. */
function begins(text: string): string[] {
  return ["L", "M"].filter((logId) => mayBegin(parseSeal(text), logId));
}

describe("a seal", () => {
  it.each([FENCE, SUCCEEDED, YIELDED, "us yield 1"])("%s is read as it is written", (text) => {
    expect(sealValue(seal(text))).toBe(text);
  });

  it.each(["", "us", "us fence", "US fence 1", "us cede 1"])("%j is none", (text) => {
    expect(parseSeal(text)).toBeUndefined();
  });

  it.each([
    ["", "L 5, L 6, M 1"],
    [FENCE, ""],
    [SUCCEEDED, "L 5"],
    [YIELDED, "L 5, M 1"],
    ["us yield 1", "L 5, L 6, M 1"],
  ])("%j: of L 5, L 6 and M 1 the copy takes %j", (text, taken) => {
    const places = [["L", 5] as const, ["L", 6] as const, ["M", 1] as const];
    const takes = places.filter(([logId, at]) => forbids(parseSeal(text), logId, at) === "");
    expect(takes.map((place) => place.join(" ")).join(", ")).toBe(taken);
  });

  it("lets a snapshot take the copy's place only of a log of which all is taken", () => {
    expect(["", FENCE, SUCCEEDED, YIELDED, "us yield 1"].map(begins)).toEqual([
      ["L", "M"],
      [],
      [],
      ["M"],
      ["L", "M"],
    ]);
  });

  const [lower, higher] = ["eu", "us"].toSorted((a, b) => rank("cn", a) - rank("cn", b));
  it.each([
    [FENCE, SUCCEEDED, SUCCEEDED],
    [SUCCEEDED, FENCE, SUCCEEDED],
    [SUCCEEDED, YIELDED, YIELDED],
    [FENCE, "us yield 1", "us yield 1"],
    ["us yield 1", FENCE, "us yield 1"],
    [YIELDED, "eu fence 2", "eu fence 2"],
    ["eu fence 2", YIELDED, "eu fence 2"],
    [`${lower} yield 1`, `${higher} fence 1`, `${higher} fence 1`],
    [`${higher} fence 1`, `${lower} yield 1`, `${higher} fence 1`],
  ])("after %j, %j leaves %j standing", (before, next, stands) => {
    expect(sealValue(laterOf("cn", seal(next), seal(before)))).toBe(stands);
  });

  it("is the latest decision of all logs but the region's own, if there is one", () => {
    const given = new Given();
    const now = (): string | undefined => {
      const one = sealOf(given.replica.folds, "cn");
      return one && sealValue(one);
    };
    expect(now()).toBeUndefined();
    given.own("us", say("fence 1"));
    expect(now()).toBe("us fence 1");
    given.own("us", say(SUCCEED));
    expect(now()).toBe(`us ${SUCCEED} since 2`);
    given.own("eu", say("fence 2"));
    given.own("cn", say("fence 9", "eu"));
    expect(now()).toBe("eu fence 2");
    expect(sealOf(given.replica.folds, "us")).toBeUndefined();
  });
});
