/** What the node has done since it started; read by `/metrics`. */
import type { EndReason, Region } from "../../replicator/core/commands.ts";

export class Tally {
  heartbeats = 0;
  opened = 0;
  readonly ended: Record<EndReason, number> = { expired: 0, logout: 0, kicked: 0, replaced: 0, forced: 0 };
  readonly reconciled = { reopened: 0, orphaned: 0 };
  readonly foldedFrames: Record<Region, number> = {};
  readonly foldedCommands: Record<Region, number> = {};
  readonly refusedFrames: Record<string, number> = {};

  folded(region: Region, commands: number): void {
    this.foldedFrames[region] = (this.foldedFrames[region] ?? 0) + 1;
    this.foldedCommands[region] = (this.foldedCommands[region] ?? 0) + commands;
  }

  refusedFrame(reason: string): void {
    this.refusedFrames[reason] = (this.refusedFrames[reason] ?? 0) + 1;
  }
}
