/** Which log of a region counts, by what all logs say of who succeeds it. */
import { describe, expect, it } from "vitest";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { DEPUTY_KEY } from "../../replicator/core/deputy.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { Replica } from "../../replicator/core/replica.ts";
import {
  parseSuccession,
  sourceOf,
  stoodFor,
  successionOf,
  successionValue,
} from "../../replicator/core/succession.ts";
import type { Succession } from "../../replicator/core/succession.ts";
import { imported, partsOf } from "./observed.ts";
import { REGIONS, close, frame, open } from "./samples.ts";
import { Given, SUCCEED, forCn, say } from "./succeeded.ts";

describe("a decision", () => {
  const base = { logId: "Qm3xK9_-aZ", position: 812, checksum: 0xdead_beef };
  it.each<[string, Succession]>([
    ["fence 1", { phase: "fence", generation: 1, base: undefined, since: 0 }],
    ["succeed 2 of Qm3xK9_-aZ at 812 sum deadbeef", { phase: "succeed", generation: 2, base, since: 0 }],
    ["yield 3 of Qm3xK9_-aZ at 812 sum deadbeef since 9", { phase: "yield", generation: 3, base, since: 9 }],
    ["yield 3", { phase: "yield", generation: 3, base: undefined, since: 0 }],
  ])("%s is read as it is written", (text, succession) => {
    expect(parseSuccession(text)).toEqual(succession);
    expect(successionValue(succession)).toBe(text);
  });

  it.each([
    "",
    "fence",
    "fence 0",
    "fence 1 of L at 2 sum 0",
    "succeed 1",
    "succeed 1 of L at 2",
    "seize 1",
    "yield 1 ",
  ])("%j decides nothing", (text) => {
    expect(parseSuccession(text)).toBeUndefined();
  });

  it("has room in a setting, however large", () => {
    const largest = { logId: "x".repeat(LIMITS.logIdBytesMax), position: 10 ** 15, checksum: 2 ** 32 - 1 };
    const value = successionValue({
      phase: "succeed",
      generation: 999_999_999,
      base: largest,
      since: 2 ** 53 - 1,
    });
    expect(value.length).toBeLessThanOrEqual(LIMITS.settingValueBytesMax);
    expect(parseSuccession(value)).toBeDefined();
  });

  const order: [string, string, string | undefined][] = [
    ["", "fence 1", "fence 1"],
    ["", SUCCEED, undefined],
    ["", "yield 1", undefined],
    ["", "nonsense", undefined],
    ["fence 1", "fence 2", "fence 1"],
    ["fence 1", SUCCEED, `${SUCCEED} since 2`],
    ["fence 2", SUCCEED, "fence 2"],
    ["fence 1", "yield 1", "yield 1"],
    [`fence 1, ${SUCCEED}`, "succeed 1 of log-cn at 1 sum 0", `${SUCCEED} since 2`],
    [`fence 1, ${SUCCEED}`, "fence 2", `${SUCCEED} since 2`],
    [`fence 1, ${SUCCEED}`, "yield 1", `${SUCCEED.replace("succeed", "yield")} since 2`],
    ["fence 1, yield 1", "yield 1", "yield 1"],
    ["fence 1, yield 1", "fence 1", "yield 1"],
    ["fence 1, yield 1", "fence 2", "fence 2"],
  ];
  it.each(order)("after %j, %j leaves %j standing", (before, next, stands) => {
    const given = new Given();
    for (const value of before.split(", ").filter(Boolean)) given.own("us", say(value));
    given.own("us", say(next));
    expect(given.standing("us")).toBe(stands);
  });

  it("about the region itself, and a fold's own note, are for nobody to say", () => {
    const given = new Given();
    given.own("us", say("fence 1", "us"), {
      kind: "set",
      key: DEPUTY_KEY,
      value: "eu 1",
      by: "",
      reason: "",
    });
    expect(given.replica.fold("us")?.settings.size).toBe(0);
    expect(given.replica.refusals.get("misplaced")).toBe(2);
  });
});

