/**
 * A region that is lost is succeeded: the log of its heir goes on for the region's, and carries the region's commands beside its own
 * (`deputed`). What was decided is a setting of the heir's log, and every replica follows it alike. Rule: a region's log counts up to the
 * place that the decision names, and from then on what the heir's log says of the region, until the heir yields.
 *
 *   the heir's log says         | who acts           | what they do
 *   ----------------------------+--------------------+-----------------------------------------------------------------------------
 *   `fence G`                   | every region       | copies the log no further, and says in its own how far it has folded it
 *   `succeed G of L at P sum C` | every replica      | folds log L up to P, then the heir's from there on; one beyond P is made anew
 *   `yield G`                   | the lost region    | begins a log that goes on from there
 *
 * G counts the successions of a region. Of two decisions the one of the higher G counts; of one G, which only force can bring about, the one
 * of the greater rendezvous rank of region × heir, then of the greater name.
 */
import { defined } from "./assert.ts";
import type { Frame, LogId, Position, Region, SettingCommand } from "./commands.ts";
import { DEPUTY_KEY, deputyOf, noteOf, writerOf } from "./deputy.ts";
import type { Fold } from "./fold.ts";
import type { FrameRefusal } from "./fold-listener.ts";
import { beats } from "./homing.ts";
import type { Claim } from "./homing.ts";

/** A frame in a log. */
export interface Place {
  readonly logId: LogId;
  readonly position: Position;
  readonly checksum: number;
}

interface Decision {
  /** From 1. */
  readonly generation: number;
  /** The version of the heir's log that says so first; 0 before it does. */
  readonly since: number;
}

/** `base` is where the region's log ends that the heir's goes on from; nowhere if a fence was given up. */
export type Succession =
  | (Decision & { readonly phase: "fence"; readonly base: undefined })
  | (Decision & { readonly phase: "succeed"; readonly base: Place })
  | (Decision & { readonly phase: "yield"; readonly base: Place | undefined });

/** One that counts, or counted until it was yielded. */
export interface Heirdom extends Decision {
  readonly phase: Succession["phase"];
  readonly heir: Region;
  readonly base: Place;
}

const SUCCESSION = "succession.";
const PHASES =
  /^(fence|succeed|yield) ([1-9][0-9]{0,8})(?: of ([A-Za-z0-9_-]{1,32}) at ([0-9]{1,16}) sum ([0-9a-f]{1,8})(?: since ([0-9]{1,16}))?)?$/;

export function successionKey(region: Region): string {
  return `${SUCCESSION}${region}`;
}

export function successionValue({ phase, generation, base, since }: Succession): string {
  if (base === undefined) return `${phase} ${generation}`;
  const { logId, position, checksum } = base;
  const at = `${phase} ${generation} of ${logId} at ${position} sum ${checksum.toString(16)}`;
  return since === 0 ? at : `${at} since ${since}`;
}

/** Nothing for a text that cannot be read. */
export function parseSuccession(value: string): Succession | undefined {
  const [, phase, generation, logId, position, checksum, since] = PHASES.exec(value) ?? [];
  const base =
    logId === undefined
      ? undefined
      : {
          logId,
          position: Number(position),
          checksum: Number.parseInt(defined(checksum, "it is there"), 16),
        };
  const rest = { generation: Number(generation), since: Number(since ?? 0) };
  if (phase === "fence" && base === undefined) return { phase, base, ...rest };
  if (phase === "succeed" && base !== undefined) return { phase, base, ...rest };
  return phase === "yield" ? { phase, base, ...rest } : undefined;
}

/** What a log says of succeeding the region. */
export function standing({ settings }: Pick<Fold, "settings">, region: Region): Succession | undefined {
  const setting = settings.get(successionKey(region));
  return setting === undefined ? undefined : parseSuccession(setting.value);
}

/**
 * What a log whose version is `version` keeps of a decision, after the one that stands; nothing where it is out of order: several nodes may
 * have decided at once, and the first one counts.
 */
export function kept(
  before: Succession | undefined,
  next: Succession,
  version: number,
): Succession | undefined {
  if (next.phase === "fence") {
    const isFree = before === undefined || before.phase === "yield";
    return isFree && next.generation > (before?.generation ?? 0) ? next : undefined;
  }
  if (before?.generation !== next.generation) return undefined;
  if (next.phase === "succeed") return before.phase === "fence" ? { ...next, since: version } : undefined;
  return before.phase === "yield" ? undefined : { ...before, phase: "yield" };
}

/** What a fold keeps of a decision of its own log; nothing of one that is out of order. */
export function inOrder(command: SettingCommand, fold: Fold): SettingCommand | undefined {
  const { key, value } = command;
  if (key === DEPUTY_KEY || key === successionKey(fold.region)) return undefined;
  if (!key.startsWith(SUCCESSION)) return command;
  const next = parseSuccession(value);
  const keeps = next && kept(standing(fold, key.slice(SUCCESSION.length)), next, fold.version);
  return keeps && { ...command, value: successionValue(keeps) };
}

