/**
 * Makes a replica out of a snapshot and the logs behind it: for a node that starts, and for one whose own replica cannot go on or is
 * not to be trusted. Rule: the logs are the truth. What is made is compared with what there was, at equal positions, before it takes its
 * place; until then what there was goes on answering.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Frame, Position, Region } from "../../replicator/core/commands.ts";
import { composed } from "../../replicator/core/compose.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { successionOf } from "../../replicator/core/succession.ts";
import type { LogPosition } from "../../replicator/core/token.ts";
import { ReplicaImport } from "../../replicator/core/transfer.ts";
import type { LogStore, Opened, ReadableLog } from "../../replicator/log/port.ts";
import type { Lacked } from "../../replicator/runtime/announcement.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import { differencesOf, scrub } from "./differences.ts";
import type { Difference } from "./differences.ts";
import type { Place } from "./follow.ts";
import { Following } from "./following.ts";
import type { Sink } from "./following.ts";
import { heldLogs, isWhole } from "./held-logs.ts";
import { neededIn } from "./heirs-log.ts";
import type { Labelled, Snapshots } from "./snapshots.ts";

/** What a replica starts from. */
export interface Base {
  readonly replica: Replica;
  /** Names of the snapshots; none where it starts from the logs alone. */
  readonly from: readonly string[];
  /**
   * Where what it was put together out of stands further in logs that it has: forwards that were processed by then are missing until it
   * is as far.
   */
  readonly wholeFrom: readonly Stand[];
}

interface Stand {
  readonly region: Region;
  readonly place: Place;
}

export interface Rebuilt extends Base {
  /** Of the logs that both have at one position. */
  readonly differences: readonly Difference[];
  /** Of how many logs that was. */
  readonly compared: number;
}

export interface ResyncOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly store: LogStore;
  readonly snapshots: Snapshots;
  /** The replica of the moment was found wrong. */
  readonly suspect: boolean;
  /** What it waits for, or how far it is; for people. */
  readonly progress: (detail: string) => void;
  readonly stopped: () => boolean;
  /** Nothing here leads on: somebody should take a snapshot. To the logs given none leads, for so long. */
  readonly wanted: (lacked: readonly Lacked[], waitedMs: number) => void;
}

const LOOK_EVERY_MS = 500;
const CATCH_UP_EVERY_MS = 20;
/** So long the replica in the making waits for the present one, which folds the same logs a moment later. */
const MEET_MS = 1_000;
/** So long it waits for what `present` had folded already. */
const SHORT_MS = 2_000;

/**
 * A replica to go on from: the newest snapshot that leads to the logs, one put together where several do, or an empty one where the logs
 * are whole. Waits for as long as there is none of these.
 */
export async function base(options: ResyncOptions): Promise<Base | undefined> {
  const { regions, snapshots, suspect, progress, stopped, wanted } = options;
  let waitedMs = 0;
  while (!stopped()) {
    const [all, held] = await Promise.all([snapshots.list(), heldLogs(options)]);
    if (typeof held === "string" || all === undefined) {
      progress(typeof held === "string" ? held : "the region's snapshots cannot be listed");
      await pause(LOOK_EVERY_MS);
      continue;
    }
    const found = snapshots.fitting(all, held, suspect);
    if (
      found === undefined &&
      [...held.values()].every(isWhole) &&
      all.every((one) => snapshots.isUseless(one, regions))
    )
      return { replica: new Replica(regions), from: [], wholeFrom: [] };
    const each = found === undefined ? snapshots.fittingEach(all, held, suspect) : alike(regions, found);
    if (each !== undefined) {
      const made = await load(each, options);
      if (typeof made !== "string") return made;
      progress(made);
      continue;
    }
    progress("no snapshot leads to the logs that are held here");
    wanted(snapshots.lacked(all, held), waitedMs);
    await pause(LOOK_EVERY_MS);
    waitedMs += LOOK_EVERY_MS;
  }
  return undefined;
}

function alike<T>(regions: readonly Region[], one: T): Map<Region, T> {
  return new Map(regions.map((region) => [region, one]));
}

