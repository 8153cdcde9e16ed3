/** The watch of the event loop: a loop that is late all the time is overloaded, and recovers. */
import { expect, test, vi } from "vitest";

import { watchEventLoop } from "../../../../services/presence/overload.ts";

const LATE_MS = 300;

/** Keeps the thread for `ms`, as a handler that computes would. */
function hold(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test("is overloaded while the loop is late, and no more when it is not", async () => {
  const watch = watchEventLoop(1_000);
  try {
    expect(watch.overloaded()).toBe(false);
    const late = setInterval(() => hold(LATE_MS), 1);
    await vi.waitFor(() => expect(watch.overloaded()).toBe(true), { timeout: 15_000, interval: 20 });
    clearInterval(late);
    await vi.waitFor(() => expect(watch.overloaded()).toBe(false), { timeout: 15_000, interval: 20 });
  } finally {
    watch.stop();
  }
}, 40_000);
