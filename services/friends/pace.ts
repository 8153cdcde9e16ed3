/** How fast one user may ask. Rule: so many requests within a minute from the first of them, counted in this node's memory and nowhere else. */
import { LRUCache } from "lru-cache";

import type { UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";

interface Minute {
  readonly endsAtMs: number;
  asked: number;
}

const MINUTE_MS = 60_000;

export class Pace {
  /** Who asked longest ago is forgotten first. */
  readonly #minutes = new LRUCache<UserId, Minute>({ max: LIMITS.requestSendersMax });

  /** Counts one request. In how many milliseconds the user may ask again, if this was too many; else 0. */
  tooSoonMs(user: UserId, monoMs: number): number {
    const known = this.#minutes.get(user);
    const minute =
      known === undefined || known.endsAtMs <= monoMs ? { endsAtMs: monoMs + MINUTE_MS, asked: 0 } : known;
    if (minute.asked >= LIMITS.requestsPerMinuteMax) return minute.endsAtMs - monoMs;
    minute.asked += 1;
    this.#minutes.set(user, minute);
    return 0;
  }
}
