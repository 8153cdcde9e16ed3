/**
 * What a node does about regions that are lost, beside following what was decided: its region's vote on a fence, and for the heir what becomes
 * of the fence and when a region that is back gets its log again. Rule: every decision stands in the own log, and may be said by several
 * nodes at once: the fold takes the first.
 *
 *   the heir's log says | the heir's nodes say
 *   --------------------+--------------------------------------------------------------------------------------------------------
 *   `fence G`           | `succeed G` where a majority voted and nobody is further; `yield G` with the reason where somebody is, or in time
 *                       | no majority voted; where it is forced, `succeed G` then from where the heir stands
 *   `succeed G`         | `yield G` when the region has copied the heir's log close to its end for a while
 */
import { defined } from "./assert.ts";
import type { LogId, Position, Region, SettingCommand } from "./commands.ts";
import type { Fold } from "./fold.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import type { Replica } from "./replica.ts";
import { sealOf, sealValue } from "./seal.ts";
import type { Seal } from "./seal.ts";
import { standing, successionKey, successionValue } from "./succession.ts";
import type { Succession } from "./succession.ts";
import { placeToVote, tallyOf, voteKey, voteOf, voteValue } from "./votes.ts";

/** So long a fence waits for votes: a round trip over the slowest link, and a fold that is behind. */
export const FENCE_MS = 30_000;
/** A region that is back has copied all but so many frames of the heir's log. */
const CLOSE_WITHIN = 64;
/** For so long, and was heard saying so at least so often. */
export const BACK_MS = 5_000;
const HEARD_MS = 2_000;
/** What was said and is not folded since is said again after this long. */
const RETRY_MS = 5_000;

/** That the region's fence is to end with the heir's log, whoever is missing or further; the value is its generation. */
export function forcedKey(lost: Region): string {
  return `forced.${lost}`;
}

/** The end of a copy that is sealed. */
export interface Sealed {
  readonly seal: Seal;
  readonly logId: LogId;
  readonly head: Position;
}

interface Heard {
  readonly logId: LogId;
  readonly position: Position;
  readonly atMs: number;
  /** Since when it has been close to the end of this region's log. */
  readonly closeSinceMs: number | undefined;
}

export class Successions {
  readonly #region: Region;
  /** The replica of the moment. */
  readonly #replica: () => Replica;
  readonly #sealed = new Map<Region, Sealed>();
  readonly #heard = new Map<Region, Heard>();
  /** Since when this node has known of the fence that stands. */
  readonly #fencedSince = new Map<Region, { readonly generation: number; readonly sinceMs: number }>();
  readonly #said = new Map<string, { readonly value: string; readonly atMs: number }>();

  constructor(region: Region, replica: () => Replica) {
    this.#region = region;
    this.#replica = replica;
  }

  /** The copy of the region's log is sealed, and ends there. */
  sealed(region: Region, sealed: Sealed): void {
    this.#sealed.set(region, sealed);
  }

  /** The region says how far it has copied this region's log. */
  copied(region: Region, logId: LogId, position: Position, now: Now): void {
    const own = this.#own;
    const before = this.#heard.get(region);
    const isNew = before?.logId !== logId || before.position !== position;
    if (!isNew) return;
    const isClose = logId === own.logId && own.position - position <= CLOSE_WITHIN;
    const wentOn = before !== undefined && now.monoMs - before.atMs <= HEARD_MS;
    const closeSinceMs = isClose ? ((wentOn ? before.closeSinceMs : undefined) ?? now.monoMs) : undefined;
    this.#heard.set(region, { logId, position, atMs: now.monoMs, closeSinceMs });
  }

  /** Whether the lost region has copied this log close to its end for a while, beyond where it was succeeded. */
  isBack(lost: Region, { since }: Succession, now: Now): boolean {
    const heard = this.#heard.get(lost);
    if (heard?.closeSinceMs === undefined || now.monoMs - heard.atMs > HEARD_MS) return false;
    return heard.position >= since - this.#own.base && now.monoMs - heard.closeSinceMs >= BACK_MS;
  }

