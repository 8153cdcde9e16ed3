/** What the node has done since it started; read by `/metrics`. */
import type { EndReason, Region } from "../../replicator/core/commands.ts";
import type { Consistency, ReadsMet } from "./service.ts";

export class Tally {
  heartbeats = 0;
  opened = 0;
  readonly ended: Record<EndReason, number> = { expired: 0, logout: 0, kicked: 0, replaced: 0, forced: 0 };
  readonly reconciled = { reopened: 0, orphaned: 0 };
  readonly foldedFrames: Record<Region, number> = {};
  readonly foldedCommands: Record<Region, number> = {};
  readonly refusedFrames: Record<string, number> = {};
  readonly reads: ReadsMet = { atOnce: 0, waited: 0, home: 0, unsatisfied: 0 };

  folded(region: Region, commands: number): void {
    this.foldedFrames[region] = (this.foldedFrames[region] ?? 0) + 1;
    this.foldedCommands[region] = (this.foldedCommands[region] ?? 0) + commands;
  }

  /** A read that this region's node answered. */
  read({ satisfied, waitedMs }: Consistency): void {
    if (!satisfied) this.reads.unsatisfied += 1;
    else if (waitedMs === 0) this.reads.atOnce += 1;
    else this.reads.waited += 1;
  }

  refusedFrame(reason: string): void {
    this.refusedFrames[reason] = (this.refusedFrames[reason] ?? 0) + 1;
  }
}
