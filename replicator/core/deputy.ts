/**
 * Who writes the log that a fold reads: its own region, or the heir that succeeded it (`succession.ts`). Rule: the fold notes it among its
 * settings, as of its own log, so it is part of its state wherever that goes.
 */
import type { Region, SettingCommand } from "./commands.ts";
import type { Setting } from "./snapshot.ts";

export interface Deputy {
  /** Who succeeded the region last; empty before the first time. */
  readonly heir: Region;
  /** Which succession of the region that was, from 1. */
  readonly generation: number;
  /** The region writes its log again. */
  readonly hasYielded: boolean;
}

/** Nobody but folds sets it. */
export const DEPUTY_KEY = "deputy";
const NOBODY: Deputy = { heir: "", generation: 0, hasYielded: true };
const NOTE = /^([a-z][a-z0-9-]*) ([1-9][0-9]{0,8})( yielded)?$/;

interface Noted {
  readonly region: Region;
  readonly settings: ReadonlyMap<string, Setting>;
}

export function deputyOf({ settings }: Pick<Noted, "settings">): Deputy {
  const note = NOTE.exec(settings.get(DEPUTY_KEY)?.value ?? "");
  const [, heir, generation, yielded] = note ?? [];
  if (heir === undefined) return NOBODY;
  return { heir, generation: Number(generation), hasYielded: yielded !== undefined };
}

/** The region whose log the fold reads. */
export function writerOf(fold: Noted): Region {
  const { heir, hasYielded } = deputyOf(fold);
  return hasYielded ? fold.region : heir;
}

/** The note that a fold makes of a decision. */
export function noteOf({ heir, generation, hasYielded }: Deputy, decided: SettingCommand): SettingCommand {
  return { ...decided, key: DEPUTY_KEY, value: `${heir} ${generation}${hasYielded ? " yielded" : ""}` };
}
