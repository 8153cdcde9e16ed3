/**
 * A record below the user's epoch is of a log that had not heard of a move, or one that was given up as this replica has still to hear
 * (decisions/0013, 0014): when it counts beside the home's, and when what it says is past.
 */
import { describe, expect, it } from "vitest";
import type { Claim, Session } from "../../replicator/core/commands.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { exportReplica } from "../../replicator/core/transfer.ts";
import { imported } from "./observed.ts";
import { into } from "./into.ts";
import { REGIONS, accept, close, open, release, sessionOf } from "./samples.ts";

const S1 = open("ann", "s1", "cn");

function claim(count: number, sessions: readonly Session[]): Claim {
  const epoch = { generation: 0, count };
  return { kind: "claim", user: "ann", epoch, sessions, preferred: "automatic", untilMs: 0 };
}

function shown(of: Replica): string[] {
  return (of.view("ann")?.sessions ?? []).map(({ session }) => `${session.session} ${session.status}`);
}

describe("a replica", () => {
  it("that has still to hear that a record was given up does not show it beside the later claims", () => {
    const here = into(new Replica(REGIONS), "us", accept("cn", 0, 1, S1));
    into(here, "eu", accept("us", 0, 1, claim(2, [S1.session])));
    into(here, "eu", accept("cn", 0, 1, close("ann", "s1")), open("ann", "s2", "eu"), release("cn"));
    expect([here.winner("ann"), shown(here)]).toEqual([undefined, ["s2 online"]]);
    expect(here.view("ann")).toMatchObject({ home: "cn", epoch: { count: 3 }, version: 0 });
  });

  it("shows a record that was made late beside the home's, though it lags behind the log of that record", () => {
    const here = into(new Replica(REGIONS), "eu", open("ann", "s2", "eu"), release("us"));
    into(here, "us", accept("eu", 0, 1, claim(2, [sessionOf("s2", "eu")])));
    into(here, "eu", accept("cn", 0, 1, close("bob", "s9")));
    into(here, "cn", S1);
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    expect(shown(here)).toEqual(["s2 online", "s1 online"]);
    expect(here.online.totals).toEqual({ users: 1, sessions: 2 });
  });

  it("shows a record that was made late beside the home's, though it lags behind what that log has accepted", () => {
    const here = into(new Replica(REGIONS), "cn", open("ann", "s2", "cn"), release("eu"));
    into(here, "eu", accept("cn", 0, 1, claim(2, [sessionOf("s2")])));
    into(here, "us", open("ann", "s1", "us"), accept("cn", 0, 1, close("bob", "s9")));
    expect(here.view("ann")).toMatchObject({ home: "eu", epoch: { count: 2 } });
    expect(shown(here)).toEqual(["s2 online", "s1 online"]);
    expect(here.online.totals).toEqual({ users: 1, sessions: 2 });
  });

  it("that has still to hear of a move does not show what ended where the user went", () => {
    const ended = close("ann", "s1", "forced", "operator");
    const here = into(new Replica(REGIONS), "us", accept("cn", 0, 1, claim(2, [S1.session])), ended);
    expect(shown(into(here, "cn", S1))).toEqual([]);
    expect(shown(imported([...exportReplica(here)], REGIONS))).toEqual([]);
    expect(shown(into(here, "cn", release("us")))).toEqual([]);
    expect(here.provisional.ahead.export()).toEqual([]);
  });

  it("that has still to hear of two moves does not show what ended where the user went", () => {
    const ended = close("ann", "s1", "forced", "operator");
    const here = into(new Replica(REGIONS), "us", accept("eu", 0, 1, claim(3, [S1.session])), ended);
    expect(shown(into(here, "cn", S1))).toEqual([]);
    expect(shown(into(here, "eu", accept("cn", 0, 1, claim(2, [S1.session])), release("us")))).toEqual([]);
    expect(shown(into(here, "cn", release("eu")))).toEqual([]);
  });
});
