/**
 * What a log forwarded before it applied a command about the same thing for itself: the command takes its place, but for a close. A node
 * that had not folded the close may have sent the command, so the close's target still accepts it.
 */
import { describe, expect, it } from "vitest";
import type { UserCommand } from "../../replicator/core/commands.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { imported, observed, partsOf } from "./observed.ts";
import { REGIONS, USERS, accept, close, forward, frame, open, prefer, update } from "./samples.ts";

const NOW = { monoMs: 0, wallMs: 0 };
const S1 = open("ann", "s1", "us");
const CLOSE = close("ann", "s1");
const BUSY = update("ann", "s1", "busy");

/** us has ann with s1 and s2, and a node of us that does not know it forwards to eu and cn. */
function astray(...forwards: [to: string, command: UserCommand][]): Replica {
  const replica = new Replica(REGIONS);
  replica.apply("us", 1, frame("us", S1, open("ann", "s2", "us")));
  replica.apply("us", 2, frame("us", ...forwards.map(([to, one]) => forward(to, one))));
  return replica;
}

function queued(replica: Replica): UserCommand[] {
  return ["cn", "eu"].flatMap((to) => [...replica.provisional.queue("us", to)].map(({ command }) => command));
}

describe("a command of its own log", () => {
  const OPEN = open("ann", "s1", "us", "phone");
  it.each<[string, UserCommand, [to: string, command: UserCommand][], UserCommand[]]>([
    ["an update takes the place of an update", BUSY, [["eu", update("ann", "s1", "away")]], []],
    ["an update takes the place of an opening", BUSY, [["eu", OPEN]], []],
    ["a close takes the place of an opening", CLOSE, [["eu", OPEN]], []],
    [
      "a preference takes the place of a preference",
      prefer("ann", "busy"),
      [["eu", prefer("ann", "away")]],
      [],
    ],
    ["an opening takes the place of a close", S1, [["eu", CLOSE]], []],
    ["an update leaves a close to its target", BUSY, [["eu", CLOSE]], [CLOSE]],
    ["a close leaves a close to its target", CLOSE, [["eu", CLOSE]], [CLOSE]],
    [
      "an update takes the place of a close and an opening after it",
      BUSY,
      [
        ["eu", CLOSE],
        ["eu", OPEN],
      ],
      [],
    ],
    [
      "an update leaves a close after an opening",
      BUSY,
      [
        ["eu", OPEN],
        ["eu", CLOSE],
      ],
      [CLOSE],
    ],
    [
      "an update leaves a close where the opening went elsewhere",
      BUSY,
      [
        ["eu", CLOSE],
        ["cn", OPEN],
      ],
      [CLOSE],
    ],
    ["what is about another session takes no place", update("ann", "s2", "busy"), [["eu", CLOSE]], [CLOSE]],
  ])("%s", (_rule, command, sent, left) => {
    const replica = astray(...sent);
    replica.apply("us", 3, frame("us", command));
    expect(queued(replica)).toEqual(left);
  });

  it("leaves no close to a target that has processed it, though one to another is pending", () => {
    const replica = astray(["cn", CLOSE], ["eu", CLOSE]);
    replica.apply("eu", 1, frame("eu", accept("us", 0, 1, CLOSE)));
    expect(replica.provisional.underWay("ann")).toHaveLength(2);
    replica.apply("us", 3, frame("us", BUSY));
    expect(replica.provisional.underWay("ann")).toMatchObject([{ to: "cn", command: CLOSE }]);
    expect(replica.provisional.of("ann")).toEqual([]);
  });

  it("that overtakes a close stands over it until the close has gone its way, for every replica alike", () => {
    const replica = astray(["eu", CLOSE]);
    replica.apply("us", 3, frame("us", BUSY));
    expect(replica.provisional.of("ann")).toEqual([]);
    expect(replica.route("us", BUSY)).toBe("eu");
    const other = imported(partsOf(replica), REGIONS);
    for (const one of [replica, other]) {
      one.apply("eu", 1, frame("eu", accept("us", 0, 1, CLOSE)));
      expect([one.provisional.size, one.provisional.underWay("ann")]).toEqual([0, []]);
      expect(one.route("us", BUSY)).toBe("us");
    }
    const early = new Replica(REGIONS);
    early.apply("eu", 1, frame("eu", accept("us", 0, 1, CLOSE)));
    early.apply("us", 1, frame("us", S1, open("ann", "s2", "us")));
    early.apply("us", 2, frame("us", forward("eu", CLOSE)));
    early.apply("us", 3, frame("us", BUSY));
    for (const one of [other, early]) expect(observed(one, USERS)).toBe(observed(replica, USERS));
  });

  it("leaves nothing of a close that its target has processed, and that only an older opening kept", () => {
    const replica = astray(["eu", open("ann", "s1", "us", "phone")], ["cn", CLOSE]);
    replica.apply("cn", 1, frame("cn", accept("us", 0, 1, CLOSE)));
    expect(replica.provisional.of("ann").map(({ command }) => command.kind)).toEqual(["open", "close"]);
    replica.apply("us", 3, frame("us", BUSY));
    expect([replica.provisional.underWay("ann"), queued(replica)]).toEqual([[], []]);
  });

  it("does not undo an acknowledged close: the region that the user went from sends it back", () => {
    const eu = new PresenceNode("eu", REGIONS);
    const us = new Replica(REGIONS);
    const claim: UserCommand = {
      kind: "claim",
      user: "ann",
      epoch: { generation: 0, count: 2 },
      sessions: [S1.session],
      preferred: "automatic",
      untilMs: 0,
    };
    const tell = (region: string, position: number, ...commands: Parameters<typeof frame>[1][]): void => {
      us.apply(region, position, frame(region, ...commands));
      eu.step({ kind: "frame", region, position, frame: frame(region, ...commands) }, NOW);
    };
    tell("eu", 1, S1, { kind: "release", user: "ann", to: "us" });
    tell("us", 1, accept("eu", 0, 1, claim));
    tell("us", 2, forward("eu", CLOSE));
    tell("us", 3, BUSY);
    const appended = eu
      .step({ kind: "caught-up" }, NOW)
      .flatMap((effect) => (effect.kind === "append" ? effect.commands : []));
    const given = appended.filter(({ kind }) => kind === "accept");
    expect(given).toEqual([accept("us", 0, 1, CLOSE)]);
    tell("eu", 2, ...given);
    tell("us", 4, accept("eu", 1, 2, CLOSE));
    expect(us.view("ann")?.sessions).toEqual([]);
    expect(us.provisional.size).toBe(0);
  });
});
