/**
 * What a replica leaves out of its view and cannot say to be over (decisions/0022): eu had given ann to us, and cn, which had not heard of her,
 * logged s1; or cn had given her up to there, and s1 ended since.
 */
import { describe, expect, it } from "vitest";
import type { Claim, Session } from "../../replicator/core/commands.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { exportReplica } from "../../replicator/core/transfer.ts";
import type { View } from "../../replicator/core/view.ts";
import { into } from "./into.ts";
import { imported } from "./observed.ts";
import { REGIONS, accept, close, forward, open, prefer, release, sessionOf, update } from "./samples.ts";

const S1 = open("ann", "s1", "cn");
const S2 = open("ann", "s2", "eu");

function claim(count: number, ...sessions: Session[]): Claim {
  const epoch = { generation: 0, count };
  return { kind: "claim", user: "ann", epoch, sessions, preferred: "automatic", untilMs: 0 };
}

function seen(of: Replica): { readonly shown: string[]; readonly unsure: View["unsure"] } {
  const { sessions = [], unsure } = of.view("ann") ?? {};
  return { shown: sessions.map(({ session }) => session.session), unsure };
}

/** It has heard that us took ann over, and not that eu gave her. */
function beforeTheGiving(): Replica {
  return into(new Replica(REGIONS), "us", accept("eu", 0, 1, claim(2, S2.session)));
}

describe("a replica that has still to hear of a giving", () => {
  it("is unsure of a record made late, until it has heard of it", () => {
    const here = into(beforeTheGiving(), "cn", S1);
    const unsure = { sessions: [S1.session], logs: ["eu"], invisible: false };
    expect(seen(here)).toEqual({ shown: ["s2"], unsure });
    expect([...here.disputed()]).toEqual(["ann"]);
    expect(seen(imported([...exportReplica(here)], REGIONS))).toEqual({ shown: ["s2"], unsure });
    into(here, "eu", S2, release("us"));
    expect(seen(here)).toEqual({ shown: ["s2", "s1"], unsure: undefined });
  });

  it("is sure of who is in one log alone, and of what the view shows", () => {
    const here = into(beforeTheGiving(), "cn", open("ann", sessionOf("s2", "eu")), open("bob", "s9"));
    expect(seen(here)).toEqual({ shown: ["s2"], unsure: undefined });
    expect(here.view("bob")?.unsure).toBeUndefined();
  });

  it("is sure of what is ended on the way, and of what is known to have gone on", () => {
    const closed = into(into(beforeTheGiving(), "cn", S1), "cn", forward("us", close("ann", "s1")));
    expect(seen(closed)).toEqual({ shown: ["s2"], unsure: undefined });
    const gone = into(into(beforeTheGiving(), "cn", S2), "us", accept("cn", 0, 1, S2));
    expect(seen(into(gone, "us", close("ann", "s2")))).toEqual({ shown: [], unsure: undefined });
  });

  it("says where a record that it is unsure of makes the user invisible", () => {
    const here = into(beforeTheGiving(), "cn", S1, prefer("ann", "invisible"));
    expect(seen(here).unsure).toEqual({ sessions: [S1.session], logs: ["eu"], invisible: true });
  });

  it("names the log that has processed what no log here has sent, where all have begun", () => {
    const here = into(new Replica(REGIONS), "us", { ...accept("eu", 0, 1, claim(2)), lineage: "another" });
    expect(seen(into(here, "cn", S1)).unsure?.logs).toEqual(["eu"]);
    expect(seen(into(here, "eu", open("bob", "s9", "eu"))).unsure?.logs).toEqual(["us"]);
  });
});

describe("a record below the epoch at which a log gave the user up", () => {
  it("is what a replica is unsure of until it hears of the home, though it lags behind nothing", () => {
    const here = into(new Replica(REGIONS), "eu", S2, release("us"));
    into(here, "us", accept("eu", 0, 1, claim(2, S2.session)), release("eu"));
    into(here, "cn", S1);
    const unsure = { sessions: [S1.session], logs: ["eu"], invisible: false };
    expect([here.winner("ann"), seen(here)]).toEqual([undefined, { shown: ["s2"], unsure }]);
    into(here, "eu", accept("us", 0, 1, claim(3, S2.session)));
    expect(seen(here)).toEqual({ shown: ["s2", "s1"], unsure: undefined });
  });

  it("is past where it is of another generation", () => {
    const here = into(new Replica(REGIONS), "cn", S1);
    const later = { ...claim(1), epoch: { generation: 1, count: 1 } };
    into(here, "us", later, release("eu"));
    expect(seen(here)).toEqual({ shown: [], unsure: undefined });
  });
});

describe("what a log carried along and may have in its record", () => {
  it("is what a replica is unsure of where it lags behind a log between", () => {
    const here = into(new Replica(REGIONS), "cn", open("bob", "s9"));
    into(here, "us", open("ann", "s0", "us"), forward("cn", S1));
    into(here, "us", forward("cn", update("ann", "s1", "busy")));
    expect(seen(here)).toEqual({ shown: ["s0", "s1"], unsure: undefined });
    into(here, "us", accept("eu", 0, 1, close("bob", "s9")));
    const unsure = { sessions: [S1.session], logs: ["eu"], invisible: false };
    expect(seen(here)).toEqual({ shown: ["s0"], unsure });
    expect([...here.disputed()]).toEqual(["ann"]);
    into(here, "eu", forward("us", close("bob", "s9")));
    expect(seen(here)).toEqual({ shown: ["s0", "s1"], unsure: undefined });
  });
});
