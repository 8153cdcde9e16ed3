/** What the node has done since it started, read by `/metrics`; and of which nodes it has heard in the logs. */
import type { EndReason, Frame, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Consistency, ReadsMet } from "./service.ts";

type Met = Pick<Consistency, "satisfied" | "waitedMs" | "servedBy">;

/** How a read at a node of `region` was met: {@link ReadsMet.home} where another region answered. */
export function howMet({ satisfied, waitedMs, servedBy }: Met, region: Region): keyof ReadsMet {
  if (!satisfied) return "unsatisfied";
  if (servedBy !== region) return "home";
  return waitedMs === 0 ? "atOnce" : "waited";
}

/** Of each region; beyond, the one that was silent longest is forgotten. */
const NODES_MAX = 100;

export class Tally {
  heartbeats = 0;
  opened = 0;
  readonly ended: Record<EndReason, number> = { expired: 0, logout: 0, kicked: 0, replaced: 0, forced: 0 };
  readonly reconciled = { reopened: 0, orphaned: 0 };
  readonly foldedFrames: Record<Region, number> = {};
  readonly foldedCommands: Record<Region, number> = {};
  readonly refusedFrames: Record<string, number> = {};
  readonly reads: ReadsMet = { atOnce: 0, waited: 0, home: 0, unsatisfied: 0 };

  /** Silent longest first. */
  readonly #nodes = new Map<Region, Map<string, number>>();

  /** `monoMs` is left out for a frame that was there before this node started. */
  folded(region: Region, { region: origin, node, commands }: Frame, monoMs: number | undefined): void {
    this.foldedFrames[region] = (this.foldedFrames[region] ?? 0) + 1;
    this.foldedCommands[region] = (this.foldedCommands[region] ?? 0) + commands.length;
    // In an heir's log it is the heir's nodes that speak.
    if (monoMs === undefined || origin !== region) return;
    const nodes = this.#nodes.get(region) ?? new Map<string, number>();
    this.#nodes.set(region, nodes);
    nodes.delete(node);
    nodes.set(node, monoMs);
    for (const silent of nodes.keys()) {
      if (nodes.size <= NODES_MAX) break;
      nodes.delete(silent);
    }
  }

  /** The region's nodes that were heard lately. */
  nodes(region: Region, monoMs: number): string[] {
    const heard = [...(this.#nodes.get(region) ?? [])];
    const lately = heard.filter(([, heardMs]) => monoMs - heardMs <= LIMITS.staleAfterMs);
    return lately.map(([node]) => node).toSorted();
  }

  refusedFrame(reason: string): void {
    this.refusedFrames[reason] = (this.refusedFrames[reason] ?? 0) + 1;
  }
}