  /** What this node has to append now. */
  due(now: Now): readonly SettingCommand[] {
    const commands: SettingCommand[] = [];
    for (const { region } of this.#replica().folds) {
      if (region === this.#region) continue;
      commands.push(...this.#vote(region, now), ...this.#decide(region, now));
    }
    return commands;
  }

  get #own(): Fold {
    return defined(this.#replica().fold(this.#region), "a replica has every region");
  }

  #vote(lost: Region, now: Now): readonly SettingCommand[] {
    const { folds } = this.#replica();
    const asked = sealOf(folds, lost);
    const sealed = this.#sealed.get(lost);
    if (asked?.decision.phase !== "fence" || sealed === undefined) return [];
    if (sealValue(sealed.seal) !== sealValue(asked)) return [];
    const { heir } = asked;
    const { generation } = asked.decision;
    const fold = defined(this.#replica().fold(lost), "a replica has every region");
    const place = placeToVote(folds, fold, sealed);
    const said = voteOf(this.#own, lost, heir, generation);
    // Of two nodes that stand at different places after a copy lost its end, the further one counts.
    if (place === undefined || (said !== undefined && said.place.position >= place.position)) return [];
    return this.#say(voteKey(lost), voteValue({ heir, generation, place }), `asked by ${heir}`, now);
  }

  #decide(lost: Region, now: Now): readonly SettingCommand[] {
    const decision = standing(this.#own, lost);
    if (decision?.phase === "succeed") {
      const isOver = this.isBack(lost, decision, now);
      return isOver ? this.#yield(lost, decision, `${lost} is back`, now) : [];
    }
    if (decision?.phase !== "fence") {
      this.#fencedSince.delete(lost);
      return [];
    }
    const { generation } = decision;
    const before = this.#fencedSince.get(lost);
    const fenced = before?.generation === generation ? before : { generation, sinceMs: now.monoMs };
    this.#fencedSince.set(lost, fenced);
    return this.#end(lost, decision, now.monoMs - fenced.sinceMs >= FENCE_MS, now);
  }

  /** Ends the fence, one way or the other, when it is time. */
  #end(lost: Region, fence: Succession, isLate: boolean, now: Now): readonly SettingCommand[] {
    const { generation } = fence;
    const tally = tallyOf(this.#replica().folds, lost, this.#region, generation);
    const isForced = this.#own.settings.get(forcedKey(lost))?.value === String(generation);
    const own = voteOf(this.#own, lost, this.#region, generation);
    const base = tally.kind === "decided" || (isForced && isLate) ? own?.place : undefined;
    if (base !== undefined) {
      const value = successionValue({ phase: "succeed", generation, base, since: 0 });
      const reason = defined(this.#own.settings.get(successionKey(lost)), "a fence is a decision").reason;
      return this.#say(successionKey(lost), value, reason, now);
    }
    if (tally.kind === "behind" && !isForced) return this.#yield(lost, fence, `given up: ${tally.why}`, now);
    if (!isLate || tally.kind !== "waiting") return [];
    const seconds = FENCE_MS / 1000;
    const why = `given up: ${tally.missing.join(", ")} said nothing for ${seconds} s`;
    return this.#yield(lost, fence, why, now);
  }

  #yield(lost: Region, { generation }: Succession, reason: string, now: Now): readonly SettingCommand[] {
    const value = successionValue({ phase: "yield", generation, base: undefined, since: 0 });
    return this.#say(successionKey(lost), value, reason, now);
  }

  #say(key: string, value: string, reason: string, now: Now): readonly SettingCommand[] {
    const before = this.#said.get(key);
    if (before?.value === value && now.monoMs - before.atMs < RETRY_MS) return [];
    this.#said.set(key, { value, atMs: now.monoMs });
    return [{ kind: "set", key, value, by: "node", reason: reason.slice(0, LIMITS.reasonBytesMax) }];
  }
}
