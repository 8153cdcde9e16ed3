/** What the fold of a lost region makes of the log of its heir, and of the log with which the region takes over again. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { deputyOf, writerOf } from "../../replicator/core/deputy.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { digestOf, imported, observed, partsOf } from "./observed.ts";
import { REGIONS, USERS, accept, close, forward, frame, logOf, open, prefer, says } from "./samples.ts";
import { Given, SUCCEED, forCn, say } from "./succeeded.ts";

const STEP = 2 ** 32;

function succeeded(): Given {
  const given = new Given();
  given.own("cn", forward("us", open("dan", "s4")));
  const value = "succeed 1 of log-cn at 3 sum 0";
  given.both("us", say("fence 1"));
  given.both("us", open("eve", "s5", "us"), forward("cn", open("cleo", "s3", "us")));
  given.both("us", say(value));
  return given;
}

function yielded(): Given {
  const given = new Given();
  given.both("us", say("fence 1"));
  given.both("us", say(SUCCEED));
  expect(given.both("us", say("yield 1"), forCn(close("ann", "s1")))).toEqual(["applied", "applied"]);
  return given;
}

describe("in the heir's log", () => {
  it("what is said for the region counts for it alone, and the rest for the heir alone", () => {
    const given = succeeded();
    const commands = [forCn(close("ann", "s1")), close("eve", "s5"), forCn(says("ann", "bob", "asked"))];
    expect(given.both("us", ...commands)).toEqual(["applied", "applied"]);
    expect(given.both("us", { kind: "deputed", region: "eu", command: close("bob", "s2") })).toEqual([
      "applied",
      "applied",
    ]);
    const { replica } = given;
    expect(replica.view("ann")).toMatchObject({ home: "cn", sessions: [] });
    expect(replica.view("bob")?.sessions).toHaveLength(1);
    expect(replica.view("eve")).toMatchObject({ home: "us", sessions: [] });
    expect(replica.fold("us")?.homed("ann")).toBeUndefined();
    expect(replica.friends.pairOf("ann", "bob").round).toBe(1);
  });

  it("the heir accepts what was forwarded to the region, and what the region forwarded", () => {
    const given = succeeded();
    expect([...given.replica.provisional.queue("us", "cn")]).toHaveLength(1);
    given.both(
      "us",
      forCn(accept("us", 0, 1, open("cleo", "s3", "us"))),
      accept("cn", 0, 1, open("dan", "s4")),
    );
    expect([...given.replica.provisional.queue("us", "cn")]).toHaveLength(0);
    expect([...given.replica.provisional.queue("cn", "us")]).toHaveLength(0);
    expect(given.replica.view("cleo")).toMatchObject({ home: "cn", sessions: [{ provisional: false }] });
  });

  it("versions and ordinals go on above all that the lost end can have used", () => {
    const given = succeeded();
    given.both("us", forCn({ kind: "release", user: "bob", to: "eu" }), forCn(prefer("ann", "busy")));
    expect(given.replica.fold("cn")?.homed("ann")?.version).toBe(STEP + 4);
    expect([...given.replica.provisional.queue("cn", "eu")].map(({ ordinal }) => ordinal)).toEqual([
      STEP + 1,
    ]);
  });

  it("a mark for the region is of the region's fold, and its digest is compared", () => {
    const given = succeeded();
    const compared: unknown[] = [];
    const listener = { ...given.replica.listener };
    given.replica.listener = { ...listener, compared: (...told) => void compared.push(told.slice(0, 3)) };
    given.both("us", forCn({ kind: "mark" }));
    const fold = given.replica.fold("cn");
    if (fold === undefined) throw new Error("cn");
    given.both("us", forCn({ kind: "digest", at: fold.version, sums: fold.sums() }));
    expect(compared).toEqual([["cn", STEP + 4, []]]);
  });

  it("a second succession of that generation changes nothing", () => {
    const given = succeeded();
    given.both("us", forCn(close("ann", "s1")));
    given.both(
      "us",
      say("succeed 1 of log-us at 4 sum 0"),
      say("nonsense"),
      say("fence 1", "eu"),
      say("yield 2"),
    );
    expect(given.standing("us")).toBe("succeed 1 of log-cn at 3 sum 0 since 3");
    expect(given.both("us", forCn(close("bob", "s2")))).toEqual(["applied", "applied"]);
    expect(given.replica.view("bob")?.sessions).toEqual([]);
  });

  it("a snapshot says whose log is folded, and equal positions are equal states", () => {
    const given = succeeded();
    const other = imported(partsOf(given.replica), REGIONS);
    for (const replica of [given.replica, other])
      for (const region of ["us", "cn"]) replica.apply(region, 4, frame("us", forCn(close("ann", "s1"))));
    expect(observed(other, USERS)).toBe(observed(given.replica, USERS));
    expect(other.folds.map(digestOf)).toEqual(given.replica.folds.map(digestOf));
    expect(other.fold("cn")).toMatchObject({ logId: "log-us", position: 4 });
  });

  it("where the heir's log is begun again, both folds go on", () => {
    const given = succeeded();
    const again: Command = { kind: "renewed", logId: "log-us", position: 3, checksum: 0 };
    const first = { ...frame("us", again), logId: "log-us-2" };
    expect(given.replica.apply("us", 1, first)).toBe("applied");
    expect(given.replica.apply("cn", 1, { ...frame("eu", again), logId: "log-us-2" })).toBe("authority");
    expect(given.replica.apply("cn", 1, first)).toBe("applied");
    const next = { ...frame("us", forCn(close("ann", "s1"))), logId: "log-us-2" };
    expect(given.replica.apply("cn", 2, next)).toBe("applied");
    expect(given.replica.fold("cn")?.version).toBe(2 * STEP + 2);
  });

  it("a log that the region begins by itself is not followed before the heir has yielded", () => {
    const given = succeeded();
    const begun: Command = { kind: "renewed", logId: "log-us", position: 3, checksum: 0 };
    expect(given.replica.apply("cn", 1, { ...frame("cn", begun), logId: "log-cn-2" })).toBe("identity");
    const { replica } = given;
    expect(replica.fold("cn")?.apply(1, { ...frame("cn", begun), logId: "log-cn-2" })).toBe("identity");
  });
});

describe("once the heir has yielded", () => {
  const begun: Command = { kind: "renewed", logId: "log-us", position: 3, checksum: 0 };
  const first = { ...frame("cn", begun), logId: "log-cn-2" };

  it("what it says for the region counts no more", () => {
    const given = yielded();
    expect(given.both("us", forCn(close("ann", "s1")))).toEqual(["applied", "authority"]);
    expect(given.heirs(3, "us", say("yield 1"))).toBe("duplicate");
    expect(given.replica.view("ann")?.sessions).toHaveLength(1);
    for (const command of [say("nonsense"), say("succeed 1 of log-us at 3 sum 0")])
      expect(given.replica.fold("cn")?.apply(4, frame("us", command))).toBe("authority");
  });

  it("the region's own log goes on from there, and from nowhere else", () => {
    const given = yielded();
    expect(given.source()).toEqual({ kind: "log", of: "cn" });
    const elsewhere: Command = { ...begun, position: 2 };
    expect(given.replica.apply("cn", 1, { ...first, commands: [elsewhere] })).toBe("identity");
    expect(given.replica.apply("cn", 1, first)).toBe("applied");
    expect(given.replica.apply("cn", 2, { ...frame("cn", close("ann", "s1")), logId: "log-cn-2" })).toBe(
      "applied",
    );
    expect(given.replica.fold("cn")).toMatchObject({ lineage: "log-cn", version: 2 * STEP + 2 });
    expect(given.replica.view("ann")?.sessions).toEqual([]);
    const fold = given.replica.fold("cn");
    expect(fold && [deputyOf(fold), writerOf(fold)]).toEqual([
      { heir: "us", generation: 1, hasYielded: true },
      "cn",
    ]);
  });

  it("a replica that lags is led through all of it", () => {
    const given = new Given();
    for (const value of ["fence 1", SUCCEED, "yield 1"]) given.own("us", say(value));
    expect(given.source()).toEqual({ kind: "log", of: "us", from: { logId: "log-us", position: 2 } });
    expect(given.heirs(2, "us", say(SUCCEED))).toBe("applied");
    expect(given.heirs(3, "us", say("yield 1"))).toBe("applied");
    expect(given.replica.apply("cn", 1, first)).toBe("applied");
  });

  it("the region may be lost again, to the same heir", () => {
    const given = yielded();
    given.replica.apply("cn", 1, { ...first, checksum: 9 });
    given.own("us", say("fence 2"));
    given.own("us", say("succeed 2 of log-cn-2 at 1 sum 9"));
    expect(given.heirs(5, "us", say("succeed 2 of log-cn-2 at 1 sum 9"))).toBe("applied");
    expect(given.heirs(6, "us", forCn(close("ann", "s1")))).toBe("applied");
    expect(given.replica.view("ann")?.sessions).toEqual([]);
  });

  it("a fence that was given up leaves all as it was", () => {
    const given = new Given();
    for (const value of ["fence 1", "yield 1"]) given.both("us", say(value));
    expect(given.source()).toEqual({ kind: "log", of: "cn" });
    expect(given.own("cn", close("ann", "s1"))).toBe("applied");
  });

  it("there is room for the fold's note among 256 settings", () => {
    const given = new Given();
    for (let n = 1; n < LIMITS.settingsMax; n++)
      given.own("cn", { kind: "set", key: `k${n}`, value: "", by: "", reason: "" });
    given.both("us", say("fence 1"));
    const value = `succeed 1 of ${logOf("cn")} at ${given.at("cn")} sum 0`;
    expect(given.both("us", say(value))).toEqual(["applied", "applied"]);
    expect(given.replica.fold("cn")?.settings.size).toBe(LIMITS.settingsMax);
    expect(given.source()).toEqual({ kind: "log", of: "us" });
  });
});
