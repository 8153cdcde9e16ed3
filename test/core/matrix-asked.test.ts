/** What the matrix answers to its node's service, one region at a time. */
import { describe, expect, it } from "vitest";
import { Replica } from "../../replicator/core/replica.ts";
import { Bench, WALL } from "./matrix-bench.ts";

describe("what the service asks", () => {
  const now = { monoMs: 10_000, wallMs: WALL };

  it("of its own region: no watermark's age, and no link", () => {
    const { matrix } = new Bench().node;
    expect(matrix.watermarkAgeMs("cn", now)).toBe(0);
    expect(matrix.linkState("cn", now)).toBeUndefined();
  });

  it("of a region that is none: never heard, and no link", () => {
    const { matrix } = new Bench().node;
    expect(matrix.watermarkAgeMs("zz", now)).toBe(Infinity);
    expect([matrix.linkState("zz", now), matrix.reported("zz")]).toEqual([undefined, undefined]);
    matrix.verified("zz", now);
  });

  it("of a peer: silent since its newest watermark, in the state of its link, as reported", () => {
    const bench = new Bench().report("us").watermark("us").pass(300);
    const { matrix } = bench.node;
    expect([matrix.silentMs("us", bench.now), matrix.linkState("us", bench.now)]).toEqual([300, "live"]);
    expect(matrix.reported("us")).toMatchObject({ origin: "us", state: "live" });
  });

  it("of a peer, when another replica took its place: silent since then, at most", () => {
    const bench = new Bench().report("us").watermark("us").pass(5_000);
    const { node } = bench;
    const replica = new Replica(node.replica.regions);
    expect([node.matrix.silentMs("us", bench.now), node.matrix.silentMs("eu", bench.now)]).toEqual([
      5_000,
      Infinity,
    ]);
    node.step({ kind: "adopt", replica }, bench.now);
    bench.pass(300);
    expect([node.matrix.silentMs("us", bench.now), node.matrix.silentMs("eu", bench.now)]).toEqual([
      300, 300,
    ]);
  });

  it("of a log whose digest was compared: since when it is known to be equal", () => {
    const bench = new Bench().report("us").watermark("us");
    expect(bench.row("us").verifiedMs).toBeNull();
    bench.node.matrix.verified("us", bench.pass(50).now);
    expect(bench.row("us").verifiedMs).toBe(bench.now.wallMs);
  });

  it("while a snapshot is loaded, every own row is snapshotting", () => {
    const bench = new Bench().report("us").watermark("us");
    bench.node.matrix.loading = "12 % of a snapshot is here";
    expect(bench.row("us")).toMatchObject({ state: "snapshotting", reason: "12 % of a snapshot is here" });
    bench.node.matrix.loading = "";
    expect(bench.row("us").state).toBe("live");
  });
});
