/**
 * How the read options are met. Rule (invariant 8): an answer is called satisfied only if this replica had, when it was given, what the
 * mode asks for; otherwise it says what is missing, and of which regions nobody could say.
 *
 *   mode    | satisfied when
 *   --------+---------------------------------------------------------------------------------------
 *   any     | always
 *   bounded | every region's newest watermark here is at most so old, this one's too, however wrong the clocks may be told; a region that
 *           | another stands for says none
 *   token   | every position of the token is applied
 *   latest  | every region said after the read began how far its log goes, and that is applied; for a region that another stands for,
 *           | that one's log counts
 *
 * But for any, also this must be so: of every session of what is read that is known here, it is known whether it is over (decisions/0022).
 */
import type { Position, Region } from "../../replicator/core/commands.ts";
import type { StoodFor } from "../../replicator/core/succession.ts";
import { checkToken, mergeTokens } from "../../replicator/core/token.ts";
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
  /** The most that the age of the region's newest watermark can be; infinite before that is known. */
  readonly ageMs: (region: Region) => number;
  /** Asks every region, this one included; resolves after so many milliseconds at the latest. */
  readonly heads: (waitMs: number) => Promise<Heads>;
  /** Regions that were succeeded, as this replica has it. */
  readonly stoodFor: () => readonly StoodFor[];
}

/** What is not here when a read begins to wait for it: some other region may have it already. */
export interface Lack {
  /** What would satisfy the read, with the time that is left. */
  readonly options: Exclude<ReadOptions, { readonly mode: "any" }>;
  /** Whose logs it is of. */
  readonly regions: readonly Region[];
}
type Lacks = (lack: Lack) => void;

/** What of it this replica cannot tell yet: the logs of which more has to be folded. */
export type Unsure = () => readonly Region[];

/** How one read was met, before it is described. */
interface Met {
  readonly check: TokenCheck | "overloaded";
  readonly unheard: readonly Region[];
}

interface Sure {
  readonly options: Exclude<ReadOptions, { readonly mode: "any" }>;
  readonly startedMs: number;
  readonly unsure: Unsure;
  readonly lacks: Lacks;
}

export class ConsistencyCheck {
  readonly #options: ConsistencyOptions;

  constructor(options: ConsistencyOptions) {
    this.#options = options;
  }

  /**
   * Waits as long as allowed. A token of a replaced log is refused; whatever else is missing is said. `lacks` hears what has to be waited
   * for, perhaps more than once.
   */
  async meet(
    options: ReadOptions,
    unsure: Unsure,
    lacks: Lacks = () => undefined,
  ): Promise<Outcome<Consistency>> {
    const { clock, region, applied } = this.#options;
    const startedMs = clock().monoMs;
    const met = await this.#met(options, lacks);
    const { check, unheard } =
      options.mode === "any" ? met : await this.#sure(met, { options, startedMs, unsure, lacks });
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

  async #met(options: ReadOptions, lacks: Lacks): Promise<Met> {
    switch (options.mode) {
      case "any":
        return { check: { kind: "satisfied" }, unheard: [] };
      case "token":
        return { check: await this.#token(options.token, options.waitMs, lacks), unheard: [] };
      case "bounded":
        return this.#bounded(options.maxStalenessMs, options.waitMs, lacks);
      case "latest":
        return this.#latest(options.token, options.waitMs, lacks);
    }
  }

  /** Waits for what this replica has and cannot tell of yet. */
  async #sure(met: Met, { options, startedMs, unsure, lacks }: Sure): Promise<Met> {
    const { clock, waiters } = this.#options;
    if (met.check === "overloaded" || met.check.kind !== "satisfied" || unsure().length === 0) return met;
    const waitMs = Math.max(0, options.waitMs - (clock().monoMs - startedMs));
    lacks({ options: { ...options, waitMs }, regions: unsure() });
    if ((await waiters.until(() => unsure().length === 0, waitMs)) === "overloaded")
      return { check: "overloaded", unheard: [] };
    const leftMs = Math.max(0, options.waitMs - (clock().monoMs - startedMs));
    // What the latest is was asked after the read began; how old all is, and whether a log was replaced, is as of now.
    const { check, unheard } =
      options.mode === "latest" ? met : await this.#met({ ...options, waitMs: leftMs }, lacks);
    return { check, unheard: [...new Set([...unheard, ...unsure()])] };
  }

  #token(token: Token, waitMs: number, lacks: Lacks): Promise<TokenCheck | "overloaded"> {
    const regions = lackedBy(checkToken(token, this.#options.applied()));
    if (regions.length > 0) lacks({ options: { mode: "token", token, waitMs }, regions });
    return this.#wait(token, waitMs);
  }

  /** What a region took and its heir has not gone on from satisfies nothing, wherever it is. */
  async #wait(token: Token, waitMs: number): Promise<TokenCheck | "overloaded"> {
    const { waiters, stoodFor } = this.#options;
    const check = await waiters.wait(token, waitMs);
    const astray = stoodFor().find(({ region, isAstray }) => isAstray && token.has(region));
    return check === "overloaded" || astray === undefined
      ? check
      : { kind: "replaced", region: astray.region };
  }

