/** When a release is safe: a home gives a user away only where every region knows the record. */
import { describe, expect, it } from "vitest";
import type { Claim, Region, Session } from "../../replicator/core/commands.ts";
import { Bench } from "./node-bench.ts";
import { accept, forward, open, prefer, progress, release, sessionOf } from "./samples.ts";

function claim(count: number, sessions: readonly Session[] = [], given: Partial<Claim> = {}): Claim {
  const epoch = { generation: 0, count };
  return { kind: "claim", user: "ann", epoch, sessions, preferred: "automatic", untilMs: 0, ...given };
}

/** us and eu say how far they have folded the log of cn, and that of each other. */
function heard(bench: Bench, cn: number, other = 0): Bench {
  const peers = (region: Region) => [progress("cn", { position: cn }), progress(region, { position: other })];
  return bench
    .fold("us", { kind: "watermark", peers: peers("eu") })
    .fold("eu", { kind: "watermark", peers: peers("us") });
}
const home = (): Bench => new Bench().fold("cn", { kind: "mark" }).fold("cn", open("ann", "s1"));
// Position 1: the record of us; 2: released to cn.
const given = (): Bench =>
  new Bench()
    .fold("us", open("ann", "s1", "us"))
    .fold("us", release("cn"))
    .fold("cn", accept("us", 0, 1, claim(2, [sessionOf("s1", "us")])));

describe("a release is safe", () => {
  it("once every region has said that it folded the record", () => {
    expect(home().node.mayRelease("ann")).toBe(false);
    expect(heard(home(), 1).node.mayRelease("ann")).toBe(false);
    expect(heard(home(), 2).node.mayRelease("ann")).toBe(true);
  });

  it("not of a user who lives elsewhere, or nowhere", () => {
    const bench = heard(new Bench().fold("us", open("ann", "s1", "us")), 9, 9);
    expect([bench.node.mayRelease("ann"), bench.node.mayRelease("bob")]).toEqual([false, false]);
  });

  it("not while something about the user is on its way", () => {
    const bench = heard(home(), 2).fold("us", forward("cn", open("ann", "s2", "us")));
    expect(bench.node.mayRelease("ann")).toBe(false);
  });

  it("not while two regions claim the user", () => {
    expect(
      heard(home(), 2)
        .fold("us", open("ann", "s2", "us"))
        .node.mayRelease("ann"),
    ).toBe(false);
  });

  it("not before the node has caught up", () => {
    const bench = heard(new Bench(false).fold("cn", open("ann", "s1")), 9);
    expect(bench.node.mayRelease("ann")).toBe(false);
  });

  it("not while a region may still take the one that gave the user for the home", () => {
    expect(heard(given(), 1, 1).node.mayRelease("ann")).toBe(false);
    expect(heard(given(), 1, 2).node.mayRelease("ann")).toBe(true);
  });

  it("and the preference that is handed over ends at its time by the new home's clock", () => {
    const handed = claim(2, [], { preferred: "busy", untilMs: 1_000_000 + 12_000 });
    const bench = new Bench().fold("cn", accept("us", 0, 1, handed));
    expect(bench.tick(2_000).take("automatic")).toEqual([[prefer("ann", "automatic")]]);
  });
});
