/** A planned move: release and claim in the fold, and what a replica shows meanwhile and on the way back. */
import { describe, expect, it } from "vitest";
import type { Claim, Command, Session, UserCommand } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { recorded } from "./recorded.ts";
import { into } from "./into.ts";
import {
  REGIONS,
  accept,
  close,
  drop,
  forward,
  open,
  prefer,
  release,
  sessionOf,
  update,
} from "./samples.ts";

function claim(count: number, sessions: readonly Session[] = [], given: Partial<Claim> = {}): Claim {
  const epoch = { generation: 0, count };
  return { kind: "claim", user: "ann", epoch, sessions, preferred: "automatic", untilMs: 0, ...given };
}

const BEFORE: Record<"nothing" | "a record" | "moved", Command[]> = {
  nothing: [],
  "a record": [open("ann", "s1")],
  moved: [open("ann", "s1"), drop("ann", "eu")],
};

describe("the table of commands", () => {
  const table: [Command, keyof typeof BEFORE, string[]][] = [
    [release("us"), "nothing", ["refused release: not-homed"]],
    [release("us"), "a record", ["forward 1 to us: claim at 2 of 1", "changed ann"]],
    [release("us"), "moved", ["refused release: not-homed"]],
    [release("cn"), "a record", ["refused release: not-homed"]],
    [claim(2), "nothing", ["appeared ann", "applied claim"]],
    [claim(2), "a record", ["changed ann", "applied claim"]],
    [claim(1), "a record", ["refused claim: lower-epoch"]],
    [claim(2), "moved", ["appeared ann", "applied claim"]],
    [claim(1), "moved", ["forward 2 to eu: claim at 1 of 0"]],
  ];

  it.each(table)("$kind, where the log holds %s: %j", (command, before, told) => {
    const { give } = recorded();
    for (const earlier of BEFORE[before]) give(earlier);
    expect(give(command)).toEqual(told);
  });

  it("a claim gives its epoch, and the user is at home again", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), release("us"));
    expect(fold.homed("ann")).toBeUndefined();
    give(accept("us", 0, 1, claim(3, [sessionOf("s1")])));
    expect(fold.homed("ann")).toMatchObject({ epoch: { count: 3 }, sessions: [sessionOf("s1")] });
  });

  it("a drop of a record that was given gives it on: it was meant for what was here before", () => {
    const { fold, give } = recorded();
    give(claim(2, [sessionOf("s1")]));
    expect(give(drop("ann", "us"))).toEqual(["forward 1 to us: claim at 3 of 1", "changed ann"]);
    expect(fold.table.get("ann")).toMatchObject({ movedTo: "us", epoch: { count: 2 } });
  });
});

describe("a claim where there is a record", () => {
  it("adds its sessions to those that are there, which stand against the same id and device", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), open("ann", "s2", "cn", "web"), update("ann", "s1", "busy"));
    const handed = [sessionOf("s1"), sessionOf("s3", "us", "web"), sessionOf("s4", "us")];
    expect(give(claim(2, handed))).toEqual(["changed ann", "applied claim ended s3 replaced s2"]);
    const { sessions } = fold.homed("ann") ?? {};
    expect(sessions?.map(({ session, status }) => `${session} ${status}`)).toEqual([
      "s1 busy",
      "s2 online",
      "s4 online",
    ]);
  });

  it("ends what is beyond the bound", () => {
    const { fold, give } = recorded();
    const handed = Array.from({ length: LIMITS.sessionsPerUserMax }, (_, n) => sessionOf(`h${n}`));
    give(open("ann", "s1"));
    expect(give(claim(2, handed))).toEqual(["changed ann", "applied claim ended h31 replaced"]);
    expect(fold.homed("ann")?.sessions).toHaveLength(LIMITS.sessionsPerUserMax);
  });

  it("gives a preference only where there is none", () => {
    const given: Partial<Claim> = { preferred: "busy", untilMs: 9 };
    const { fold, give } = recorded();
    give(open("ann", "s1"), claim(2, [], given));
    expect(fold.homed("ann")).toMatchObject({ preferred: "busy", preferredUntilMs: 9 });
    give(prefer("ann", "away"), claim(3, [], given));
    expect(fold.homed("ann")).toMatchObject({ preferred: "away", preferredUntilMs: 0 });
  });
});

