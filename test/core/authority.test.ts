/** Who may write a region's log, and begin it again, while another region stands for it. */
import { describe, expect, it } from "vitest";
import { changedFrom, deposed, laggard } from "../../replicator/core/authority.ts";
import type { Command } from "../../replicator/core/commands.ts";
import { frame, frameAt } from "./samples.ts";
import { Given, SUCCEED, say } from "./succeeded.ts";

/** us has decided to stand for cn; nothing of that is folded for cn yet. */
function decided(): Given {
  const given = new Given();
  given.own("us", say("fence 1"));
  given.own("us", say(SUCCEED));
  return given;
}

describe("a region", () => {
  it("writes its log while nobody has more than fenced it, and once the fence is given up", () => {
    const given = new Given();
    given.own("us", say("fence 1"));
    expect(deposed(given.replica.folds, "cn")).toBeUndefined();
    given.own("us", say("yield 1"));
    expect(deposed(given.replica.folds, "cn")).toBeUndefined();
  });

  it("writes nothing from when a succession is folded until all is folded that the heir says", () => {
    const given = decided();
    const { folds } = given.replica;
    expect(deposed(folds, "cn")).toMatchObject({ heir: "us", hasYielded: false });
    given.heirs(2, "us", say(SUCCEED));
    expect(deposed(folds, "cn")).toMatchObject({ heir: "us", hasYielded: false });
    given.replica.apply("us", given.at("us") + 1, frameAt(2_000_000, "us", say("yield 1")));
    expect(deposed(folds, "cn")).toEqual({ heir: "us", hasYielded: true, sinceMs: 2_000_000 });
    given.heirs(3, "us", say("yield 1"));
    expect(deposed(folds, "cn")).toBeUndefined();
  });

  it("that hears of a succession and its end at once writes nothing until it has folded what was said for it", () => {
    const given = decided();
    given.own("us", say("yield 1"));
    expect(deposed(given.replica.folds, "cn")).toMatchObject({ heir: "us", hasYielded: true });
  });

  it("writes nothing while its own fold alone knows of the heir", () => {
    const given = decided();
    given.heirs(2, "us", say(SUCCEED));
    given.replica.fold("us")?.settings.clear();
    expect(deposed(given.replica.folds, "cn")).toMatchObject({ heir: "us", hasYielded: false });
  });

  it("writes nothing where another heir counts than the one that it followed to the end", () => {
    const given = decided();
    given.heirs(2, "us", say(SUCCEED));
    given.both("us", say("yield 1"));
    given.own("eu", say("fence 2"));
    given.own("eu", say("succeed 2 of log-us at 3 sum 0"));
    expect(deposed(given.replica.folds, "cn")).toMatchObject({ heir: "eu", hasYielded: false });
  });
});

describe("a log that is written for others", () => {
  it("is begun again only from where they are folded as far", () => {
    const given = decided();
    const { folds } = given.replica;
    expect(laggard(folds, "us")).toBe("cn");
    given.heirs(2, "us", say(SUCCEED));
    expect(laggard(folds, "us")).toBeUndefined();
    given.own("us");
    expect(laggard(folds, "us")).toBe("cn");
    given.heirs(3, "us");
    expect(laggard(folds, "us")).toBeUndefined();
    expect(laggard(folds, "eu")).toBeUndefined();
  });

  it("has to be folded for them up to where it yields, and no further", () => {
    const given = decided();
    const { folds } = given.replica;
    given.heirs(2, "us", say(SUCCEED));
    given.own("us", say("yield 1"));
    given.own("us");
    expect(laggard(folds, "us")).toBe("cn");
    given.heirs(3, "us", say("yield 1"));
    expect(laggard(folds, "us")).toBeUndefined();
  });

  it("is not held up by who was succeeded again since", () => {
    const given = decided();
    const { folds } = given.replica;
    given.heirs(2, "us", say(SUCCEED));
    given.both("us", say("yield 1"));
    given.own("us");
    given.own("eu", say("fence 2"));
    given.own("eu", say("succeed 2 of log-us at 3 sum 0"));
    given.heirs(2, "eu", say("succeed 2 of log-us at 3 sum 0"));
    given.replica.fold("eu")?.settings.clear();
    expect(laggard(folds, "us")).toBeUndefined();
  });
});

describe("each change that the heir made of a record", () => {
  it("has a version from where it went on", () => {
    const given = decided();
    given.heirs(2, "us", say(SUCCEED));
    given.both("us", say("yield 1"));
    const { folds } = given.replica;
    const from = changedFrom(folds, "cn");
    expect(from).toBe(given.replica.fold("cn")?.base);
    expect(given.replica.fold("cn")?.homed("ann")?.version).toBeLessThan(from);
    expect(changedFrom(folds, "eu")).toBe(0);
  });

  it("also where the heir's log was begun again meanwhile", () => {
    const given = decided();
    given.heirs(2, "us", say(SUCCEED));
    const begun = { ...frame("us", renewedAt(2)), logId: "log-us-2" };
    given.replica.apply("us", 1, begun);
    given.replica.apply("cn", 1, begun);
    const { base = 0 } = given.replica.fold("cn") ?? {};
    const from = changedFrom(given.replica.folds, "cn");
    expect(from).toBeLessThan(base);
    expect(given.replica.fold("cn")?.homed("ann")?.version).toBeLessThan(from);
  });
});

function renewedAt(position: number): Command {
  return { kind: "renewed", logId: "log-us", position, checksum: 0 };
}
