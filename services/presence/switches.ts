/**
 * What operators decide for a region, as its log's settings say it: classes of requests switched off, regions written off.
 * Rule: a text that cannot be read decides nothing, so a setting of a later version never closes anything here.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { RequestClass, SwitchedOff } from "./gates.ts";
import type { SettingView } from "./service.ts";

type Settings = ReadonlyMap<string, SettingView>;

const OFF_UNTIL = /^off until ([0-9]{1,15})$/;

export const switchKey = (name: RequestClass): string => `switch:${name}`;
export const peerKey = (region: Region): string => `peer:${region}`;

export const WRITTEN_OFF = "written-off";
export const KEPT = "kept";

/** The setting's text. `untilMs` is wall-clock time. */
export function switchValue(open: boolean, untilMs: number | undefined): string {
  if (open) return "on";
  return untilMs === undefined ? "off" : `off until ${untilMs}`;
}

/** Whether, and why, the class is switched off at `wallMs`. */
export function switchedOff(settings: Settings, name: RequestClass, wallMs: number): SwitchedOff | undefined {
  const setting = settings.get(switchKey(name));
  if (setting === undefined) return undefined;
  const { value, reason } = setting;
  if (value === "off") return { reason };
  const untilMs = Number(OFF_UNTIL.exec(value)?.[1] ?? 0);
  return wallMs < untilMs ? { reason, untilMs } : undefined;
}

/** The decision that wrote the region off, while it stands. */
export function writeOff(settings: Settings, region: Region): SettingView | undefined {
  const setting = settings.get(peerKey(region));
  return setting?.value === WRITTEN_OFF ? setting : undefined;
}
