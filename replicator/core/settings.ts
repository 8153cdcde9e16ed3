/** What operators decided, as one fold has it. Rule: kept by key, and each decision in a trail; both are bounded. */
import type { SettingCommand } from "./commands.ts";
import { LIMITS } from "./limits.ts";
import type { Setting } from "./snapshot.ts";

export class Settings {
  readonly byKey = new Map<string, Setting>();
  /** The newest decisions, oldest first. */
  readonly audit: Setting[] = [];

  /** Takes the decision, unless it is one more than there may be. */
  set({ key, value, by, reason }: SettingCommand, atMs: number): boolean {
    if (!this.byKey.has(key) && this.byKey.size === LIMITS.settingsMax) return false;
    const setting = { key, value, by, reason, atMs };
    this.byKey.set(key, setting);
    if (this.audit.length === LIMITS.auditMax) this.audit.shift();
    this.audit.push(setting);
    return true;
  }
}
