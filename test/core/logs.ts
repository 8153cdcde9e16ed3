/**
 * The regions' logs in the world. A log may be renewed: another identity goes on from a position of it, and what came after that
 * position is its lost end, which those who folded it still have in their state. So it may in an heir's log: then its frames are the heir's,
 * from the one on that says so, until the heir yields.
 */
import { strict as assert } from "node:assert";
import type { Command, Frame, LogId, Position, Region } from "../../replicator/core/commands.ts";
import { DEPUTY_KEY } from "../../replicator/core/deputy.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { parseSuccession, successionKey } from "../../replicator/core/succession.ts";
import { REGIONS, logOf } from "./samples.ts";

export interface WorldLog {
  readonly region: Region;
  /** Who appends to it: the region, or its heir. */
  readonly writer: Region;
  readonly logId: LogId;
  readonly frames: Frame[];
  /** Where it went on from another, unless it is the first. */
  readonly from: LogPlace | undefined;
  /** The first position that counts. */
  readonly start: Position;
  /** The last one, of an heir that has yielded. */
  end: Position | undefined;
}

export interface LogPlace {
  readonly log: WorldLog;
  readonly position: Position;
}

export class Logs {
  readonly #newest = new Map<Region, WorldLog>();
  readonly #all: WorldLog[] = [];

  constructor() {
    for (const region of REGIONS) this.#add({ region, logId: logOf(region), frames: [], from: undefined });
  }

  newest(region: Region): WorldLog {
    const log = this.#newest.get(region);
    assert(log !== undefined);
    return log;
  }

  byId(region: Region, logId: LogId): WorldLog {
    const log = this.#all.find((one) => one.region === region && one.logId === logId);
    assert(log !== undefined);
    return log;
  }

  /** All logs that the region ever had, lost ends included. */
  ofRegion(region: Region): WorldLog[] {
    return this.#all.filter((log) => log.region === region);
  }

  /** Another identity goes on from here, for those too for whom it stands. Returns the frames that are lost by that. */
  renew(region: Region, position: Position, first: (logId: LogId) => Frame): Frame[] {
    const log = this.newest(region);
    const logId = `${logOf(region)}-${this.ofRegion(region).length + 1}`;
    const frames = [first(logId)];
    this.#add({ region, logId, frames, from: { log, position } });
    for (const stood of this.stoodForBy(region))
      this.#add({ ...stood, logId, frames, from: { log: stood, position }, start: 1 });
    return log.frames.slice(position, headOf(log));
  }

  /** The heir's log goes on, from its newest frame on, where the region's is at `position`. Returns the frames that are lost by that. */
  succeed(region: Region, position: Position, heir: Region): Frame[] {
    const log = this.newest(region);
    const { logId, frames } = this.newest(heir);
    this.#add({ region, writer: heir, logId, frames, from: { log, position }, start: frames.length });
    return log.frames.slice(position);
  }

  /** What this region writes for others. */
  stoodForBy(heir: Region): WorldLog[] {
    return [...this.#newest.values()].filter(
      ({ region, writer, end }) => region !== heir && writer === heir && end === undefined,
    );
  }

  /** From the first log of the lineage to this place: each log with the position up to which it counts. */
  chain({ log, position }: LogPlace): LogPlace[] {
    return [...(log.from === undefined ? [] : this.chain(log.from)), { log, position }];
  }

  /** Every frame of the lineage up to a place, log by log. */
  lineage(region: Region, logId: LogId, position: Position): Frame[][] {
    if (logId === "") return [];
    const log = this.byId(region, logId);
    return this.chain({ log, position }).map((place) => readAs(place.log).slice(0, place.position));
  }

  /** Where the next frame is for a fold that stands here; `undefined` where it can only be replaced. */
  next(region: Region, logId: LogId, position: Position): LogPlace | undefined {
    const log = this.newest(region);
    const { from } = log;
    if (logId === log.logId || (logId === "" && from === undefined)) return { log, position: position + 1 };
    if (from === undefined) return undefined;
    const isFirst = from.log.from === undefined && logId === "";
    if (from.log.logId !== logId && !isFirst) return undefined;
    if (from.position === position) return { log, position: log.start };
    // What led to an heir's log is still held.
    const isHeld = log.writer !== region && from.log.writer === region && position < from.position;
    return isHeld ? { log: from.log, position: position + 1 } : undefined;
  }

  /** Whether a fold that stands at `from` has all that one at `to` has, or comes to have it by folding on. */
  leadsTo(region: Region, from: Stand, to: Stand): boolean {
    if (to.logId === "" || from.logId === to.logId) return true;
    const beyond = this.#chainOf(region, from).some(({ log }) => log.logId === to.logId);
    return beyond || this.#wayTo(region, from, to) !== undefined;
  }

  /** Folds on until the replica's fold of the region has what one at `to` has. */
  bring(replica: Replica, region: Region, to: Stand): void {
    const fold = replica.fold(region);
    assert(fold !== undefined);
    for (const { log, position } of this.#wayTo(region, fold, to) ?? []) {
      const folded: Position = fold.logId === log.logId ? fold.position : log.start - 1;
      for (const [index, frame] of log.frames.slice(folded, position).entries())
        assert.equal(fold.apply(folded + index + 1, frame), "applied");
    }
  }

  #chainOf(region: Region, { logId, position }: Stand): LogPlace[] {
    return logId === "" ? [] : this.chain({ log: this.byId(region, logId), position });
  }

  /** The rest of the chain to `to`, from the log that a fold at `from` is in. */
  #wayTo(region: Region, from: Stand, to: Stand): LogPlace[] | undefined {
    const chain = this.#chainOf(region, to);
    if (from.logId === "") return chain;
    const index = chain.findIndex(
      ({ log, position }) => log.logId === from.logId && from.position <= position,
    );
    return index === -1 ? undefined : chain.slice(index);
  }

  #add(given: Pick<WorldLog, "region" | "logId" | "frames" | "from"> & Partial<WorldLog>): void {
    const log = { writer: given.region, start: 1, end: undefined, ...given };
    this.#newest.set(log.region, log);
    this.#all.push(log);
  }
}

export interface Stand {
  readonly logId: LogId;
  readonly position: Position;
}

/** Where the log ends. */
export function headOf({ frames, end }: WorldLog): Position {
  return end ?? frames.length;
}

/** What the frames say for the log's region. */
function readAs(log: WorldLog): Frame[] {
  if (log.writer === log.region) return log.frames;
  return log.frames.map((frame, index) => {
    const counts = index + 1 >= log.start;
    return { ...frame, commands: counts ? frame.commands.flatMap((one) => saidFor(log, one)) : [] };
  });
}

/** What a command of an heir's log says for the region. */
export function saidFor(
  { region, writer }: Pick<WorldLog, "region" | "writer">,
  command: Command,
): Command[] {
  if (command.kind === "deputed") return command.region === region ? [command.command] : [];
  if (command.kind !== "set" || command.key !== successionKey(region)) return [];
  const { phase, generation } = parseSuccession(command.value) ?? {};
  if (phase === "fence") return [];
  const value = `${writer} ${generation}${phase === "yield" ? " yielded" : ""}`;
  return [{ ...command, key: DEPUTY_KEY, value }];
}
