/** The origin × replica matrix: no false zero, stalled within a second, and what each row rests on. */
import { describe, expect, it } from "vitest";
import type { LinkState } from "../../replicator/core/commands.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import { Bench, WALL } from "./matrix-bench.ts";
import { REGIONS, frameAt, logOf, progress } from "./samples.ts";

describe("never heard", () => {
  it("every ordered pair has a row, and no figure of it is 0", () => {
    const rows = new Bench().node.matrix.rows({ monoMs: 10_000, wallMs: WALL });
    expect(rows.map(({ origin, replica }) => `${origin}>${replica}`).toSorted()).toEqual([
      "cn>eu",
      "cn>us",
      "eu>cn",
      "eu>us",
      "us>cn",
      "us>eu",
    ]);
    for (const row of rows) {
      expect(row).toMatchObject({
        eventsBehind: null,
        watermarkAgeMs: null,
        loopLagMs: null,
        visible: null,
        clock: null,
      });
    }
  });

  it("an own row is disconnected for want of a replicator; another's is unknown for want of a report", () => {
    const bench = new Bench();
    expect(bench.row("us")).toMatchObject({
      state: "disconnected",
      reason: "no replicator has reported yet",
      reportAgeMs: 0,
    });
    expect(bench.row("eu", "us")).toMatchObject({
      state: "unknown",
      reason: "no report from us yet",
      sinceMs: null,
      reportAgeMs: null,
    });
  });

  it("a live link without a watermark is stalled, and its age is no data", () => {
    expect(new Bench().report("us").row("us")).toMatchObject({
      state: "stalled",
      watermarkAgeMs: null,
      eventsBehind: 1,
    });
  });
});

