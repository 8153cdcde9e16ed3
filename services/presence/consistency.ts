/**
 * How the read options are met. Rule (invariant 8): an answer is called satisfied only if this replica had, when it was given, what the
 * mode asks for; otherwise it says what is missing, and of which regions nobody could say.
 *
 *   mode    | satisfied when
 *   --------+---------------------------------------------------------------------------------------
 *   any     | always
 *   bounded | every region's newest watermark here is at most so old
 *   token   | every position of the token is applied
 *   latest  | every region said after the read began how far its log goes, and that is applied
 */
import type { Position, Region } from "../../replicator/core/commands.ts";
import { mergeTokens } from "../../replicator/core/token.ts";
import type { LogPosition, Token, TokenCheck } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { logReplaced, tooManyWaiters } from "./failures.ts";
import type { Consistency, Outcome, ReadOptions } from "./service.ts";
import type { Waiters } from "./waiters.ts";

/** How far the logs go, of those regions that said so in time. */
export interface Heads {
  readonly heads: Token;
  readonly unheard: readonly Region[];
}

export interface ConsistencyOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly clock: Clock;
  readonly waiters: Waiters;
  readonly applied: () => Token;
  /** Age of the region's newest watermark; infinite before the first. */
  readonly ageMs: (region: Region) => number;
  /** Asks every region, this one included; resolves after so many milliseconds at the latest. */
  readonly heads: (waitMs: number) => Promise<Heads>;
}

/** How one read was met, before it is described. */
interface Met {
  readonly check: TokenCheck | "overloaded";
  readonly unheard: readonly Region[];
}

export class ConsistencyCheck {
  readonly #options: ConsistencyOptions;

  constructor(options: ConsistencyOptions) {
    this.#options = options;
  }

  /** Waits as long as allowed. A token of a replaced log is refused; whatever else is missing is said. */
  async meet(options: ReadOptions): Promise<Outcome<Consistency>> {
    const { clock, region, applied } = this.#options;
    const startedMs = clock().monoMs;
    const { check, unheard } = await this.#met(options);
    if (check === "overloaded") return tooManyWaiters();
    if (check.kind === "replaced") return logReplaced(check.region);
    return {
      ok: true,
      value: {
        mode: options.mode,
        satisfied: check.kind === "satisfied" && unheard.length === 0,
        waitedMs: Math.round(clock().monoMs - startedMs),
        servedBy: region,
        applied: positions(applied()),
        ...(check.kind === "missing" ? { missing: Object.fromEntries(check.missing) } : {}),
        ...(unheard.length > 0 ? { unheard: [...unheard] } : {}),
      },
    };
  }

  async #met(options: ReadOptions): Promise<Met> {
    switch (options.mode) {
      case "any":
        return { check: { kind: "satisfied" }, unheard: [] };
      case "token":
        return { check: await this.#options.waiters.wait(options.token, options.waitMs), unheard: [] };
      case "bounded":
        return this.#bounded(options.maxStalenessMs, options.waitMs);
      case "latest":
        return this.#latest(options.token, options.waitMs);
    }
  }

  /** A stale region's next frame may bring what is waited for. */
  async #bounded(maxStalenessMs: number, waitMs: number): Promise<Met> {
    const { clock, regions, ageMs, waiters, applied } = this.#options;
    const untilMs = clock().monoMs + waitMs;
    for (;;) {
      const stale = regions.filter((region) => ageMs(region) > maxStalenessMs);
      const leftMs = untilMs - clock().monoMs;
      const [first] = stale;
      if (first === undefined || leftMs <= 0) return { check: { kind: "satisfied" }, unheard: stale };
      const at = applied().get(first) ?? { logId: "", position: 0 };
      const next: Token = new Map([[first, { logId: at.logId, position: at.position + 1 }]]);
      if ((await waiters.wait(next, leftMs)) === "overloaded") return { check: "overloaded", unheard: [] };
    }
  }

  async #latest(token: Token | undefined, waitMs: number): Promise<Met> {
    const { clock, heads: ask, waiters, applied } = this.#options;
    const untilMs = clock().monoMs + waitMs;
    const { heads, unheard } = await ask(waitMs);
    const known = applied();
    // Of a log that goes on as another one, and is not followed there yet, nobody knows here what it has.
    const isStrange = (region: Region, { logId, position }: LogPosition): boolean => {
      const { logId: here = "" } = known.get(region) ?? {};
      return position > 0 && here !== "" && here !== logId;
    };
    const wanted = new Map([...heads].filter(([region, head]) => !isStrange(region, head)));
    const strange = [...heads.keys()].filter((region) => !wanted.has(region));
    const asked = token === undefined ? wanted : mergeTokens(wanted, token);
    const check = await waiters.wait(asked, Math.max(0, untilMs - clock().monoMs));
    return { check, unheard: [...unheard, ...strange] };
  }
}

function positions(token: Token): Record<Region, Position> {
  return Object.fromEntries([...token].map(([region, at]) => [region, at.position]));
}
