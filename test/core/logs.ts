/**
 * The regions' logs in the world. A log may be renewed: another identity goes on from a position of it, and what came after that
 * position is its lost end, which those who folded it still have in their state.
 */
import { strict as assert } from "node:assert";
import type { Frame, LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { REGIONS, logOf } from "./samples.ts";

export interface WorldLog {
  readonly region: Region;
  readonly logId: LogId;
  readonly frames: Frame[];
  /** Where it went on from another, unless it is the first. */
  readonly from: LogPlace | undefined;
}

export interface LogPlace {
  readonly log: WorldLog;
  readonly position: Position;
}

export class Logs {
  readonly #newest = new Map<Region, WorldLog>();
  readonly #all = new Map<LogId, WorldLog>();

  constructor() {
    for (const region of REGIONS) this.#add({ region, logId: logOf(region), frames: [], from: undefined });
  }

  newest(region: Region): WorldLog {
    const log = this.#newest.get(region);
    assert(log !== undefined);
    return log;
  }

  byId(logId: LogId): WorldLog {
    const log = this.#all.get(logId);
    assert(log !== undefined);
    return log;
  }

  /** All logs that the region ever had, lost ends included. */
  ofRegion(region: Region): WorldLog[] {
    return [...this.#all.values()].filter((log) => log.region === region);
  }

  /** Another identity goes on from here. Returns the frames that are lost by that. */
  renew(region: Region, position: Position, first: (logId: LogId) => Frame): Frame[] {
    const log = this.newest(region);
    const logId = `${logOf(region)}-${this.ofRegion(region).length + 1}`;
    this.#add({ region, logId, frames: [first(logId)], from: { log, position } });
    return log.frames.slice(position);
  }

  /** From the first log of the lineage to this place: each log with the position up to which it counts. */
  chain({ log, position }: LogPlace): LogPlace[] {
    return [...(log.from === undefined ? [] : this.chain(log.from)), { log, position }];
  }

  /** Every frame of the lineage up to a place, log by log. */
  lineage(region: Region, logId: LogId, position: Position): Frame[][] {
    if (logId === "") return [];
    const log = this.byId(logId);
    assert.equal(log.region, region);
    return this.chain({ log, position }).map((place) => place.log.frames.slice(0, place.position));
  }

  /** Where the next frame is for a fold that stands here; `undefined` where it can only be replaced. */
  next(region: Region, logId: LogId, position: Position): LogPlace | undefined {
    const log = this.newest(region);
    if (logId === log.logId || (logId === "" && log.from === undefined))
      return { log, position: position + 1 };
    const isThere = log.from?.log.logId === logId && log.from.position === position;
    return isThere ? { log, position: 1 } : undefined;
  }

  /** Whether a fold that stands at `from` has all that one at `to` has, or comes to have it by folding on. */
  leadsTo(from: Stand, to: Stand): boolean {
    if (to.logId === "" || from.logId === to.logId) return true;
    const beyond = this.#chainOf(from).some(({ log }) => log.logId === to.logId);
    return beyond || this.#wayTo(from, to) !== undefined;
  }

  /** Folds on until the replica's fold of the region has what one at `to` has. */
  bring(replica: Replica, region: Region, to: Stand): void {
    const fold = replica.fold(region);
    assert(fold !== undefined);
    for (const { log, position } of this.#wayTo(fold, to) ?? []) {
      const folded: Position = fold.logId === log.logId ? fold.position : 0;
      for (const [index, frame] of log.frames.slice(folded, position).entries())
        assert.equal(replica.apply(region, folded + index + 1, frame), "applied");
    }
  }

  #chainOf({ logId, position }: Stand): LogPlace[] {
    return logId === "" ? [] : this.chain({ log: this.byId(logId), position });
  }

  /** The rest of the chain to `to`, from the log that a fold at `from` is in. */
  #wayTo(from: Stand, to: Stand): LogPlace[] | undefined {
    const chain = this.#chainOf(to);
    if (from.logId === "") return chain;
    const index = chain.findIndex(
      ({ log, position }) => log.logId === from.logId && from.position <= position,
    );
    return index === -1 ? undefined : chain.slice(index);
  }

  #add(log: WorldLog): void {
    this.#newest.set(log.region, log);
    this.#all.set(log.logId, log);
  }
}

export interface Stand {
  readonly logId: LogId;
  readonly position: Position;
}
