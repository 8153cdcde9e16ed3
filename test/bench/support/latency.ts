/** Latencies in a histogram with three significant digits, so that a million samples cost no memory and the worst one is kept. */
import hdr from "hdr-histogram-js";
import { round } from "./stats.ts";

export interface LatencyFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const MICROS_MAX = 60_000_000;

export class Latency {
  readonly #micros = hdr.build({ highestTrackableValue: MICROS_MAX, numberOfSignificantValueDigits: 3 });

  add(ms: number): void {
    this.#micros.recordValue(Math.min(MICROS_MAX, Math.max(0, Math.round(ms * 1_000))));
  }

  get count(): number {
    return this.#micros.totalCount;
  }

  figures(): LatencyFigures {
    const at = (percentile: number): number =>
      round(this.#micros.getValueAtPercentile(percentile) / 1_000, 2);
    return { p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9), maxMs: round(this.#micros.maxValue / 1_000, 2) };
  }
}