/** The replica that has each region's fold from the snapshot given for it; or what is wrong with one of them. */
async function load(
  chosen: ReadonlyMap<Region, Labelled>,
  { regions, snapshots, progress }: ResyncOptions,
): Promise<Base | string> {
  const replicas = new Map<Labelled, Replica>();
  for (const one of new Set(chosen.values())) {
    const loaded = await snapshots.load(one, (percent) => progress(`loading a snapshot: ${percent} %`));
    if (!loaded.ok) return loaded.detail;
    replicas.set(one, loaded.replica);
  }
  const from = [...replicas.keys()].map(({ stored }) => stored.name);
  const [only] = replicas.values();
  if (only !== undefined && replicas.size === 1) return { replica: only, from, wholeFrom: [] };
  const sources = new Map<Region, Replica>();
  for (const [region, one] of chosen) sources.set(region, defined(replicas.get(one), "it was loaded"));
  const made = new ReplicaImport(regions);
  for (const part of composed(sources)) {
    const fault = made.take(part);
    if (fault !== undefined) return fault;
  }
  const replica = defined(made.result, "it has an end");
  const stands = [...replicas.values()].flatMap((one) => standsOf(one));
  return { replica, from, wholeFrom: stands.filter((one) => isBehind(replica, one)) };
}

export interface RebuildOptions extends ResyncOptions {
  /** The replica of the moment. */
  readonly present: Replica;
  /** Opens a log of this region, to read it. */
  readonly open: (of: Region) => Promise<Opened<ReadableLog>>;
  /** Folds nothing more into `present` from when it resolves, until what it resolves to is called. */
  readonly freeze: () => Promise<() => void>;
}

/**
 * Makes a replica that has all that `present` has, of logs that are still the same, and all of the others. `undefined` when stopped. Both
 * end at the same position of each log that they share, unless `present` cannot get as far. A log that is begun again meanwhile may need
 * another snapshot than the one that it was tried with: then from the beginning.
 */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt | undefined> {
  const ends = new Map<Region, LogPosition>();
  for (const region of options.regions) learn(ends, options.present, region);
  while (!options.stopped()) {
    const rebuilt = await tryRebuild(options, ends);
    if (rebuilt !== "lost") return rebuilt;
    await pause(LOOK_EVERY_MS);
  }
  return undefined;
}

/** Whether the replica says of where the region's own log ended what was not known yet. */
function learn(ends: Map<Region, LogPosition>, { folds }: Replica, region: Region): boolean {
  const end = successionOf(folds, region)?.base;
  const known = ends.get(region);
  if (end === undefined || (known?.logId === end.logId && known.position === end.position)) return false;
  ends.set(region, { logId: end.logId, position: end.position });
  return true;
}

/** `ends` says where regions' own logs ended, so that no fold goes beyond before it comes to know that; what it finds out is added. */
async function tryRebuild(
  options: RebuildOptions,
  ends: Map<Region, LogPosition>,
): Promise<Rebuilt | "lost" | undefined> {
  const { regions, snapshots, present, open, freeze, stopped, progress } = options;
  const begun = await base(options);
  if (begun === undefined) return undefined;
  const { replica, wholeFrom } = begun;
  let lost = false;
  const goals = [...wholeFrom, ...standsOf(present)];
  const making = new Making(replica, present);
  const following = new Following({
    regions,
    open,
    sink: making,
    end: (region) => ends.get(region),
    trouble: () => undefined,
    lost: (region, detail, astray) => {
      // One that went beyond an end only because it did not know of it was not led astray.
      if (astray && !learn(ends, replica, region)) snapshots.astray(region, begun.from);
      progress(`log of ${region}: ${detail}`);
      lost = true;
    },
  });
  following.start();
  const goesOn = (): boolean => !stopped() && !lost;
  // A copy that was lost or is made anew ends before what there was: nothing is given up for that.
  const missing = (): Region[] => {
    const short = goals.filter((one) => isBehind(replica, one)).map(({ region }) => region);
    return regions.filter((region) => short.includes(region) || following.behind.includes(region));
  };
  while (goesOn() && missing().length > 0) {
    progress(`folding ${missing().join(", ")}`);
    await pause(CATCH_UP_EVERY_MS);
  }
  if (goesOn()) await scrub(present);
  making.hold();
  for (let waitedMs = 0; waitedMs < MEET_MS && goesOn() && making.isAhead; waitedMs += CATCH_UP_EVERY_MS)
    await pause(CATCH_UP_EVERY_MS);
  const thaw = goesOn() ? await freeze() : undefined;
  for (let waitedMs = 0; goesOn() && making.isShort; waitedMs += CATCH_UP_EVERY_MS) {
    await pause(CATCH_UP_EVERY_MS);
    // Of a log that lost its end `present` has more than there is: it is needed for mending that.
    if (waitedMs >= SHORT_MS) lost = true;
  }
  await following.stop();
  if (stopped()) return undefined;
  if (lost) {
    thaw?.();
    return "lost";
  }
  const same = regions.filter((region) => isSame(replica, present, region));
  return { ...begun, compared: same.length, differences: differencesOf(replica, present, same) };
}

