/**
 * What this node has room for: live sessions up to a number, and users up to a share of the heap. Rule: a node that is full refuses what
 * would make it larger, with 503, and goes on serving what it has; new users are refused before new sessions of known ones. What peers
 * append cannot be refused: every node has room for the users of every region.
 *
 * The heap in use right after a major collection is what is live; between two of them it is live data and garbage, which says nothing.
 * Near its limit V8 collects often, so the figure is fresh when it matters.
 */
import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";

import { LIMITS } from "../../replicator/core/limits.ts";
import type { Failure } from "./failures.ts";

/** V8's limit includes what it reserves for the young generation, three semi-spaces of 16 MiB; what stays lives outside of them. */
const YOUNG_BYTES = 48 * 1024 * 1024;

export interface Heap {
  /** Live data when it was measured last, as a share of the heap limit. */
  readonly share: () => number;
  readonly stop: () => void;
}

export function watchHeap(): Heap {
  let liveBytes = 0;
  const observer = new PerformanceObserver((list) => {
    if (list.getEntries().some(isMajor)) liveBytes = getHeapStatistics().used_heap_size;
  });
  observer.observe({ entryTypes: ["gc"] });
  const limitBytes = Math.max(1, getHeapStatistics().heap_size_limit - YOUNG_BYTES);
  return { share: () => liveBytes / limitBytes, stop: () => observer.disconnect() };
}

function isMajor(entry: PerformanceEntry): boolean {
  const detail: unknown = "detail" in entry ? entry.detail : undefined;
  if (typeof detail !== "object" || detail === null || !("kind" in detail)) return false;
  return detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** As much as nobody can fill: for tests and simulations. */
const ENDLESS: Heap = { share: () => 0, stop: () => undefined };

export class Capacity {
  readonly sessionsMax: number;
  /** Sessions refused since start, by the bound that was reached. */
  readonly refused = { sessions: 0, heap: 0 };
  readonly #heap: Heap;

  constructor(sessionsMax: number = LIMITS.sessionsMax, heap: Heap = ENDLESS) {
    this.sessionsMax = sessionsMax;
    this.#heap = heap;
  }

  get heapShare(): number {
    return this.#heap.share();
  }

  /** Why there is no room for one more session beside `sessions`; `undefined` when there is. `known`: its user is one already. */
  full(sessions: number, known: boolean): Failure | undefined {
    if (sessions >= this.sessionsMax) {
      this.refused.sessions += 1;
      return noRoom(`This node has ${sessions} live sessions and takes no more.`);
    }
    if (this.#heap.share() <= (known ? LIMITS.heapShareNewSessions : LIMITS.heapShareNewUsers))
      return undefined;
    this.refused.heap += 1;
    return noRoom(`The memory of this node is full: it takes no new ${known ? "sessions" : "users"}.`);
  }
}

function noRoom(detail: string): Failure {
  return { ok: false, problem: { name: "overloaded", detail, retryAfterSeconds: LIMITS.fullRetrySeconds } };
}
