/** The lag formulas, in numbers worked out by hand: clock offset ± error, loop lag, age, commit→visible percentiles. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PeerLag, Window } from "../../replicator/core/lag.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { holds } from "./property.ts";
import { progress } from "./samples.ts";

/** Our clocks: monotonic time starts at 5,000, wall-clock time at 1,000,000. */
function at(ms: number): Now {
  return { monoMs: 5_000 + ms, wallMs: 1_000_000 + ms };
}

/** What a peer says of us: it folded our watermark of `watermarkMs` at `heardMs` of its own clock. */
function echo(watermarkMs: number, heardMs: number): ReturnType<typeof progress> {
  return progress("cn", { watermarkMs: 1_000_000 + watermarkMs, heardMs: 1_000_000 + heardMs });
}

describe("the clock offset", () => {
  it("is ((t1 − t0) + (t2 − t3)) / 2 ± ((t3 − t0) − (t2 − t1)) / 2", () => {
    const lag = new PeerLag();
    // 40 ms there, 100 ms at the peer, 60 ms back; the peer's clock is 1,000 ms ahead.
    lag.watermark(1_000_000 + 1_140, echo(0, 1_040), at(200));
    expect(lag.clock()).toEqual({ offsetMs: 990, errorMs: 50 });
  });

  it("the truth is within the error, whatever the delays and the skew", () => {
    const delay = fc.nat(5_000);
    holds(
      fc.property(
        delay,
        delay,
        delay,
        fc.integer({ min: -3_600_000, max: 3_600_000 }),
        (there, wait, back, skew) => {
          const lag = new PeerLag();
          lag.watermark(1_000_000 + there + wait + skew, echo(0, there + skew), at(there + wait + back));
          const { offsetMs, errorMs } = lag.clock() ?? { offsetMs: Number.NaN, errorMs: Number.NaN };
          expect(Math.abs(offsetMs - skew)).toBeLessThanOrEqual(errorMs);
          expect(errorMs).toBe((there + back) / 2);
        },
      ),
      500,
    );
  });

  it("of the last 16 estimates the one with the least error stands", () => {
    const lag = new PeerLag();
    lag.watermark(1_000_010, echo(0, 10), at(20));
    for (let n = 0; n < 15; n++) lag.watermark(1_000_400, echo(0, 400), at(800));
    expect(lag.clock()).toEqual({ offsetMs: 0, errorMs: 10 });
    lag.watermark(1_000_400, echo(0, 400), at(800));
    expect(lag.clock()).toEqual({ offsetMs: 0, errorMs: 400 });
  });

  it("bounds the age of the watermark from above, whatever the delays and the skew, and the drift since", () => {
    const ms = fc.nat(5_000);
    holds(
      fc.property(
        fc.array(fc.tuple(ms, ms, ms), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: -3_600_000, max: 3_600_000 }),
        fc.integer({ min: -1_000, max: 1_000 }),
        (trips, skew, ppm) => {
          const lag = new PeerLag();
          const there = (ourMs: number): number => ourMs * (1 + ppm / 1e6) + skew;
          let nowMs = 0;
          let newestMs = 0;
          for (const [out, wait, back] of trips) {
            newestMs = nowMs + out + wait;
            const heard = echo(nowMs, there(nowMs + out));
            nowMs = newestMs + back;
            lag.watermark(1_000_000 + there(newestMs), heard, at(nowMs));
          }
          const isMs = nowMs + 700 - newestMs;
          expect(lag.watermarkAgeMaxMs(at(nowMs + 700))).toBeGreaterThanOrEqual(isMs - 1e-3);
        },
      ),
      500,
    );
  });

  it("is unknown before the first echo", () => {
    const lag = new PeerLag();
    lag.watermark(1_000_000, undefined, at(0));
    lag.watermark(1_000_000, progress("cn", { watermarkMs: 0 }), at(0));
    expect(lag.clock()).toBeUndefined();
    expect(lag.watermarkAgeMaxMs(at(0))).toBe(Infinity);
  });
});

describe("loop lag", () => {
  it("is the time from our watermark until its echo, by our clock alone", () => {
    const lag = new PeerLag();
    lag.watermark(77, echo(0, 3_600_000), at(230));
    expect(lag.loopLagMs).toBe(230);
  });

  it("is -1 before the first echo, never 0", () => {
    const lag = new PeerLag();
    expect(lag.loopLagMs).toBe(-1);
    lag.watermark(1_000_000, undefined, at(0));
    expect(lag.loopLagMs).toBe(-1);
  });
});

describe("the age of a watermark", () => {
  it("is infinite before the first", () => {
    const lag = new PeerLag();
    expect(lag.watermarkAgeMs(at(0))).toBe(Number.POSITIVE_INFINITY);
    expect(lag.silentMs(at(0))).toBe(Number.POSITIVE_INFINITY);
  });

  it("is the silence since, plus what the watermark took to come, with the offset taken out", () => {
    const lag = new PeerLag();
    lag.watermark(1_000_000 + 1_140, echo(0, 1_040), at(200));
    // By an offset of 990 it was committed at 150 of our clock and took 50 ms.
    expect(lag.watermarkAgeMs(at(200))).toBe(50);
    expect(lag.watermarkAgeMs(at(1_200))).toBe(1_050);
    expect(lag.silentMs(at(1_200))).toBe(1_000);
  });

  it("counts the silence by the monotonic clock: a wall clock set back or forth changes nothing", () => {
    const lag = new PeerLag();
    lag.watermark(1_000_000, undefined, at(0));
    for (const wallMs of [0, 9_000_000]) expect(lag.watermarkAgeMs({ monoMs: 5_300, wallMs })).toBe(300);
  });
});

describe("commit→visible", () => {
  it("is taken from the commit by the peer's clock, and never negative", () => {
    const lag = new PeerLag();
    lag.watermark(1_000_000 + 1_140, echo(0, 1_040), at(200));
    lag.frame(1_000_000 + 1_200, at(300));
    expect(lag.visible()).toEqual({ p50: 90, p99: 90, p999: 90 });
    lag.frame(9_000_000, at(300));
    expect(lag.visible()?.p50).toBe(0);
  });

  it("is unknown before the first frame", () => {
    expect(new PeerLag().visible()).toBeUndefined();
  });

  it("percentiles are nearest-rank", () => {
    const window = new Window();
    for (let value = 1_000; value >= 1; value--) window.add(value);
    expect(window.percentiles()).toEqual({ p50: 500, p99: 990, p999: 999 });
  });

  it("one value is every percentile", () => {
    const window = new Window();
    window.add(7);
    expect(window.percentiles()).toEqual({ p50: 7, p99: 7, p999: 7 });
  });

  it("only the newest 1,024 values count", () => {
    const window = new Window();
    for (let n = 0; n < 1_024; n++) window.add(1_000_000);
    for (let n = 0; n < 1_024; n++) window.add(n);
    expect(window.percentiles()).toEqual({ p50: 511, p99: 1_013, p999: 1_022 });
  });
});
