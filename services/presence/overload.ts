/**
 * Sheds reads while the event loop cannot keep up, so that heartbeats still get through.
 * Rule: the verdict is the mean delay over the last second. One long pause does not shed; a loop that is late all the
 * time does. Judging costs a read one boolean.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

import type { FastifyInstance } from "fastify";

import { Refusal } from "./problems.ts";

const SAMPLE_MS = 1_000;
const RESOLUTION_MS = 20;
const DELAY_MS_MAX = 200;
const RETRY_AFTER_SECONDS = 1;

export interface OverloadWatch {
  readonly overloaded: () => boolean;
  readonly stop: () => void;
}

export function watchEventLoop(sampleMs = SAMPLE_MS): OverloadWatch {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let late = false;
  histogram.enable();
  const timer = setInterval(() => {
    // The histogram holds whole intervals between its timer's runs: the delay is what exceeds the resolution.
    late = histogram.mean / 1e6 - RESOLUTION_MS > DELAY_MS_MAX;
    histogram.reset();
  }, sampleMs);
  timer.unref();
  return {
    overloaded: () => late,
    stop: () => {
      clearInterval(timer);
      histogram.disable();
    },
  };
}

/** Makes every route of the scope answer 503 `overloaded` while `overloaded()`. */
export function shed(scope: FastifyInstance, overloaded: () => boolean): void {
  scope.addHook("onRequest", (_request, _reply, done) => {
    if (!overloaded()) return done();
    const detail = "The event loop of this node is late. Heartbeats are still accepted.";
    return done(new Refusal({ name: "overloaded", detail, retryAfterSeconds: RETRY_AFTER_SECONDS }));
  });
}
