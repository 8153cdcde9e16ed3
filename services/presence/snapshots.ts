/**
 * A node's snapshots: taken of its replica while it goes on, put to its region's store, and loaded again. Rule: of two that would do, the
 * newest whole one is taken; one that is damaged is left out, with its reason, and the one before is used. One that is in doubt is used
 * where nothing else leads on.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { formatToken } from "../../replicator/core/token.ts";
import type { LogPosition, Token } from "../../replicator/core/token.ts";
import { ReplicaImport, exportReplica } from "../../replicator/core/transfer.ts";
import type { SnapshotStore, StoredSnapshot } from "../../replicator/log/port.ts";
import type { Lacked } from "../../replicator/runtime/announcement.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { formatLabel, parseLabel, positionIn } from "../../replicator/runtime/snapshot-label.ts";
import type { SnapshotLabel } from "../../replicator/runtime/snapshot-label.ts";
import { Doubts } from "./doubts.ts";
import { standIn } from "./heirs-log.ts";

/** How parts become bytes and bytes parts. */
export interface SnapshotCodec {
  encode(parts: Iterable<SnapshotPart>): AsyncIterable<Uint8Array>;
  decoder(take: (part: SnapshotPart) => void): {
    readonly fault: { readonly detail: string } | undefined;
    push(piece: Uint8Array): Promise<void>;
    end(): { readonly detail: string } | undefined;
  };
}

export interface SnapshotsOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly node: string;
  readonly store: SnapshotStore;
  readonly codec: SnapshotCodec;
  readonly clock: Clock;
}

/** What a log still holds. */
export interface Held {
  readonly logId: LogId;
  readonly first: Position;
  readonly head: Position;
  /** Where it goes on from, of a log that is held from its beginning and has one before it. */
  readonly base?: { readonly logId: LogId; readonly position: Position } | undefined;
}

export interface Labelled {
  readonly stored: StoredSnapshot;
  readonly label: SnapshotLabel;
}

export type Taken =
  | { readonly ok: true; readonly name: string; readonly bytes: number; readonly vector: Token }
  | { readonly ok: false; readonly detail: string };

export type Loaded =
  | { readonly ok: true; readonly replica: Replica }
  | { readonly ok: false; readonly detail: string };

/**
 * Of each region that took some: the newest, the one before in case the newest is damaged, and one so much older that what was wrong with
 * the replica it was taken of would have been found before the newest was taken. One brought from a peer outlives what is taken here.
 */
const KEPT = 2;
const OLDER_MS = LIMITS.digestMs;

export class Snapshots {
  readonly doubts = new Doubts();
  readonly #options: SnapshotsOptions;
  #taken = 0;
  /** Names of those found damaged: not tried again. */
  readonly #damaged = new Set<string>();
  /** By region: names of those that say what its log never had, which lost its end and went on otherwise. */
  readonly #astray = new Map<Region, Set<string>>();

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Writes the replica as it is now. */
  async take(replica: Replica): Promise<Taken> {
    const { region, node, store, codec, clock } = this.#options;
    const atMs = clock().wallMs;
    const parts = exportReplica(replica);
    // The state is that of this moment, though it is read out later.
    const head = defined(parts.next().value, "a snapshot has a head");
    const stand = standIn(replica);
    const { vector } = stand;
    this.#taken += 1;
    const name = `${region}-${node}-${atMs}-${this.#taken}`.replaceAll(/[^A-Za-z0-9_-]/g, "_");
    const label = formatLabel({ region, node, atMs, ...stand });
    this.doubts.taken(name, replica);
    const written = await store.write(name, label, codec.encode(chain(head, parts)));
    // Where writing failed half way, the folds still keep what changes.
    parts.return(undefined);
    if (!written.ok) return { ok: false, detail: written.detail };
    return { ok: true, name, bytes: written.bytes, vector };
  }

  /** All that are labelled, newest first; `undefined` when the store does not answer. */
  async list(): Promise<Labelled[] | undefined> {
    const listed = await this.#options.store.list();
    if (!listed.ok) return undefined;
    return listed.snapshots.flatMap((stored) => {
      const label = parseLabel(stored.label);
      return label === undefined ? [] : [{ stored, label }];
    });
  }

