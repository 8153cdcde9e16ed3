/** A loop that a signal ends. Rule: one round is over before the next begins. */
import { setTimeout as sleep } from "node:timers/promises";

/** Does `work` again and again, `everyMs` between end and begin, until the signal. */
export async function repeat(signal: AbortSignal, everyMs: number, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work();
    // Rejects when stopped, which is the end of the loop.
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