describe("own rows", () => {
  it("frames that were there before the node started are no samples of visible lag", () => {
    const node = new PresenceNode("cn", REGIONS);
    const now = { monoMs: 10_000, wallMs: WALL };
    node.step({ kind: "frame", region: "us", position: 1, frame: frameAt(0, "us") }, now);
    expect(node.matrix.rows(now).every(({ visible }) => visible === null)).toBe(true);
  });

  it("reads 0 behind only when live and folded up to the head", () => {
    const bench = new Bench().report("us", { head: 3 }).watermark("us").watermark("us");
    expect(bench.row("us")).toMatchObject({ state: "live", eventsBehind: 1, watermarkAgeMs: 0, sinceMs: 77 });
    expect(bench.watermark("us").row("us")).toMatchObject({ state: "live", eventsBehind: 0 });
  });

  it("a claim rests on this region's own watermarks too, and on no peer's before its clock is known", () => {
    const node = new PresenceNode("cn", REGIONS);
    const now = { monoMs: 10_000, wallMs: WALL };
    const maxMs = (region: string, at = now): number => node.matrix.watermarkAgeMaxMs(region, at);
    expect([maxMs("cn"), maxMs("us"), maxMs("nowhere")]).toEqual([Infinity, Infinity, Infinity]);
    for (const region of ["cn", "us"]) {
      const frame = frameAt(WALL - 80, region, { kind: "watermark", peers: [] });
      node.step({ kind: "frame", region, position: 1, frame: { ...frame, commands: [] } }, now);
      expect(maxMs(region)).toBe(Infinity);
      node.step({ kind: "frame", region, position: 2, frame }, now);
    }
    expect(maxMs("us")).toBe(Infinity);
    expect(maxMs("cn", { monoMs: 10_300, wallMs: WALL })).toBe(380);
  });

  it("a head that the replicator has not reported yet is not below what is folded", () => {
    expect(new Bench().report("us", { head: 1 }).watermark("us").watermark("us").row("us").eventsBehind).toBe(
      0,
    );
  });

  it.each<LinkState>(["stalled", "disconnected", "blocked", "overrun"])(
    "out of contact (%s) 0 behind would be a guess: no data",
    (state) => {
      const bench = new Bench().report("us").watermark("us");
      bench.node.matrix.rows(bench.now);
      bench.report("us", { state, reason: "why", head: 1 });
      expect(bench.row("us")).toMatchObject({ state, reason: "why", sinceMs: 77, eventsBehind: null });
      expect(bench.report("us", { state, head: 6 }).row("us").eventsBehind).toBe(5);
    },
  );

  it("catching-up is contact: the difference stands", () => {
    const bench = new Bench().watermark("us").report("us", { state: "catching-up", head: 1 });
    expect(bench.row("us")).toMatchObject({ state: "catching-up", eventsBehind: 0 });
  });

  it("a stopped origin shows as stalled within 1 s, though its replicator reports live", () => {
    const bench = new Bench().report("us").watermark("us");
    const stoppedAt = bench.ms;
    while (bench.row("us").state === "live") bench.pass(50).report("us");
    expect(bench.ms - stoppedAt).toBeLessThanOrEqual(1_000);
    expect(bench.row("us")).toMatchObject({
      state: "stalled",
      reason: "no watermark of us folded for 0.8 s",
      sinceMs: WALL + bench.ms,
    });
  });

  it("a stopped replicator shows as disconnected within 1 s, though watermarks are still folded", () => {
    const bench = new Bench().report("us").watermark("us");
    const stoppedAt = bench.ms;
    while (bench.row("us").state === "live") bench.pass(50).watermark("us");
    expect(bench.ms - stoppedAt).toBeLessThanOrEqual(1_000);
    expect(bench.row("us").state).toBe("disconnected");
    expect(bench.row("us").reason).toContain("has not reported");
  });

  it("since stays while the state stays, and moves with it", () => {
    const bench = new Bench().report("us").watermark("us").pass(800).report("us");
    const { sinceMs } = bench.row("us");
    expect(sinceMs).toBe(WALL + 10_800);
    expect(bench.pass(100).report("us").row("us")).toMatchObject({ state: "stalled", sinceMs });
    expect(bench.watermark("us").row("us")).toMatchObject({ state: "live", sinceMs: 77 });
  });

  it("a frame that the fold refused blocks the row until the next is folded", () => {
    const bench = new Bench().report("us").watermark("us");
    bench.node.step({ kind: "frame", region: "us", position: 5, frame: frameAt(0, "us") }, bench.now);
    expect(bench.row("us")).toMatchObject({ state: "blocked", reason: "frame 5: gap", eventsBehind: null });
    expect(bench.watermark("us").row("us").state).toBe("live");
  });

  it("a watermark ages by the monotonic clock from when it was folded", () => {
    const bench = new Bench().report("us").watermark("us").pass(400);
    expect(bench.row("us").watermarkAgeMs).toBe(400);
    expect(bench.node.matrix.watermarkAgeMs("us", bench.now)).toBe(400);
    expect(bench.node.matrix.watermarkAgeMs("cn", bench.now)).toBe(0);
    expect(bench.node.matrix.watermarkAgeMs("nowhere", bench.now)).toBe(Number.POSITIVE_INFINITY);
  });

  it("the clock column is replica minus origin, whichever end this node is", () => {
    const bench = new Bench().report("us");
    // The peer's clock is 500 ms ahead; our watermark took 0 ms there and 0 ms back.
    const { wallMs } = bench.now;
    const echo = progress("cn", { watermarkMs: wallMs, heardMs: wallMs + 500 });
    const frame = frameAt(wallMs + 500, "us", { kind: "watermark", peers: [echo] });
    bench.node.step({ kind: "frame", region: "us", position: 1, frame }, bench.now);
    expect(bench.row("us", "cn").clock).toEqual({ offsetMs: -500, errorMs: 0 });
    expect(bench.row("cn", "us").clock).toEqual({ offsetMs: 500, errorMs: 0 });
    expect(bench.row("eu", "us").clock).toBeNull();
  });
});