/** Whether a frame of an heir leads the fold over to that heir's log. */
export function isSucceeding(frame: Frame, fold: Fold): boolean {
  const { region, logId, position, checksum } = fold;
  if (frame.region === region) return false;
  return frame.commands.some((command) => {
    if (command.kind !== "set" || command.key !== successionKey(region)) return false;
    const said = parseSuccession(command.value);
    if (said?.phase !== "succeed" || said.generation <= deputyOf(fold).generation) return false;
    const { base } = said;
    return base.logId === logId && base.position === position && base.checksum === checksum;
  });
}

/** The note that a fold of an heir's log makes of a decision about its region. */
export function noteOn(command: SettingCommand, heir: Region, fold: Fold): SettingCommand | undefined {
  const said = command.key === successionKey(fold.region) ? parseSuccession(command.value) : undefined;
  const deputy = deputyOf(fold);
  if (said?.phase === "succeed" && said.generation > deputy.generation)
    return noteOf({ heir, generation: said.generation, hasYielded: false }, command);
  const isOver = said?.phase === "yield" && said.generation === deputy.generation;
  return isOver ? noteOf({ ...deputy, hasYielded: true }, command) : undefined;
}

/** The newest succession of the region that was more than a fence, by what all logs say. */
export function successionOf(folds: readonly Fold[], region: Region): Heirdom | undefined {
  let newest: Heirdom | undefined;
  for (const fold of folds) {
    const said = standing(fold, region);
    if (fold.region === region || said?.base === undefined) continue;
    const one = { ...said, base: said.base, heir: fold.region };
    if (newest === undefined || beats(region, claimOf(one), claimOf(newest))) newest = one;
  }
  return newest;
}

function claimOf({ heir: region, generation }: Heirdom): Claim {
  return { region, epoch: { generation, count: 0 } };
}

/** A region that was succeeded, as one replica has it. */
export interface StoodFor {
  readonly region: Region;
  readonly heir: Region;
  /** The heir's log goes on for it still. */
  readonly stands: boolean;
  /** The fold has gone over to what was decided. */
  readonly isFollowed: boolean;
  /** The fold holds what does not count any more, and cannot go over. */
  readonly isAstray: boolean;
}

/** The regions that were succeeded, by what all logs say. */
export function stoodFor(folds: readonly Fold[]): StoodFor[] {
  return folds.flatMap((fold) => {
    const succession = successionOf(folds, fold.region);
    if (succession === undefined) return [];
    const { heir, phase, generation } = succession;
    const isFollowed = deputyOf(fold).generation >= generation;
    const isAstray = sourceOf(folds, fold).kind === "astray";
    return [{ region: fold.region, heir, stands: phase === "succeed", isFollowed, isAstray }];
  });
}

/** Where the next frame for a fold comes from. */
export type Source =
  | {
      readonly kind: "log";
      readonly of: Region;
      /** Only this one goes on from where the fold stands. */
      readonly from?: { readonly logId: LogId; readonly position: Position };
      /** The last one of the log folded that counts. */
      readonly through?: Position;
    }
  /** Another log counts than the one folded, and no frame leads there. */
  | { readonly kind: "astray" };

const ASTRAY: Source = { kind: "astray" };

/** Where a region's fold goes on, by what all folds of its replica say. */
export function sourceOf(folds: readonly Fold[], fold: Fold): Source {
  const { region, logId, position, checksum } = fold;
  const here: Source = { kind: "log", of: writerOf(fold) };
  const succession = successionOf(folds, region);
  const { heir, generation } = deputyOf(fold);
  if (succession === undefined || succession.generation < generation || logId === "") return here;
  if (succession.generation === generation) return succession.heir === heir ? here : ASTRAY;
  const { base, since } = succession;
  if (base.logId !== logId || base.position < position) return ASTRAY;
  if (base.position > position) return { ...here, through: base.position };
  const of = defined(
    folds.find((one) => one.region === succession.heir),
    "an heir has a log",
  );
  // Where the heir's log was begun again since, what followed the decision is in none that is held.
  if (base.checksum !== checksum || since <= of.base) return ASTRAY;
  return { kind: "log", of: of.region, from: { logId: of.logId, position: since - of.base } };
}

/** What is wrong with where the frame comes from, for that fold; nothing with one that it has already. */
export function misled(
  folds: readonly Fold[],
  fold: Fold,
  position: Position,
  frame: Frame,
): FrameRefusal | undefined {
  if (frame.logId === fold.logId && position <= fold.position) return undefined;
  const source = sourceOf(folds, fold);
  if (source.kind === "astray") return "identity";
  if (source.of !== frame.region) return frame.region === fold.region ? "identity" : "authority";
  const { from, through } = source;
  const isNext =
    from === undefined
      ? through === undefined || (frame.logId === fold.logId && position <= through)
      : frame.logId === from.logId && position === from.position;
  return isNext ? undefined : "identity";
}

/** Whether the heir says what the region's log would, as far as these folds know. */
export function standsFor(folds: readonly Fold[], heir: Region, region: Region): boolean {
  const fold = folds.find((one) => one.region === region);
  if (fold === undefined || writerOf(fold) !== heir) return false;
  const succession = successionOf(folds, region);
  return succession?.heir === heir && succession.phase === "succeed";
}