/** The replica in the making. Once it holds, it folds nothing that `present` has not folded: they are to meet, though frames go on coming. */
class Making implements Sink {
  readonly #replica: Replica;
  readonly #present: Replica;
  /** What came while it holds, by region. */
  readonly #held = new Map<Region, { readonly position: Position; readonly frame: Frame }[]>();
  #holding = false;

  constructor(replica: Replica, present: Replica) {
    this.#replica = replica;
    this.#present = present;
  }

  hold(): void {
    this.#holding = true;
  }

  folds(): readonly Fold[] {
    return this.#replica.folds;
  }

  at(region: Region): Place {
    const last = this.#held.get(region)?.at(-1);
    if (last === undefined) return placeIn(this.#replica, region);
    const { logId, checksum = 0 } = last.frame;
    return { logId, position: last.position, checksum };
  }

  fold(region: Region, position: Position, frame: Frame): void {
    if (!this.#holding) {
      this.#replica.apply(region, position, frame);
      return;
    }
    const held = this.#held.get(region) ?? [];
    this.#held.set(region, held);
    held.push({ position, frame });
  }

  /** Whether it has more than `present` of a log that both have. */
  get isAhead(): boolean {
    const shared = this.#replica.regions.filter((region) => placeIn(this.#present, region).logId !== "");
    return shared.some((region) => isShort(this.#present, this.#replica, region));
  }

  /** Whether `present` has more of one, also after what is held is folded as far as that. */
  get isShort(): boolean {
    for (const [region, held] of this.#held) {
      while (isShort(this.#replica, this.#present, region)) {
        const next = held.shift();
        if (next === undefined) break;
        this.#replica.apply(region, next.position, next.frame);
      }
    }
    return this.#replica.regions.some((region) => isShort(this.#replica, this.#present, region));
  }
}

/** Where the replica stands in the region's log. */
export function placeIn(replica: Replica, region: Region): Place {
  const { logId, position, checksum } = replica.fold(region) ?? { logId: "", position: 0, checksum: 0 };
  return { logId, position, checksum };
}

function standsOf(replica: Replica): Stand[] {
  return replica.regions.map((region) => ({ region, place: placeIn(replica, region) }));
}

function isShort(replica: Replica, other: Replica, region: Region): boolean {
  return isBehind(replica, { region, place: placeIn(other, region) });
}

/** Whether the replica has that log not as far, or no log of the region at all, or is to go over to that one, an heir's. */
function isBehind(replica: Replica, { region, place }: Stand): boolean {
  const fold = replica.fold(region);
  if (fold === undefined || fold.logId === "" || fold.logId === place.logId)
    return placeIn(replica, region).position < place.position;
  return neededIn(replica.folds, fold)?.logId === place.logId;
}

function isSame(replica: Replica, present: Replica, region: Region): boolean {
  const [made, had] = [placeIn(replica, region), placeIn(present, region)];
  return made.logId === had.logId && made.position === had.position;
}
