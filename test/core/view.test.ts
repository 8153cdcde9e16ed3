/** Views out of records and forwards, and where commands go: provisional overlay, double claims, relays. By scenario, on one replica. */
import { describe, expect, it } from "vitest";
import type { Command, Region, Session, UserCommand } from "../../replicator/core/commands.ts";
import { rank } from "../../replicator/core/homing.ts";
import { Provisional } from "../../replicator/core/provisional.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { REGIONS, accept, close, drop, forward, frame, open, prefer, sessionOf, update } from "./samples.ts";

/** Regions from the one that wins the user to the one that loses to all. */
const [BEST = "", MIDDLE = "", LEAST = ""] = REGIONS.toSorted((a, b) => rank("ann", b) - rank("ann", a));

function replica(): Replica {
  return new Replica(REGIONS.toSorted());
}

function fold(into: Replica, region: Region, ...commands: Command[]): Replica {
  expect(into.apply(region, (into.fold(region)?.position ?? 0) + 1, frame(region, ...commands))).toBe(
    "applied",
  );
  return into;
}

/** Sessions in view, those not processed by the home marked with a star. */
function shown(of: Replica, user = "ann"): string[] {
  return (of.view(user)?.sessions ?? []).map(
    ({ session, provisional }) => `${session.session}${provisional ? "*" : ""}`,
  );
}

function statusOf(of: Replica, session: string): Session["status"] | undefined {
  return of.view("ann")?.sessions.find((one) => one.session.session === session)?.session.status;
}

function phone(id: string, region: Region): Command & UserCommand {
  return open("ann", sessionOf(id, region, "phone"));
}

function replaced(of: Replica): string[] {
  return of.replaced("ann").map(({ session }) => session);
}

describe("a session that a forward replaces", () => {
  it("is told apart from one that is shown, or closed", () => {
    const here = fold(replica(), "cn", phone("s1", "cn"));
    expect(replaced(here)).toEqual([]);
    fold(here, "eu", forward("cn", phone("x", "eu")));
    expect([shown(here), replaced(here)]).toEqual([["x*"], ["s1"]]);
    fold(here, "us", forward("cn", close("ann", "s1")), forward("cn", prefer("ann", "busy")));
    expect([shown(here), replaced(here)]).toEqual([["x*"], []]);
  });

  it("is not what another forward brings back", () => {
    const here = fold(replica(), "cn", phone("s1", "us"));
    fold(here, "eu", forward("cn", phone("x", "eu")));
    fold(here, "us", forward("cn", phone("s1", "us")));
    expect([shown(here), replaced(here)]).toEqual([["s1"], ["x"]]);
  });
});

describe("a forward", () => {
  it("counts at once, and is provisional until the home has processed it", () => {
    const here = fold(replica(), "us", forward("cn", open("ann", "s1", "us")));
    expect(here.view("ann")).toMatchObject({ home: "cn", version: 0 });
    expect(shown(here)).toEqual(["s1*"]);
    fold(here, "cn", accept("us", 0, 1, open("ann", "s1", "us")));
    expect(here.view("ann")).toMatchObject({ home: "cn", version: 1 });
    expect(shown(here)).toEqual(["s1"]);
    expect(here.provisional.size).toBe(0);
  });

  it("whose acceptance is folded first never counts twice", () => {
    const here = fold(replica(), "cn", accept("us", 0, 1, open("ann", "s1", "us")), close("ann", "s1"));
    fold(here, "us", forward("cn", open("ann", "s1", "us")));
    expect(shown(here)).toEqual([]);
    expect(here.provisional.size).toBe(0);
  });

  it("settles exactly the ordinals up to the accepted one", () => {
    const here = fold(
      replica(),
      "us",
      ...["s1", "s2", "s3"].map((id) => forward("cn", open("ann", id, "us"))),
    );
    fold(here, "cn", accept("us", 0, 1, open("ann", "s1", "us")));
    expect(shown(here)).toEqual(["s1", "s2*", "s3*"]);
    fold(here, "cn", accept("us", 1, 2, open("ann", "s2", "us")));
    expect(shown(here)).toEqual(["s1", "s2", "s3*"]);
  });

  it("that was accepted under another lineage stays pending", () => {
    const here = fold(replica(), "us", forward("cn", open("ann", "s1", "us")));
    fold(here, "cn", { ...accept("us", 0, 1, open("ann", "s1", "us")), lineage: "older-log" });
    expect(here.provisional.size).toBe(1);
  });

  it("a forwarded update shows as provisional on a session of the record", () => {
    const here = fold(replica(), "cn", open("ann", "s1"));
    fold(here, "us", forward("cn", update("ann", "s1", "busy")));
    expect([shown(here), statusOf(here, "s1")]).toEqual([["s1*"], "busy"]);
  });

  it("a repeated open that changes nothing is not provisional", () => {
    const here = fold(replica(), "cn", open("ann", structuredClone(sessionOf("s1", "us"))));
    fold(here, "us", forward("cn", open("ann", structuredClone(sessionOf("s1", "us")))));
    expect(shown(here)).toEqual(["s1"]);
  });
});

