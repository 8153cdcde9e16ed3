/** The state a link shows: from observed progress, with its reason and since when. */
import { describe, expect, it } from "vitest";
import { Bench, TICK } from "./link-bench.ts";

describe("the state shown", () => {
  it("is catching-up while more than 64 frames are missing, then live", () => {
    const bench = new Bench();
    bench.open(66);
    bench.entry(1);
    bench.appended(1);
    expect(bench.link.report()).toMatchObject({ state: "catching-up", reason: "65 frames behind" });
    bench.entry(2);
    bench.appended(2);
    expect(bench.link.report()).toMatchObject({ state: "live", reason: "" });
  });

  it("with nothing copied yet is not live, however near the end", () => {
    const bench = new Bench();
    bench.open(0);
    bench.give(TICK);
    expect(bench.state).toBe("catching-up");
  });

  it("turns stalled within 1 s of the last entry, and live again with the next", () => {
    const bench = new Bench();
    bench.open(1);
    bench.entry(1);
    bench.appended(1);
    bench.pass(750).give(TICK);
    expect(bench.state).toBe("live");
    bench.pass(50).give(TICK);
    expect(bench.link.report()).toMatchObject({ state: "stalled", reason: "nothing from us for 0.8 s" });
    bench.entry(2);
    bench.appended(2);
    expect(bench.state).toBe("live");
  });

  it("stays disconnected after an interruption until an entry comes", () => {
    const bench = new Bench();
    bench.open(2, 1);
    expect(bench.state).toBe("live");
    bench.entry(2);
    bench.give({ kind: "interrupted", detail: "connection lost" });
    for (let n = 0; n < 40; n++) {
      bench.pass(50).give(TICK);
      expect(bench.link.report()).toMatchObject({ state: "disconnected", reason: "connection lost" });
    }
    bench.appended(2);
    expect(bench.state).toBe("disconnected");
    bench.entry(3);
    bench.appended(3);
    expect(bench.state).toBe("live");
  });

  it("since is when it was entered, by wall clock; the reason may be renewed within", () => {
    const bench = new Bench();
    bench.open(300);
    const { sinceMs } = bench.link.report();
    expect(sinceMs).toBe(1_010_000);
    bench.pass(100).entry(1);
    bench.appended(1);
    expect(bench.link.report()).toMatchObject({ state: "catching-up", sinceMs, reason: "299 frames behind" });
    bench.pass(800).give(TICK);
    expect(bench.link.report()).toMatchObject({ state: "stalled", sinceMs: 1_010_900 });
  });

  it("the head is what the origin said last, and never goes back", () => {
    const bench = new Bench();
    bench.open(5);
    bench.give({ kind: "head", position: 90 });
    bench.give({ kind: "head", position: 7 });
    expect(bench.link.report().head).toBe(90);
  });
});
