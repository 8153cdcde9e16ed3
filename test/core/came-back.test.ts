/** What a log accepts again from where it sent it is over (decisions/0015): it is shown no more, and its target accepts it all the same. */
import { describe, expect, it } from "vitest";
import type { Accept, UserCommand } from "../../replicator/core/commands.ts";
import { composed } from "../../replicator/core/compose.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { imported, observed, partsOf } from "./observed.ts";
import { REGIONS, USERS, accept, close, forward, frame, open, prefer, update } from "./samples.ts";

const S1 = open("ann", "s1", "us");

/** us has forwarded to cn and cn has not been heard; ann has a record in us already. */
function lagging(...forwards: UserCommand[]): Replica {
  const replica = new Replica(REGIONS);
  const own = frame("us", open("ann", "s0", "us"), ...forwards.map((one) => forward("cn", one)));
  replica.apply("us", 1, own);
  return replica;
}

/** S1 comes back as it was sent, and an update that says the same again is one that cn has not processed. */
function twiceAlike(): Replica {
  const replica = lagging(S1, update("ann", "s1", "online"));
  replica.apply("cn", 1, frame("cn", accept("us", 0, 1, S1)));
  replica.apply("us", 2, frame("us", accept("cn", 0, 1, S1)));
  return replica;
}

function queued(replica: Replica): number[] {
  return [...replica.provisional.queue("us", "cn")].map(({ ordinal }) => ordinal);
}

describe("what comes back", () => {
  const CLAIM: UserCommand = {
    kind: "claim",
    user: "ann",
    epoch: { generation: 0, count: 2 },
    sessions: [S1.session],
    preferred: "automatic",
    untilMs: 0,
  };
  const BUSY = { ...S1.session, status: "busy" } as const;
  it.each<[string, UserCommand[], Accept, number[]]>([
    ["is over as it was sent, and older ones", [close("ann", "s1"), S1], accept("cn", 0, 1, S1), []],
    [
      "is over with the update that it was sent with",
      [S1, update("ann", "s1", "busy")],
      accept("cn", 0, 1, open("ann", BUSY)),
      [],
    ],
    ["leaves newer ones pending", [S1, update("ann", "s1", "busy")], accept("cn", 0, 1, S1), [2]],
    ["leaves pending what was sent otherwise", [S1], accept("cn", 0, 1, open("ann", BUSY)), [1]],
    [
      "in another state leaves it pending",
      [S1],
      accept("cn", 0, 1, open("ann", { ...S1.session, state: "x" })),
      [1],
    ],
    ["from another region leaves it pending", [S1], accept("eu", 0, 1, S1), [1]],
    [
      "leaves pending what is about other sessions and preferences",
      [open("ann", "s2", "us"), prefer("ann", "busy")],
      accept("cn", 0, 1, S1),
      [1, 2],
    ],
    ["leaves closes of it pending", [close("ann", "s1")], accept("cn", 0, 1, S1), [1]],
    ["leaves claims pending", [CLAIM], accept("cn", 0, 1, S1), [1]],
    ["in a claim is over too", [S1, open("ann", "s2", "us")], accept("cn", 0, 1, CLAIM), [2]],
    [
      "as an update is over as it was sent, and no opening",
      [S1, update("ann", "s1", "busy")],
      accept("cn", 0, 1, update("ann", "s1", "busy")),
      [1],
    ],
    [
      "as an update that says otherwise leaves all pending",
      [S1, update("ann", "s1", "busy")],
      accept("cn", 0, 1, update("ann", "s1", "away")),
      [1, 2],
    ],
    [
      "as an update leaves pending what is about other sessions",
      [update("ann", "s2", "busy")],
      accept("cn", 0, 1, update("ann", "s1", "busy")),
      [1],
    ],
    [
      "and is about no session leaves all pending",
      [prefer("ann", "busy")],
      accept("cn", 0, 1, prefer("ann", "busy")),
      [1],
    ],
  ])("%s", (_rule, sent, given, left) => {
    const replica = lagging(...sent);
    replica.apply("us", 2, frame("us", given));
    expect(replica.provisional.of("ann").map(({ ordinal }) => ordinal)).toEqual(left);
  });

  it("is over, and yet its target accepts it: nothing newer took its place", () => {
    const replica = twiceAlike();
    expect([replica.provisional.of("ann"), queued(replica)]).toEqual([[], [2]]);
    const other = imported(partsOf(replica), REGIONS);
    for (const one of [replica, other]) {
      expect(one.route("us", close("ann", "s1"))).toBe("cn");
      one.apply("cn", 2, frame("cn", accept("us", 1, 2, update("ann", "s1", "online"))));
      expect([one.provisional.size, one.provisional.underWay("ann")]).toEqual([0, []]);
      expect(one.route("us", close("ann", "s1"))).toBe("us");
    }
    expect(observed(other, USERS)).toBe(observed(replica, USERS));
  });

  it("is over, and left out where a newer one about the same thing follows or its own log speaks", () => {
    const replica = twiceAlike();
    replica.apply("us", 3, frame("us", forward("cn", update("ann", "s1", "busy"))));
    expect(queued(replica)).toEqual([3]);
    const other = twiceAlike();
    other.apply("us", 3, frame("us", update("ann", "s1", "busy")));
    expect([queued(other), other.provisional.underWay("ann")]).toEqual([[], []]);
  });

  it("was processed, and stays gone from a replica that is made of several", () => {
    const [behind, ahead] = [twiceAlike(), twiceAlike()];
    ahead.apply("cn", 2, frame("cn", accept("us", 1, 2, update("ann", "s1", "online"))));
    const made = [
      ...composed(
        new Map([
          ["cn", ahead],
          ["eu", ahead],
          ["us", behind],
        ]),
      ),
    ];
    expect(observed(imported(made, REGIONS), USERS)).toBe(observed(ahead, USERS));
  });

  it("goes from above what is pending elsewhere, though it was known to be processed", () => {
    const replica = new Replica(REGIONS);
    const sent = [forward("eu", close("ann", "s1")), forward("cn", S1)];
    replica.apply("us", 1, frame("us", open("ann", "s0", "us"), ...sent));
    replica.apply("cn", 1, frame("cn", accept("us", 0, 1, S1)));
    expect(replica.provisional.of("ann").map(({ to }) => to)).toEqual(["eu", "cn"]);
    replica.apply("us", 2, frame("us", accept("cn", 0, 1, S1)));
    expect(replica.provisional.of("ann").map(({ to }) => to)).toEqual(["eu"]);
  });
});