describe("what a newer forward makes redundant", () => {
  const OPEN = open("ann", "s1", "us");
  const ON_DEVICE = open("ann", "s1", "us", "phone");
  it.each<[string, UserCommand, UserCommand, number]>([
    ["an open by an open of the session", OPEN, OPEN, 1],
    ["an open by one on another device: not", OPEN, ON_DEVICE, 2],
    ["an update by an open", update("ann", "s1", "busy"), OPEN, 1],
    ["an open by an update: not", OPEN, update("ann", "s1", "busy"), 2],
    ["an update by an update", update("ann", "s1", "busy"), update("ann", "s1", "away"), 1],
    ["an update by a close", update("ann", "s1", "busy"), close("ann", "s1"), 1],
    ["an open without a device by a close", OPEN, close("ann", "s1"), 1],
    ["an open on a device by a close: not, it may have replaced somebody", ON_DEVICE, close("ann", "s1"), 2],
    ["a close by an open: not", close("ann", "s1"), OPEN, 2],
    ["a preference by a preference", prefer("ann", "busy"), prefer("ann", "away"), 1],
    ["a preference by a session's command: not", prefer("ann", "busy"), OPEN, 2],
    ["of one session by another's: not", OPEN, open("ann", "s2", "us"), 2],
    ["of one user by another's: not", OPEN, open("bob", "s1", "us"), 2],
  ])("%s", (_rule, older, newer, left) => {
    const here = fold(replica(), "us", forward("cn", older), forward("cn", newer));
    expect(here.provisional.size).toBe(left);
    expect([...here.provisional.queue("us", "cn")].at(-1)).toMatchObject({ ordinal: 2, command: newer });
  });

  it("never that of another log", () => {
    const here = fold(replica(), "us", forward("cn", OPEN));
    expect(fold(here, "eu", forward("cn", OPEN)).provisional.size).toBe(2);
  });
});

function contested(): Replica {
  const here = fold(replica(), BEST, open("ann", "b", BEST));
  return fold(here, LEAST, open("ann", "l", LEAST));
}

describe("a double claim", () => {
  it("shows the union, and no session is lost as the loser gives it up and the winner takes it", () => {
    const here = contested();
    expect(shown(here)).toEqual(["b", "l"]);
    expect([...here.contested]).toEqual(["ann"]);
    fold(here, LEAST, drop("ann", BEST));
    expect([shown(here), here.contested.size]).toEqual([["b", "l*"], 0]);
    fold(here, BEST, accept(LEAST, 0, 1, open("ann", "l", LEAST)));
    expect(shown(here)).toEqual(["b", "l"]);
  });

  it("the loser's preference holds before it is given up as it does after: an invisible user stays so", () => {
    const here = fold(contested(), LEAST, prefer("ann", "invisible"));
    expect([here.view("ann")?.preferred, here.online.has("ann")]).toEqual(["invisible", false]);
    fold(here, LEAST, drop("ann", BEST));
    expect([here.view("ann")?.preferred, here.online.has("ann")]).toEqual(["invisible", false]);
  });

  it("a drop folded before the winner's claim leaves the sessions in view", () => {
    const here = fold(replica(), LEAST, open("ann", "l", LEAST), drop("ann", BEST));
    expect(shown(here)).toEqual(["l*"]);
    expect(here.view("ann")).toMatchObject({ home: BEST, version: 0 });
  });

  it("a close that is relayed stays behind its relayed open, so a closed session never shows again", () => {
    for (const third of REGIONS) {
      if (third === LEAST || third === BEST) continue;
      const opened = open("ann", "t", third, "phone");
      const here = fold(contested(), third, forward(LEAST, opened), forward(LEAST, close("ann", "t")));
      expect(shown(here)).toEqual(["b", "l"]);
      fold(here, LEAST, drop("ann", BEST));
      expect(shown(here)).toEqual(["b", "l*"]);
      fold(here, LEAST, accept(third, 0, 1, opened));
      expect(shown(here)).toEqual(["b", "l*"]);
    }
  });
});