describe("the log that counts", () => {
  it("is the region's own while nobody has more than fenced it", () => {
    const given = new Given();
    given.own("us", say("fence 1"));
    expect(successionOf(given.replica.folds, "cn")).toBeUndefined();
    expect(given.source()).toEqual({ kind: "log", of: "cn" });
    expect(given.own("cn", close("bob", "s2"))).toBe("applied");
  });

  it("is the region's own up to the place that the decision names", () => {
    const given = new Given();
    given.own("us", say("fence 1"));
    given.own("us", say("succeed 1 of log-cn at 3 sum 0"));
    expect(given.source()).toEqual({ kind: "log", of: "cn", through: 3 });
    const other = {
      ...frame("cn", { kind: "renewed", logId: "log-cn", position: 2, checksum: 0 }),
      logId: "L",
    };
    expect(given.replica.apply("cn", 1, other)).toBe("identity");
    expect(given.replica.apply("cn", 4, frame("cn"))).toBe("identity");
    expect(given.own("cn", close("bob", "s2"))).toBe("applied");
    expect(given.source()).toEqual({ kind: "log", of: "us", from: { logId: "log-us", position: 2 } });
    expect(given.own("cn", close("ann", "s1"))).toBe("identity");
  });

  it("is the heir's from the frame on that says so", () => {
    const given = new Given();
    given.own("us", say("fence 1"));
    expect(given.heirs(2, "us", say(SUCCEED))).toBe("authority");
    given.own("us", say(SUCCEED));
    expect(given.heirs(3, "us", say(SUCCEED))).toBe("identity");
    expect(given.heirs(1, "us", say("fence 1"))).toBe("identity");
    expect(given.heirs(2, "us", say(SUCCEED))).toBe("applied");
    expect(given.source()).toEqual({ kind: "log", of: "us" });
    expect(given.replica.fold("cn")).toMatchObject({ logId: "log-us", lineage: "log-cn", position: 2 });
    expect(given.heirs(1, "us", say("fence 1"))).toBe("duplicate");
    expect(given.heirs(4, "us")).toBe("gap");
    expect(given.own("cn", open("cleo", "s3"))).toBe("identity");
    expect(given.replica.apply("cn", 3, frame("eu"))).toBe("authority");
  });

  it.each([
    ["beyond the place", "succeed 1 of log-cn at 1 sum 0"],
    ["at another frame there", "succeed 1 of log-cn at 2 sum 7"],
    ["in another log", "succeed 1 of another at 2 sum 0"],
  ])("is another one than is folded for a replica that is %s", (_where, value) => {
    const given = new Given();
    given.own("us", say("fence 1"));
    given.own("us", say(value));
    expect(given.source()).toEqual({ kind: "astray" });
    expect(given.own("cn", close("ann", "s1"))).toBe("identity");
    expect(given.heirs(2, "us", say(value))).toBe("identity");
  });

  it("is of no matter to a replica that has heard of nothing of the region", () => {
    const given = new Given();
    const fresh = new Replica(REGIONS);
    fresh.apply("us", 1, frame("us", say("fence 1")));
    fresh.apply("us", 2, frame("us", say(SUCCEED)));
    expect(fresh.apply("cn", 1, frame("cn", open("ann", "s1")))).toBe("applied");
    expect(given.at("cn")).toBe(2);
  });

  it("leads nowhere from where the region's ended, once the heir's was begun again", () => {
    const given = new Given();
    given.own("us", say("fence 1"));
    given.own("us", say(SUCCEED));
    const again: Command = { kind: "renewed", logId: "log-us", position: 2, checksum: 0 };
    given.replica.apply("us", 1, { ...frame("us", again), logId: "log-us-2" });
    expect(given.source()).toEqual({ kind: "astray" });
  });

  it("of two heirs is that of the higher generation, then of the greater rank, whichever is heard first", () => {
    const orders: Region[][] = [
      ["us", "eu"],
      ["eu", "us"],
    ];
    const heirs = (generations: Record<Region, number>): Set<Region | undefined> => {
      const found = orders.map((order) => {
        const given = new Given();
        for (const heir of order) {
          const generation = generations[heir] ?? 0;
          given.own(heir, say(`fence ${generation}`));
          given.own(heir, say(`succeed ${generation} of log-cn at 2 sum 0`));
        }
        return successionOf(given.replica.folds, "cn")?.heir;
      });
      return new Set(found);
    };
    expect(heirs({ us: 2, eu: 1 })).toEqual(new Set(["us"]));
    expect(heirs({ us: 1, eu: 2 })).toEqual(new Set(["eu"]));
    expect(heirs({ us: 1, eu: 1 }).size).toBe(1);
  });

  it("is another one for who followed the heir that lost, or has followed none and stands beyond", () => {
    const winner = new Given();
    for (const heir of ["us", "eu"]) for (const value of ["fence 1", SUCCEED]) winner.own(heir, say(value));
    const heir = successionOf(winner.replica.folds, "cn")?.heir;
    const loser = heir === "us" ? "eu" : "us";
    const given = new Given();
    given.both(loser, say("fence 1"));
    expect(given.both(loser, say(SUCCEED))).toEqual(["applied", "applied"]);
    given.own(heir ?? "", say("fence 1"));
    given.own(heir ?? "", say(SUCCEED));
    expect(given.source()).toEqual({ kind: "astray" });
  });

  it("is told with who stands for the region, and whether the fold has gone over", () => {
    const given = new Given();
    const told = () => stoodFor(given.replica.folds);
    given.both("us", say("fence 1"));
    expect(told()).toEqual([]);
    given.own("us", say(SUCCEED));
    const one = { region: "cn", heir: "us", stands: true, isFollowed: false, isAstray: false };
    expect(told()).toEqual([one]);
    given.heirs(2, "us", say(SUCCEED));
    expect(told()).toEqual([{ ...one, isFollowed: true }]);
    given.both("us", say("yield 1"));
    expect(told()).toEqual([{ ...one, stands: false, isFollowed: true }]);
    const further = new Given();
    further.own("cn", open("cleo", "s3"));
    further.both("us", say("fence 1"));
    further.own("us", say(SUCCEED));
    expect(stoodFor(further.replica.folds)).toEqual([{ ...one, isAstray: true }]);
  });

  it("may be that of a second heir, where the first is lost too", () => {
    const given = new Given();
    given.both("us", say("fence 1"));
    given.both("us", say(SUCCEED));
    given.both("us", forCn(close("ann", "s1")));
    given.own("eu", say("fence 2"));
    given.own("eu", say("succeed 2 of log-us at 3 sum 0"));
    expect(given.heirs(2, "eu", say("succeed 2 of log-us at 3 sum 0"))).toBe("applied");
    expect(given.source()).toEqual({ kind: "log", of: "eu" });
    expect(given.heirs(3, "eu", forCn(close("bob", "s2")))).toBe("applied");
    expect(given.replica.view("bob")?.sessions).toEqual([]);
  });

  it("is the heir's for a fold that has more of it than the replica has folded of the heir's own", () => {
    const given = new Given();
    given.both("us", say("fence 1"));
    given.both("us", say(SUCCEED));
    const fresh = imported(partsOf(given.replica), REGIONS);
    const fold = fresh.fold("cn");
    const folds = new Replica(REGIONS).folds.filter(({ region }) => region !== "cn");
    expect(fold && sourceOf([...folds, fold], fold)).toEqual({ kind: "log", of: "us" });
  });
});