  /** A stale region's next frame may bring what is waited for. */
  async #bounded(maxStalenessMs: number, waitMs: number, lacks: Lacks): Promise<Met> {
    const { clock, regions, ageMs, waiters, applied } = this.#options;
    const untilMs = clock().monoMs + waitMs;
    for (;;) {
      const silenced = new Set(this.#silenced().map(({ region }) => region));
      const stale = regions.filter((region) => silenced.has(region) || ageMs(region) > maxStalenessMs);
      const leftMs = untilMs - clock().monoMs;
      const [first] = stale;
      if (first === undefined || leftMs <= 0) return { check: { kind: "satisfied" }, unheard: stale };
      lacks({ options: { mode: "bounded", maxStalenessMs, waitMs: leftMs }, regions: stale });
      const at = applied().get(first) ?? { logId: "", position: 0 };
      const next: Token = new Map([[first, { logId: at.logId, position: at.position + 1 }]]);
      if ((await waiters.wait(next, leftMs)) === "overloaded") return { check: "overloaded", unheard: [] };
    }
  }

  /** What these regions say in logs of their own does not count, or not here yet. */
  #silenced(): readonly StoodFor[] {
    return this.#options.stoodFor().filter(({ stands, isFollowed }) => stands || !isFollowed);
  }

  /** Where the regions have not all answered by half of the time, another one may reach those that this one does not. */
  async #latest(token: Token | undefined, waitMs: number, lacks: Lacks): Promise<Met> {
    const { clock, heads: ask, regions, applied } = this.#options;
    const untilMs = clock().monoMs + waitMs;
    const leftMs = (): number => Math.max(0, untilMs - clock().monoMs);
    const unanswered = setTimeout(() => {
      const also = token === undefined ? {} : { token };
      lacks({ options: { mode: "latest", ...also, waitMs: leftMs() }, regions });
    }, waitMs / 2);
    const { heads, unheard } = await ask(waitMs);
    clearTimeout(unanswered);
    const known = applied();
    // Of a log that goes on as another one, and is not followed there yet, nobody knows here what it has. An empty one may go on as another
    // one too, of which nobody has been told.
    const isStrange = (region: Region, { logId, position }: LogPosition): boolean => {
      const { logId: here = "" } = known.get(region) ?? {};
      return position === 0 || (here !== "" && here !== logId);
    };
    const wanted = new Map([...heads].filter(([region, head]) => !isStrange(region, head)));
    const strange = [...heads.keys()].filter((region) => !wanted.has(region));
    const whole = wholeOf({ heads, unheard }, token, this.#silenced());
    const lacking = [...(whole ?? [])].filter((at) => checkToken(new Map([at]), known).kind !== "satisfied");
    if (whole !== undefined && lacking.length > 0) {
      const sought = { mode: "token", token: whole, waitMs: leftMs() } as const;
      lacks({ options: sought, regions: lacking.map(([region]) => region) });
    }
    const asked = token === undefined ? wanted : mergeTokens(wanted, token);
    const check = await this.#wait(asked, leftMs());
    // Begun again while the read waited: that is no fault of a token that does not speak of it.
    const isBegunAgain =
      check !== "overloaded" && check.kind === "replaced" && token?.has(check.region) !== true;
    if (isBegunAgain)
      return { check: { kind: "satisfied" }, unheard: [...unheard, ...strange, check.region] };
    const met = { check, unheard: [...unheard, ...strange] };
    return check === "overloaded" || check.kind !== "satisfied" ? met : this.#stoodFor(met, heads, leftMs);
  }

  /** What a region's own server says is not the end of a log that goes on in an heir's: known here by what was just applied of that. */
  async #stoodFor(met: Met, heads: Token, leftMs: () => number): Promise<Met> {
    const { waiters } = this.#options;
    const unheard = new Set(met.unheard);
    for (const { region, heir, isFollowed } of this.#silenced()) {
      const head = heads.get(heir);
      unheard.add(region);
      if (!isFollowed || head === undefined) continue;
      const check = await waiters.wait(new Map([[region, head]]), leftMs());
      if (check === "overloaded") return { check, unheard: [] };
      if (check.kind === "satisfied") unheard.delete(region);
    }
    return { check: met.check, unheard: [...unheard] };
  }
}

/**
 * All that a replica must have for its answer to be the latest. Nothing where no vector says that: a region was not heard, its log is empty
 * or on its way back from an heir's, or the token speaks of another log of it than the region does.
 */
function wholeOf(
  { heads, unheard }: Heads,
  token: Token | undefined,
  silenced: readonly StoodFor[],
): Token | undefined {
  if (unheard.length > 0) return undefined;
  const whole = new Map(heads);
  for (const { region, heir, stands } of silenced) {
    const head = heads.get(heir);
    if (!stands || head === undefined) return undefined;
    whole.set(region, head);
  }
  const isSaid = [...whole].every(
    ([region, { logId, position }]) => position > 0 && (token?.get(region)?.logId ?? logId) === logId,
  );
  return isSaid ? mergeTokens(whole, token ?? new Map()) : undefined;
}

/** The regions of whose logs more is asked for than there is here. */
function lackedBy(check: TokenCheck): Region[] {
  if (check.kind === "satisfied") return [];
  return check.kind === "replaced" ? [check.region] : [...check.missing.keys()];
}

export function positions(token: Token): Record<Region, Position> {
  return Object.fromEntries([...token].map(([region, at]) => [region, at.position]));
}