  /** Removes what nobody needs any more; resolves to those kept, newest first. */
  async prune(): Promise<Labelled[] | undefined> {
    const all = await this.list();
    if (all === undefined) return undefined;
    const kept = all.filter((one) => keptOf(all, one.label.region).includes(one));
    for (const one of all) if (!kept.includes(one)) await this.#options.store.remove(one.stored.name);
    this.doubts.keep(new Set(kept.map(({ stored }) => stored.name)));
    return kept;
  }

  /** Removes those in doubt: they were found to say what the logs do not. Resolves to their names. */
  async removeDoubted(): Promise<string[]> {
    const all = (await this.list()) ?? [];
    const doubted = all.map(({ stored }) => stored.name).filter((name) => this.doubts.has(name));
    for (const name of doubted) await this.#options.store.remove(name);
    return doubted;
  }

  /**
   * One from which every log can be followed on, and neither damaged nor in doubt: the newest; for a replica that is `suspect` the oldest,
   * as others may say what is wrong with it. Where all are in doubt, the oldest.
   */
  fitting(all: readonly Labelled[], logs: ReadonlyMap<Region, Held>, suspect: boolean): Labelled | undefined {
    const fitting = this.#fitting(all, logs, [...logs.keys()]);
    return suspect ? fitting.at(-1) : fitting[0];
  }

