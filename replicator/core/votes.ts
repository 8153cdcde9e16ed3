/**
 * The votes on a fence: what each region says in its own log of how far it has folded the log of one that is lost, and what follows from
 * that for the heir. Rule: a region votes once its copy is sealed and all of it is folded, so nobody who voted gets to know more; the heir
 * goes on from where it stands itself, if a majority of all regions voted and nobody of them is further, or in another log.
 */
import type { LogId, Position, Region } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { successionOf } from "./succession.ts";
import type { Place } from "./succession.ts";

export interface Vote {
  /** Whose fence it is, and of which generation. */
  readonly heir: Region;
  readonly generation: number;
  readonly place: Place;
}

const VOTE =
  /^([1-9][0-9]{0,8}) for ([a-z][a-z0-9-]*) of ([A-Za-z0-9_-]{1,32}) at ([0-9]{1,16}) sum ([0-9a-f]{1,8})$/;

export function voteKey(lost: Region): string {
  return `fenced.${lost}`;
}

export function voteValue({ heir, generation, place }: Vote): string {
  const { logId, position, checksum } = place;
  return `${generation} for ${heir} of ${logId} at ${position} sum ${checksum.toString(16)}`;
}

/** Nothing for a text that cannot be read. */
export function parseVote(value: string): Vote | undefined {
  const [, generation, heir = "", logId = "", position, checksum = ""] = VOTE.exec(value) ?? [];
  if (generation === undefined) return undefined;
  const place = { logId, position: Number(position), checksum: Number.parseInt(checksum, 16) };
  return { heir, generation: Number(generation), place };
}

/** What a log says to that fence. */
export function voteOf(
  { settings }: Pick<Fold, "settings">,
  lost: Region,
  heir: Region,
  generation: number,
): Vote | undefined {
  const vote = parseVote(settings.get(voteKey(lost))?.value ?? "");
  return vote?.heir === heir && vote.generation === generation ? vote : undefined;
}

/**
 * Where a replica stands whose region's copy of the log is sealed and ends at `head` of log `logId`; nothing while it has not folded all of that,
 * or knows nothing of the log. A copy of a log that was succeeded before says nothing more.
 */
export function placeToVote(
  folds: readonly Fold[],
  fold: Fold,
  { logId, head }: { readonly logId: LogId; readonly head: Position },
): Place | undefined {
  const { region, position, checksum } = fold;
  if (fold.logId === "") return undefined;
  const isOver = head === 0 || successionOf(folds, region)?.base.logId === logId;
  const isFolded = fold.logId === logId && position >= head;
  return isOver || isFolded ? { logId: fold.logId, position, checksum } : undefined;
}

export type Tally =
  | { readonly kind: "waiting"; readonly missing: readonly Region[] }
  | { readonly kind: "decided"; readonly base: Place }
  /** `base` is where the heir stands, which is not far enough. */
  | { readonly kind: "behind"; readonly why: string; readonly base: Place };

export function tallyOf(folds: readonly Fold[], lost: Region, heir: Region, generation: number): Tally {
  const asked = folds.filter(({ region }) => region !== lost);
  const votes = new Map<Region, Place>();
  for (const fold of asked) {
    const vote = voteOf(fold, lost, heir, generation);
    if (vote !== undefined) votes.set(fold.region, vote.place);
  }
  const missing = asked.map(({ region }) => region).filter((region) => !votes.has(region));
  const base = votes.get(heir);
  if (base === undefined) return { kind: "waiting", missing };
  for (const [region, place] of votes) {
    const why = further(place, base, lost, region, heir);
    if (why !== "") return { kind: "behind", why, base };
  }
  return 2 * votes.size > folds.length ? { kind: "decided", base } : { kind: "waiting", missing };
}

function further(theirs: Place, base: Place, lost: Region, region: Region, heir: Region): string {
  const ahead = theirs.position - base.position;
  if (theirs.logId !== base.logId || (ahead === 0 && theirs.checksum !== base.checksum))
    return `${region} has folded another log of ${lost} than ${heir}`;
  const frames = ahead === 1 ? "frame" : "frames";
  return ahead > 0 ? `${heir} is behind: ${region} has ${ahead} more ${frames}, evacuate to ${region}` : "";
}
