/** Waiting for a condition with a deadline. Rule: the error at the deadline says what was waited for and what was seen last. */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

export interface Waiting {
  readonly what: string;
  readonly timeoutMs: number;
  /** Between two looks. */
  readonly everyMs: number;
  readonly signal?: AbortSignal;
}

/** A look that is not yet satisfied says what it sees. */
export type Look<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly seen: string };

/** Looks until done; resolves with what was found and how long it took. */
export async function waitFor<T>(
  { what, timeoutMs, everyMs, signal }: Waiting,
  look: () => Promise<Look<T>> | Look<T>,
): Promise<{ value: T; tookMs: number }> {
  const startedMs = performance.now();
  for (;;) {
    const seen = await look();
    const tookMs = performance.now() - startedMs;
    if (seen.done) return { value: seen.value, tookMs };
    signal?.throwIfAborted();
    if (tookMs >= timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}; last seen: ${seen.seen}`);
    await sleep(everyMs, undefined, signal === undefined ? {} : { signal });
  }
}