  /** Those that would do for these regions, newest first: without those in doubt, unless all are. */
  #fitting(
    all: readonly Labelled[],
    logs: ReadonlyMap<Region, Held>,
    regions: readonly Region[],
  ): Labelled[] {
    const { region } = this.#options;
    const fitting = all.filter(
      (one) =>
        !this.isUseless(one, regions) && regions.every((origin) => goesOnIn(one.label, origin, logs, region)),
    );
    // A log without frames is begun again with what the snapshot has of it: nobody's has more than the region's own newest.
    const newest = fitting.find(({ label }) => label.region === region);
    const isOwnEmpty = regions.includes(region) && logs.get(region)?.head === 0;
    if (isOwnEmpty && newest !== undefined) return [newest];
    const sound = fitting.filter(({ stored }) => !this.doubts.has(stored.name));
    return sound.length > 0 ? sound : fitting.slice(-1);
  }

  /**
   * Where no single one leads on (several logs were begun again at the same time, or each is held from beyond where some snapshot ends):
   * for each region one from which its log can be followed; `undefined` where one has none. Of several the one that is furthest in the log:
   * then no other knows that a forward was processed there which it has still to hear of. A copy that is not there, or has no frames, goes on
   * from any of them: the furthest is meant there too.
   */
  fittingEach(
    all: readonly Labelled[],
    logs: ReadonlyMap<Region, Held>,
    suspect: boolean,
  ): Map<Region, Labelled> | undefined {
    const chosen = new Map<Region, Labelled>();
    for (const [region, held] of logs) {
      const fitting = this.#fitting(all, logs, [region]);
      const logId = held.logId === "" ? this.#named(region, fitting) : held.logId;
      const at = ({ label }: Labelled): Position => positionIn(label, region, logId) ?? 0;
      const furthest = Math.max(...fitting.map(at));
      const found = suspect ? fitting.at(-1) : fitting.find((one) => at(one) === furthest);
      if (found === undefined) return undefined;
      chosen.set(region, found);
    }
    return chosen;
  }

  /** The logs to which none of them leads. */
  lacked(all: readonly Labelled[], logs: ReadonlyMap<Region, Held>): Lacked[] {
    const ledToByNone = [...logs].filter(
      ([region, held]) => held.head > 0 && this.#fitting(all, logs, [region]).length === 0,
    );
    return ledToByNone.map(([region, { logId, first, head }]) => {
      const useless = all.filter((one) => this.isUseless(one, [region])).map(({ stored }) => stored.name);
      return { region, logId, atLeast: first - 1, head, useless };
    });
  }

  /**
   * The log that the region had, as this region's newest snapshot that has one says, or else the newest of all; "" where none has one. What
   * this region's log forwarded there is known as far as these say.
   */
  #named(region: Region, newestFirst: readonly Labelled[]): LogId {
    const naming = newestFirst.filter(({ label }) => label.vector.has(region));
    const named = naming.find(({ label }) => label.region === this.#options.region) ?? naming[0];
    return named?.label.vector.get(region)?.logId ?? "";
  }

  /** One of them, at least, says what the region's log never had. */
  astray(region: Region, names: readonly string[]): void {
    this.#astray.set(region, new Set([...(this.#astray.get(region) ?? []), ...names]));
  }

  /** Whether it is known to be damaged, or not to lead to one of these logs. */
  isUseless({ stored }: Labelled, regions: Iterable<Region>): boolean {
    if (this.#damaged.has(stored.name)) return true;
    return [...regions].some((region) => this.#astray.get(region)?.has(stored.name) === true);
  }

  async load({ stored, label }: Labelled, progress: (percent: number) => void): Promise<Loaded> {
    const { regions, store, codec } = this.#options;
    const restoring = new ReplicaImport(regions);
    let fault: string | undefined;
    let bytes = 0;
    const decoder = codec.decoder((part) => {
      fault ??= restoring.take(part);
    });
    const read = await store.read(stored.name, async (piece) => {
      bytes += piece.byteLength;
      progress(Math.floor((100 * bytes) / Math.max(1, stored.bytes)));
      await decoder.push(piece);
    });
    if (!read.ok && read.reason !== "damaged") return { ok: false, detail: read.detail };
    const cut = read.ok ? decoder.end() : read;
    const { result } = restoring;
    const wrong = cut?.detail ?? fault ?? misnamed(result, label);
    if (wrong === undefined && result !== undefined) return { ok: true, replica: result };
    this.#damaged.add(stored.name);
    return { ok: false, detail: `snapshot ${stored.name} is damaged: ${wrong ?? "it has no end"}` };
  }
}

function* chain<T>(first: T, rest: Iterable<T>): Generator<T> {
  yield first;
  yield* rest;
}

/** Of all, newest first, those of one region that are kept. */
function keptOf(all: readonly Labelled[], region: Region): Labelled[] {
  const taken = all.filter(({ label }) => label.region === region);
  const [newest, ...others] = taken;
  if (newest === undefined || taken.length <= KEPT) return taken;
  const older = others.slice(KEPT - 1);
  const oldEnough = older.find(({ label }) => label.atMs <= newest.label.atMs - OLDER_MS);
  return [...taken.slice(0, KEPT), ...(oldEnough === undefined ? older.slice(-1) : [oldEnough])];
}

/** What is in it must be what its label says. */
function misnamed(replica: Replica | undefined, label: SnapshotLabel): string | undefined {
  const stand = replica && standIn(replica);
  const isSame =
    stand !== undefined &&
    [...label.vector].every(([region, at]) => isAt(stand.vector.get(region), at)) &&
    textOf(stand.over) === textOf(label.over) &&
    textOf(stand.needed) === textOf(label.needed);
  return isSame ? undefined : "its label speaks of another state";
}

function isAt(here: LogPosition | undefined, { logId, position }: LogPosition): boolean {
  return here?.logId === logId && here.position === position;
}

function textOf(places: Token = new Map()): string {
  return formatToken(places);
}

/**
 * Whether the region's fold goes on from the snapshot in the logs that are held, its own or an heir's. This region's own log, empty, is begun
 * again with whatever state there is; every other must go on where the fold ends.
 */
function goesOnIn(
  { vector, over, needed }: SnapshotLabel,
  region: Region,
  logs: ReadonlyMap<Region, Held>,
  own: Region,
): boolean {
  const from = needed?.get(region);
  const isHeldNext = [...logs].some(
    ([origin, one]) =>
      leadsTo(from, one) || (vector.get(origin)?.logId === from?.logId && isBegunFrom(one, origin === own)),
  );
  if (from !== undefined && !isHeldNext) return false;
  const held = logs.get(region);
  if (held === undefined || isBegunFrom(held, region === own)) return true;
  const at = vector.get(region);
  if (leadsTo(at, held)) return true;
  const { logId, base } = held;
  const ended = over?.get(region)?.logId;
  // It is over, or goes on from where it is: the region's next log, which begins elsewhere, is still to come.
  if (ended !== undefined && (logId === ended || base?.logId === ended)) return true;
  const isInHeirs = from !== undefined && from.logId === at?.logId;
  return isInHeirs && base?.logId === from.logId && base.position >= from.position;
}

function isBegunFrom({ head, logId }: Held, isOwn: boolean): boolean {
  return head === 0 && (isOwn || logId === "");
}

/** Whether a fold that stands there can fold the log that is held; one that stands nowhere, only a log without a past. */
function leadsTo(
  at: { readonly logId: LogId; readonly position: Position } | undefined,
  { logId, first, base }: Held,
): boolean {
  if (at?.logId === logId) return first <= at.position + 1;
  if (base !== undefined) return at?.logId === base.logId && at.position === base.position;
  return at === undefined && first <= 1;
}
