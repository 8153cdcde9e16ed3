/**
 * What operators decided, as one fold has it. Rule: kept by key, and each decision in a trail; both are bounded. There is always room for
 * the fold's own note.
 */
import type { SettingCommand } from "./commands.ts";
import { DEPUTY_KEY } from "./deputy.ts";
import { LIMITS } from "./limits.ts";
import type { Setting } from "./snapshot.ts";

export class Settings {
  readonly byKey = new Map<string, Setting>();
  /** The newest decisions, oldest first. */
  readonly audit: Setting[] = [];

  /** Takes the decision, unless it is one more than there may be. */
  set({ key, value, by, reason }: SettingCommand, atMs: number): "too-many-settings" | undefined {
    const max = LIMITS.settingsMax - (key === DEPUTY_KEY || this.byKey.has(DEPUTY_KEY) ? 0 : 1);
    if (!this.byKey.has(key) && this.byKey.size >= max) return "too-many-settings";
    const setting = { key, value, by, reason, atMs };
    this.byKey.set(key, setting);
    if (this.audit.length === LIMITS.auditMax) this.audit.shift();
    this.audit.push(setting);
    return undefined;
  }
}
