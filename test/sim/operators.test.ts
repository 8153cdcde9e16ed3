/** Whether an operator asked for a move at all: who lives there already stays, and nothing is written. */
import { describe, expect, it } from "vitest";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { readLog } from "../core/model.ts";
import { REGIONS, close, drop, forward, frame, open } from "../core/samples.ts";
import { livesIn } from "./operators.ts";

/** In which regions ann lives, as the logs have it. */
function homes(said: Partial<Record<Region, Command[]>>): Region[] {
  const logs = REGIONS.map((region) => readLog(region, [[frame(region, ...(said[region] ?? []))]]));
  return REGIONS.filter((region) => livesIn(logs, "ann", region));
}

describe("a user lives", () => {
  it("where the record is, though no session is in view", () => {
    expect(homes({ cn: [open("ann", "s1")] })).toEqual(["cn"]);
    expect(homes({ cn: [open("ann", "s1"), close("ann", "s1")] })).toEqual(["cn"]);
  });

  it("nowhere else for what is on its way to another region, or has still to be dropped", () => {
    const ended = [open("ann", "s1"), close("ann", "s1")];
    expect(homes({ cn: ended, eu: [forward("us", open("ann", "s2", "eu"))] })).toEqual(["cn"]);
    const both = { cn: [open("ann", "s1")], us: [open("ann", "s2", "us")] };
    expect(homes(both)).toHaveLength(1);
    expect(homes({ ...both, cn: [open("ann", "s1"), drop("ann", "us")] })).toEqual(["us"]);
  });

  it("where forwards go while nobody has claimed the user", () => {
    expect(homes({ eu: [forward("us", open("ann", "s1", "eu"))] })).toEqual(["us"]);
    const ways = {
      eu: [forward("us", open("ann", "s1", "eu"))],
      us: [forward("cn", open("ann", "s2", "us"))],
    };
    expect(homes(ways).toSorted()).toEqual(["cn", "us"]);
  });

  it("nowhere of whom no log has spoken", () => {
    expect(homes({})).toEqual([]);
  });
});