describe("where a command goes", () => {
  const third = MIDDLE;

  it("nowhere yet, of a user that no log has spoken of", () => {
    expect(replica().route("cn", open("ann", "s1"))).toBeUndefined();
  });

  it("to the home", () => {
    expect(fold(replica(), BEST, open("ann", "b", BEST)).route(third, open("ann", "t", third))).toBe(BEST);
  });

  it("to where the session's open is still pending, though the home is another by now", () => {
    const here = fold(replica(), third, forward(LEAST, open("ann", "t", third)));
    fold(here, BEST, open("ann", "b", BEST));
    expect(here.view("ann")?.home).toBe(BEST);
    expect(here.route(third, close("ann", "t"))).toBe(LEAST);
  });

  it("to the loser that still has the session in its record, which carries it along", () => {
    const here = fold(replica(), BEST, open("ann", "b", BEST));
    fold(here, LEAST, open("ann", "l", LEAST));
    expect(here.route(LEAST, close("ann", "l"))).toBe(LEAST);
    expect(here.route(LEAST, open("ann", "new", LEAST))).toBe(BEST);
  });

  it("to the loser that has forwarded the session and not been heard", () => {
    const here = fold(replica(), LEAST, open("ann", "t", third), drop("ann", BEST));
    fold(here, BEST, open("ann", "b", BEST));
    expect(here.route(third, update("ann", "t", "busy"))).toBe(LEAST);
    fold(here, BEST, accept(LEAST, 0, 1, open("ann", "t", third)));
    expect(here.route(third, update("ann", "t", "busy"))).toBe(BEST);
  });

  it("to the home, though another region that gave nothing up has forwarded the session there", () => {
    const here = fold(replica(), BEST, open("ann", "b", BEST));
    fold(here, LEAST, forward(BEST, open("ann", "l", LEAST)));
    expect(here.route(third, close("ann", "l"))).toBe(BEST);
  });

  it("a new session goes the way of the one on the same device that it replaces", () => {
    const here = fold(replica(), LEAST, open("ann", "t", third, "phone"), drop("ann", BEST));
    fold(here, BEST, open("ann", "b", BEST));
    expect(here.route(third, open("ann", "t2", third, "phone"))).toBe(LEAST);
    expect(here.route(third, open("ann", "t2", third, "web"))).toBe(BEST);
  });

  it("a preference goes where one is set already", () => {
    const here = fold(replica(), LEAST, prefer("ann", "busy"));
    fold(here, BEST, open("ann", "b", BEST));
    expect(here.route(third, prefer("ann", "away"))).toBe(LEAST);
  });
});

describe("an overlay that was exported", () => {
  const OPEN = open("ann", "s1", "us");

  /** us sends a close to cn, then the session's open to eu, which has processed it while cn has not been heard of. */
  function exported(): Replica {
    const here = fold(replica(), "us", forward("cn", close("ann", "s1")), forward("eu", OPEN));
    return fold(here, "eu", accept("us", 0, 1, OPEN));
  }

  it("restored, keeps what is processed above what is pending, and lets go of both together", () => {
    const here = exported();
    const states = here.provisional.export();
    expect(states.map(({ pending, processed }) => [pending.to, processed])).toEqual([
      ["cn", false],
      ["eu", true],
    ]);
    const other = new Provisional();
    other.restore(states);
    expect([other.of("ann"), other.size]).toEqual([here.provisional.of("ann"), 1]);
    expect(other.settle("us", "cn", 1).map(({ user }) => user)).toEqual(["ann"]);
    expect([other.of("ann"), other.size]).toEqual([[], 0]);
  });

  it("a processed one that a newer makes redundant goes, and nothing that is pending with it", () => {
    const here = fold(exported(), "us", forward("cn", OPEN));
    expect(here.provisional.of("ann").map(({ ordinal, to }) => `${ordinal} ${to}`)).toEqual(["1 cn", "2 cn"]);
    expect([here.provisional.size, shown(here)]).toEqual([2, ["s1"]]);
  });
});

describe("a user whom no log has claimed", () => {
  it("is at home where the forwards go; of several regions, in the one that would win", () => {
    const here = fold(replica(), MIDDLE, forward(LEAST, open("ann", "s1", MIDDLE)));
    expect(here.view("ann")?.home).toBe(LEAST);
    fold(here, MIDDLE, forward(BEST, open("ann", "s2", MIDDLE)));
    expect(here.view("ann")?.home).toBe(BEST);
    fold(here, BEST, forward(LEAST, open("ann", "s3", BEST)));
    expect(here.view("ann")?.home).toBe(BEST);
  });
});