function shown(of: Replica): string[] {
  return (of.view("ann")?.sessions ?? []).map(({ session }) => `${session.session} ${session.status}`);
}

describe("a replica", () => {
  const S1 = open("ann", "s1", "cn");
  const S2 = open("ann", "s2", "cn");

  it("shows a moving user without a gap, at the new home and epoch at once", () => {
    const here = into(new Replica(REGIONS), "cn", S1, release("us"));
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    expect(shown(here)).toEqual(["s1 online"]);
    into(here, "us", accept("cn", 0, 1, claim(2, [S1.session])));
    expect([shown(here), here.provisional.size]).toEqual([["s1 online"], 0]);
  });

  it("does not go back to the first epoch where a third region's login outruns the claim", () => {
    const elsewhere = open("ann", "s2", "eu");
    const here = into(new Replica(REGIONS), "cn", S1, release("us"));
    into(into(here, "eu", forward("us", elsewhere)), "us", accept("eu", 0, 1, elsewhere));
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    into(here, "us", accept("cn", 0, 1, claim(2, [S1.session])));
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    expect(shown(here).toSorted()).toEqual(["s1 online", "s2 online"]);
  });

  it("sends what is about a session that is on the move the same way, and what is new to the new home", () => {
    const here = into(new Replica(REGIONS), "cn", S1, release("us"));
    expect(here.route("eu", update("ann", "s1", "busy"))).toBe("cn");
    expect(here.route("eu", prefer("ann", "busy"))).toBe("us");
    const other = into(new Replica(REGIONS), "cn", S1, prefer("ann", "away"), release("us"));
    expect(other.route("eu", prefer("ann", "busy"))).toBe("cn");
  });

  it.each<[string, UserCommand, string[]]>([
    ["end", close("ann", "s1"), []],
    ["status", update("ann", "s1", "busy"), ["s1 busy"]],
  ])("that lags behind the new home shows a session's %s, sent there, above the claim", (_, word, told) => {
    // eu hands the session over to us; its region, cn, has seen it there.
    const here = into(new Replica(REGIONS), "eu", accept("cn", 0, 1, S1), release("us"));
    into(here, "cn", forward("eu", S1), forward("us", word));
    expect(shown(here)).toEqual(told);
  });

  it.each<[string, UserCommand, string[]]>([
    ["end", close("ann", "s1"), []],
    ["status", update("ann", "s1", "busy"), ["s1 busy"]],
  ])("that lags behind the new home shows a session's %s above what was relayed", (_, word, told) => {
    const here = into(new Replica(REGIONS), "eu", open("ann", "s2", "eu"), release("us"));
    into(here, "eu", accept("cn", 0, 1, S1));
    into(here, "cn", forward("eu", S1), forward("us", word));
    expect(shown(here).toSorted()).toEqual([...told, "s2 online"]);
  });

  it("that lags behind the region between shows a returned user as the record is", () => {
    const here = into(new Replica(REGIONS), "eu", accept("cn", 0, 1, S1), update("ann", "s1", "away"));
    into(here, "eu", drop("ann", "us"), accept("us", 0, 1, claim(2, [S1.session])));
    into(here, "eu", accept("cn", 1, 2, close("ann", "s1")));
    expect([here.provisional.of("ann").length, shown(here)]).toEqual([1, []]);
  });

  it("shows what a log gave up to a region that had given the user to it by then", () => {
    const here = into(new Replica(REGIONS), "eu", S1, release("us"));
    into(here, "cn", forward("us", open("ann", "s2", "cn")));
    into(here, "us", accept("cn", 0, 1, open("ann", "s2", "cn")), drop("ann", "eu"));
    into(here, "us", accept("eu", 0, 1, claim(2, [S1.session])));
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    expect(shown(here).toSorted()).toEqual(["s1 online", "s2 online"]);
  });

  it("that lags behind the region that gave the user shows what went back there after the user", () => {
    const here = into(new Replica(REGIONS), "eu", S1, release("us"));
    into(here, "cn", forward("us", S2), forward("us", update("ann", "s2", "busy")));
    into(here, "us", accept("cn", 0, 1, S2), drop("ann", "eu"));
    into(here, "us", accept("cn", 1, 2, update("ann", "s2", "busy")));
    into(here, "us", accept("eu", 0, 1, claim(2, [S1.session])), accept("eu", 1, 2, close("bob", "s9")));
    expect(here.provisional.mayHaveGone("eu", "us")).toBe(true);
    expect(shown(here)).toEqual(["s1 online", "s2 busy"]);
    expect(here.online.totals).toEqual({ users: 1, sessions: 2 });
    into(here, "us", accept("eu", 2, 3, S2), accept("eu", 3, 4, update("ann", "s2", "busy")));
    into(here, "cn", forward("us", update("ann", "s2", "away")));
    into(here, "us", accept("cn", 2, 3, update("ann", "s2", "away")));
    expect(shown(here)).toEqual(["s1 online", "s2 away"]);
  });

  it("that lags behind the region that gave the user back shows what was relayed there after the user", () => {
    const here = into(new Replica(REGIONS), "us", open("ann", "s1", "cn"), release("eu"));
    into(here, "eu", accept("us", 0, 1, claim(2, [S1.session])), release("us"));
    into(here, "cn", forward("us", S2));
    into(here, "us", accept("cn", 0, 1, S2), accept("eu", 0, 1, claim(3, [S1.session])));
    into(here, "us", accept("eu", 1, 2, close("bob", "s9")));
    expect(shown(here)).toEqual(["s1 online", "s2 online"]);
  });

  it("that lags behind what a region that gave the user has accepted since shows what went back there", () => {
    const here = into(new Replica(REGIONS), "eu", S1, release("cn"), accept("cn", 0, 1, close("bob", "s9")));
    into(here, "cn", forward("us", S2), accept("eu", 0, 1, claim(2, [S1.session])), release("us"));
    into(here, "us", accept("cn", 0, 1, S2), drop("ann", "eu"), accept("cn", 1, 2, claim(3, [S1.session])));
    expect(shown(here)).toEqual(["s1 online", "s2 online"]);
  });

  it("that lags behind what the giver has accepted shows as recorded what the giver had processed before", () => {
    const here = into(new Replica(REGIONS), "us", S2, forward("cn", close("ann", "s2", "forced")));
    into(here, "us", drop("ann", "eu"), accept("eu", 0, 1, claim(4, [S1.session])));
    // cn had the user between the two givings of eu, and s2 ended there.
    into(here, "eu", S1, accept("us", 0, 1, S2), release("cn"));
    into(here, "eu", accept("cn", 0, 1, claim(3, [S1.session])), release("us"));
    expect(here.provisional.of("ann").map(({ to }) => to)).toEqual(["cn", "eu"]);
    expect(shown(here)).toEqual(["s1 online"]);
  });

  it("shows again what was closed at the new home while its opening was on the way round, as its region is told", () => {
    const here = into(new Replica(REGIONS), "eu", S1, release("us"));
    into(here, "cn", forward("us", S2));
    into(here, "us", accept("cn", 0, 1, S2), drop("ann", "eu"), accept("eu", 0, 1, claim(2, [S1.session])));
    expect(here.route("cn", close("ann", "s2"))).toBe("us");
    into(here, "cn", forward("us", close("ann", "s2")));
    into(here, "us", accept("cn", 1, 2, close("ann", "s2")));
    into(here, "eu", accept("us", 0, 1, S2));
    const opened: string[] = [];
    here.listener = { ...here.listener, opened: (_user, { session }) => opened.push(session) };
    into(here, "us", accept("eu", 1, 2, S2));
    expect([shown(here), opened]).toEqual([["s1 online", "s2 online"], ["s2"]]);
  });

  it("that has heard of an earlier giving alone shows the record as it is", () => {
    const here = into(new Replica(REGIONS), "eu", S1, release("us"));
    into(here, "cn", forward("us", S2));
    into(here, "us", accept("eu", 0, 1, claim(2, [S1.session])), release("eu"), accept("cn", 0, 1, S2));
    // An operator of eu ended s2 before eu gave the user again.
    into(here, "us", accept("eu", 1, 2, claim(4, [S1.session])));
    expect(shown(here)).toEqual(["s1 online"]);
  });

  it("that lags behind the region that gave the user shows as recorded what that had by then", () => {
    const away = { ...S2.session, status: "away" } as const;
    const here = into(
      new Replica(REGIONS),
      "us",
      forward("cn", S2),
      forward("eu", update("ann", "s2", "busy")),
    );
    into(
      here,
      "eu",
      S1,
      S2,
      accept("us", 0, 1, update("ann", "s2", "busy")),
      open("ann", away),
      release("us"),
    );
    into(
      here,
      "us",
      accept("eu", 0, 1, claim(2, [S1.session, away])),
      accept("eu", 1, 2, close("bob", "s9")),
    );
    expect(here.provisional.of("ann")).toHaveLength(2);
    expect(shown(here)).toEqual(["s1 online", "s2 away"]);
  });

  it("that hears of the region between afterwards counts the sessions that it shows then", () => {
    const here = into(new Replica(REGIONS), "cn", forward("us", open("ann", "s2", "cn")));
    into(here, "us", accept("cn", 0, 1, open("ann", "s2", "cn")), drop("ann", "eu"));
    into(here, "us", accept("eu", 0, 1, claim(2, [S1.session])));
    expect([shown(here), here.online.totals]).toEqual([["s1 online"], { users: 1, sessions: 1 }]);
    into(here, "eu", S1, release("us"));
    expect(shown(here).toSorted()).toEqual(["s1 online", "s2 online"]);
    expect(here.online.totals).toEqual({ users: 1, sessions: 2 });
  });

  it("places a claim before what its own log has sent there already, and claims in their order", () => {
    const here = into(new Replica(REGIONS), "eu", forward("us", open("ann", "s1", "eu")));
    into(here, "eu", accept("cn", 0, 1, claim(2, [sessionOf("s1", "eu"), sessionOf("s2")])), release("us"));
    into(here, "eu", accept("cn", 1, 2, claim(2, [sessionOf("s3")])));
    expect(here.provisional.of("ann").map(({ command }) => command.kind)).toEqual(["open", "claim", "claim"]);
    expect(shown(here).toSorted()).toEqual(["s1 online", "s2 online", "s3 online"]);
  });

  it("forgets a claim of a log that got the user back at a higher epoch, and no other", () => {
    const here = into(new Replica(REGIONS), "eu", open("ann", "s1", "eu"), release("us"));
    into(here, "cn", forward("us", open("ann", "s2", "cn")));
    into(here, "eu", accept("us", 0, 1, claim(3, [sessionOf("s1", "eu")])));
    expect(here.provisional.of("ann").map(({ from }) => from)).toEqual(["cn"]);
  });

  it("places what is sent to a region that a claim brings the user back to right behind the claim", () => {
    const here = into(new Replica(REGIONS), "us", open("ann", "s1", "us"), release("cn"));
    into(here, "cn", accept("us", 0, 1, claim(2, [sessionOf("s1", "us")])), release("us"));
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 3 } });
    into(here, "eu", forward("us", open("ann", "s2", "eu")));
    expect(shown(here)).toEqual(["s1 online", "s2 online"]);
  });
});
