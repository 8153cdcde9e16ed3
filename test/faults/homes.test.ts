/** The count of writers by which rows 19 and 20 are judged: that it tells two writers from one, and what is late from what is not. */
import { describe, expect, it } from "vitest";
import type { Claim, Command, Frame, Region, Release } from "../../replicator/core/commands.ts";
import { accept, close, drop, frame, open, update } from "../core/samples.ts";
import { homesIn } from "./homes.ts";

function claim(count: number): Claim {
  const epoch = { generation: 0, count };
  return { kind: "claim", user: "ann", epoch, sessions: [], preferred: "automatic", untilMs: 0 };
}

function release(to: Region): Release {
  return { kind: "release", user: "ann", to };
}

function told(logs: Record<Region, Command[]>) {
  const frames = Object.entries(logs).map(([region, commands]): [Region, Frame[]] => [
    region,
    [frame(region, ...commands)],
  ]);
  return homesIn(new Map(frames));
}

function sizes(logs: Record<Region, Command[]>): Record<string, number> {
  return Object.fromEntries([...told(logs).writers].map(([key, regions]) => [key, regions.size]));
}

describe("writers of a user's record", () => {
  it("a planned move has one writer per epoch, and the claim is founded", () => {
    const logs = {
      cn: [open("ann", "s1"), release("us")],
      us: [accept("cn", 0, 1, claim(2)), update("ann", "s1", "busy")],
    };
    expect(sizes(logs)).toEqual({ "ann 0.1": 1, "ann 0.2": 1 });
    expect(told(logs)).toMatchObject({ releases: 1, claims: 1, claimsUnfounded: 0, late: [] });
    expect(told(logs).homes.get("ann")).toEqual({ home: "us", epoch: [0, 2] });
  });

  it("two logs that claim the user at one epoch are two writers", () => {
    expect(sizes({ cn: [open("ann", "s1")], us: [open("ann", "s2")] })).toEqual({ "ann 0.1": 2 });
    const twice = {
      cn: [open("ann", "s1"), release("us")],
      eu: [accept("cn", 0, 1, claim(2))],
      us: [accept("cn", 0, 1, claim(2))],
    };
    expect(sizes(twice)).toMatchObject({ "ann 0.2": 2 });
    expect(told(twice).claimsUnfounded).toBe(1);
  });

  it("what stands behind the release in the old home's log is late and writes nothing", () => {
    const zombie = [update("ann", "s1", "busy"), close("ann", "s1"), release("eu"), drop("ann", "eu")];
    const { late, writers, homes } = told({
      cn: [open("ann", "s1"), release("us"), ...zombie],
      us: [accept("cn", 0, 1, claim(2))],
    });
    expect(late.map(({ kind }) => kind)).toEqual(["update", "close", "release", "drop"]);
    expect(writers.get("ann 0.1")).toEqual(new Set(["cn"]));
    expect(homes.get("ann")?.home).toBe("us");
  });

  it("an accept counts once, in its order, and a claim only above what is there", () => {
    const us = [
      accept("cn", 0, 1, claim(2)),
      accept("cn", 0, 1, claim(3)),
      accept("cn", 5, 6, claim(4)),
      accept("cn", 1, 2, claim(2)),
    ];
    const { claims, claimsUnfounded, homes } = told({ cn: [open("ann", "s1"), release("us")], us });
    expect({ claims, claimsUnfounded }).toEqual({ claims: 1, claimsUnfounded: 0 });
    expect(homes.get("ann")?.epoch).toEqual([0, 2]);
  });
});
