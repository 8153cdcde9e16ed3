/** What the verdict concludes from the logs as they end: of an acknowledged move, that it came about, is under way, or was lost. */
import { describe, expect, it } from "vitest";
import type { Claim, Command, Region } from "../../replicator/core/commands.ts";
import { readLog } from "../core/model.ts";
import { REGIONS, accept, close, drop, frame, open, sessionOf } from "../core/samples.ts";
import { hasMoved } from "./final.ts";

/** Whether ann, who was to move from cn to us, has, as the logs have it. */
function annMoved(logs: Partial<Record<Region, Command[]>>): boolean {
  const read = REGIONS.map((region) => readLog(region, [[frame(region, ...(logs[region] ?? []))]]));
  return hasMoved(read, "ann", ["us"]);
}

const RELEASED: Command[] = [open("ann", "s1"), { kind: "release", user: "ann", to: "us" }];
const CLAIM: Claim = {
  kind: "claim",
  user: "ann",
  epoch: { generation: 0, count: 2 },
  sessions: [sessionOf("s1")],
  preferred: "automatic",
  untilMs: 0,
};

describe("an acknowledged move", () => {
  it("has come about where a claim brought the user home, there or further", () => {
    expect(annMoved({ cn: RELEASED, us: [accept("cn", 0, 1, CLAIM)] })).toBe(true);
    const further: Command[] = [accept("cn", 0, 1, CLAIM), { kind: "release", user: "ann", to: "eu" }];
    const arrived = accept("us", 0, 1, { ...CLAIM, epoch: { generation: 0, count: 3 } });
    expect(annMoved({ cn: RELEASED, us: further, eu: [arrived] })).toBe(true);
  });

  it("is not lost while its claim is on the way, first or further", () => {
    expect(annMoved({ cn: RELEASED })).toBe(true);
    const further: Command[] = [accept("cn", 0, 1, CLAIM), { kind: "release", user: "ann", to: "eu" }];
    expect(annMoved({ cn: RELEASED, us: further })).toBe(true);
  });

  it("has come about where the user was dropped to the very region before", () => {
    const dropped = [open("ann", "s1"), drop("ann", "us")];
    expect(annMoved({ cn: dropped, us: [open("ann", "s2", "us")] })).toBe(true);
  });

  it("is lost where the user lives on at home, and where the claim arrived and came to nothing", () => {
    expect(annMoved({ cn: [open("ann", "s1")] })).toBe(false);
    expect(annMoved({ cn: [open("ann", "s1"), drop("ann", "eu")], eu: [open("ann", "s2", "eu")] })).toBe(
      false,
    );
    expect(annMoved({ cn: RELEASED, us: [accept("cn", 0, 1, close("ann", "s1"))] })).toBe(false);
  });
});