describe("rows that others report", () => {
  const SAID = progress("eu", {
    position: 7,
    head: 9,
    watermarkMs: 5,
    heardMs: WALL + 9_900,
    state: "catching-up",
    reason: "2 frames behind",
    sinceMs: 33,
    visibleP50Ms: 12,
    visibleP99Ms: 40,
    visibleP999Ms: 90,
  });

  it("say what the replica's newest watermark says, with its age", () => {
    const bench = new Bench().watermark("us", [SAID]).pass(120);
    expect(bench.row("eu", "us")).toMatchObject({
      state: "catching-up",
      reason: "2 frames behind",
      sinceMs: 33,
      eventsBehind: 2,
      watermarkAgeMs: 220,
      visible: { p50: 12, p99: 40, p999: 90 },
      reportAgeMs: 120,
    });
  });

  it("turn unknown, without figures, once the replica is silent for 2 s", () => {
    const bench = new Bench().watermark("us", [SAID]).pass(2_000);
    expect(bench.row("eu", "us").state).toBe("catching-up");
    expect(bench.pass(1).row("eu", "us")).toMatchObject({
      state: "unknown",
      reason: "no report from us for 2.0 s",
      sinceMs: null,
      eventsBehind: null,
      watermarkAgeMs: null,
      visible: null,
      reportAgeMs: 2_001,
    });
  });

  it("what the replica has not measured is no data", () => {
    const bench = new Bench().watermark("us", [progress("eu")]);
    expect(bench.row("eu", "us")).toMatchObject({ watermarkAgeMs: null, visible: null });
  });

  it("a replica that does not speak of an origin is unknown about it", () => {
    expect(new Bench().watermark("us", []).row("eu", "us").state).toBe("unknown");
  });
});

describe("loop lag", () => {
  it("of our own log is our own measurement, and grows while no echo comes", () => {
    const bench = new Bench();
    bench.watermark("us", [progress("cn", { watermarkMs: WALL + 9_770, heardMs: WALL + 9_900 })]);
    expect(bench.row("cn", "us").loopLagMs).toBe(230);
    expect(bench.pass(700).row("cn", "us").loopLagMs).toBe(230);
    expect(bench.pass(300).row("cn", "us").loopLagMs).toBe(1_230);
  });

  it("of a peer's log is what the peer says, while it speaks", () => {
    const bench = new Bench().watermark("us", [
      progress("eu", { loopLagMs: 340 }),
      progress("cn", { loopLagMs: 90 }),
    ]);
    expect([bench.row("us", "eu").loopLagMs, bench.row("us", "cn").loopLagMs]).toEqual([340, 90]);
    expect(bench.pass(2_001).row("us", "eu").loopLagMs).toBeNull();
  });
});

describe("the order and the watermark", () => {
  it("the worst comes first", () => {
    const bench = new Bench().report("us").watermark("us").report("eu", { state: "blocked" }).watermark("eu");
    const states = bench.node.matrix.rows(bench.now).map(({ state }) => state);
    expect(states[0]).toBe("blocked");
    expect(states.at(-1)).toBe("live");
  });

  it("a watermark says of every peer what is folded, and -1 or 0 for what was never measured", () => {
    const bench = new Bench().report("us", { head: 8 }).watermark("us").pass(100);
    expect(bench.node.matrix.progress(bench.now)).toEqual([
      progress("eu", {
        logId: "",
        position: 0,
        head: 0,
        state: "disconnected",
        reason: "no replicator has reported yet",
        sinceMs: WALL + 10_000,
      }),
      progress("us", {
        logId: logOf("us"),
        position: 1,
        head: 8,
        watermarkMs: WALL + 10_000,
        heardMs: WALL + 10_000,
        sinceMs: 77,
      }),
    ]);
  });

  it("a reason in a watermark is bounded and printable", () => {
    const bench = new Bench().report("us", { state: "blocked", reason: `\u0007日本${"x".repeat(500)}` });
    expect(bench.node.matrix.progress(bench.now)[1]?.reason).toBe(`???${"x".repeat(197)}`);
  });

  it("a report about a region that is no peer is ignored", () => {
    const bench = new Bench().report("cn").report("nowhere");
    expect(bench.node.matrix.rows(bench.now)).toHaveLength(6);
  });
});
