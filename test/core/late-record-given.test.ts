/**
 * A record that a log made late, below the epoch of the user: eu had given the user to us, and cn, which had not heard of them, logged s1.
 */
import { describe, expect, it } from "vitest";
import type { Claim } from "../../replicator/core/commands.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { into } from "./into.ts";
import { REGIONS, accept, close, drop, open, release } from "./samples.ts";

const S1 = open("ann", "s1", "cn");
const S2 = open("ann", "s2", "eu");
/** Of s2, from eu to us. */
const GIVEN: Claim = {
  kind: "claim",
  user: "ann",
  epoch: { generation: 0, count: 2 },
  sessions: [S2.session],
  preferred: "automatic",
  untilMs: 0,
};

function shown(of: Replica): string[] {
  return (of.view("ann")?.sessions ?? []).map(({ session }) => session.session);
}

describe("a record made late", () => {
  it("is shown beside the home's by who lags behind the log that gave the user, and has folded the giving", () => {
    const here = into(new Replica(REGIONS), "eu", S2, release("us"));
    into(here, "us", accept("eu", 0, 1, GIVEN));
    into(here, "us", accept("eu", 1, 2, close("bob", "s9")));
    into(here, "cn", S1);
    expect(here.provisional.mayHaveGone("cn", "us", "cn")).toBe(true);
    expect(here.view("ann")).toMatchObject({ home: "us", epoch: { count: 2 } });
    expect(shown(here)).toEqual(["s2", "s1"]);
    expect(here.online.totals).toEqual({ users: 1, sessions: 2 });
  });

  it("does not show what the giver passed on and the home ended", () => {
    const here = into(new Replica(REGIONS), "eu", S2, release("us"));
    into(here, "cn", S1);
    into(here, "us", accept("eu", 0, 1, GIVEN), accept("eu", 1, 2, S1));
    into(here, "us", close("ann", "s1", "forced", "operator"));
    expect(shown(here)).toEqual(["s2"]);
    into(here, "cn", drop("ann", "eu"));
    into(here, "eu", accept("cn", 0, 1, S1));
    expect(shown(here)).toEqual(["s2"]);
  });

  it("is hidden from who has still to hear of the giving: it may have been given up before that", () => {
    const here = into(new Replica(REGIONS), "us", accept("eu", 0, 1, GIVEN));
    expect(shown(into(here, "cn", S1))).toEqual(["s2"]);
    expect(shown(into(here, "eu", S2, release("us")))).toEqual(["s2", "s1"]);
  });
});
