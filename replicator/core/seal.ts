/**
 * What a copy of a region's log takes while the region is succeeded: the decision that a region has heard last is kept with the copy, as its
 * seal. Rule: what was decided later only ever takes the place of what was decided before, and a copy takes nothing that its seal forbids.
 *
 *   the seal says               | the copy takes
 *   ----------------------------+------------------------------------------------------------------------------
 *   `fence G`                   | nothing: how far it goes is being counted
 *   `succeed G of L at P`       | what it lacks of L up to P
 *   `yield G of L at P`         | the same, and any other log: the region begins one
 *   `yield G`                   | everything: the fence was given up
 */
import type { LogId, Position, Region } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { beats } from "./homing.ts";
import { parseSuccession, standing, successionValue } from "./succession.ts";
import type { Succession } from "./succession.ts";

export interface Seal {
  readonly heir: Region;
  readonly decision: Succession;
}

const PHASES = ["fence", "succeed", "yield"];
const SEAL = /^([a-z][a-z0-9-]*) (.*)$/;

export function sealValue({ heir, decision }: Seal): string {
  return `${heir} ${successionValue(decision)}`;
}

/** Nothing for a text that cannot be read. */
export function parseSeal(value: string): Seal | undefined {
  const [, heir = "", said = ""] = SEAL.exec(value) ?? [];
  const decision = parseSuccession(said);
  return decision && { heir, decision };
}

/** Whether one seal of the region's copy was decided later than another. */
function isLater(region: Region, next: Seal, than: Seal): boolean {
  const isSame = next.heir === than.heir && next.decision.generation === than.decision.generation;
  if (isSame) return PHASES.indexOf(next.decision.phase) > PHASES.indexOf(than.decision.phase);
  return beats(region, claimOf(next), claimOf(than));
}

/** The one that was decided later. */
export function laterOf(region: Region, next: Seal, than: Seal | undefined): Seal {
  return than === undefined || isLater(region, next, than) ? next : than;
}

function claimOf({ heir: region, decision: { generation } }: Seal) {
  return { region, epoch: { generation, count: 0 } };
}

/** What the copy of the region's log is to be sealed with, by what all logs say; nothing before anybody asked. */
export function sealOf(folds: readonly Fold[], region: Region): Seal | undefined {
  let latest: Seal | undefined;
  for (const fold of folds) {
    const decision = fold.region === region ? undefined : standing(fold, region);
    const one = decision && { heir: fold.region, decision };
    if (one !== undefined) latest = laterOf(region, one, latest);
  }
  return latest;
}

/** Why the copy does not take what stands there in that log; empty if it does. */
export function forbids(seal: Seal | undefined, logId: LogId, position: Position): string {
  if (seal === undefined) return "";
  const { heir, decision } = seal;
  const { phase, base, generation } = decision;
  if (phase === "fence") return `sealed: ${heir} asks in fence ${generation} how far the log is folded`;
  if (base === undefined) return "";
  if (base.logId !== logId)
    return phase === "succeed" ? `sealed: ${heir} has succeeded from log ${base.logId}` : "";
  return position > base.position ? `sealed: ${heir} goes on from ${base.position}` : "";
}

/** Whether a snapshot of that log may take the place of what the copy lacks: not of one that may reach beyond what is taken. */
export function mayBegin(seal: Seal | undefined, logId: LogId): boolean {
  return seal === undefined || forbids(seal, logId, Number.MAX_SAFE_INTEGER) === "";
}
