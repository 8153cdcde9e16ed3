/**
 * Everything that the regions' logs ever held, as a tree of strands. A strand is a run of frames without a fork: another begins where a log
 * that lost its end goes on with other frames, where a log is begun again, and where it goes on in the log of the region's heir. Rule: a
 * position means nothing without its strand; a place (both) says which frames came before it.
 */
import { isDeepStrictEqual } from "node:util";
import type { Frame, LogId, Position, Region, UserId } from "../../replicator/core/commands.ts";
import type { Entry } from "../../replicator/log/port.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import type { Stored } from "./servers.ts";
import { decisionsIn, saidIn } from "./heirs-frames.ts";
import type { Decided } from "./heirs-frames.ts";
import { userIn } from "../core/users.ts";

export interface Strand {
  readonly number: number;
  readonly region: Region;
  /** Who appends to it: the region, or its heir, whose log it is. */
  readonly writer: Region;
  readonly logId: LogId;
  /** Where it goes on from, in this log or in the one before; nowhere for a log without a past. */
  readonly from: Place | undefined;
  /** Position of its first frame. */
  readonly start: Position;
  readonly frames: Stored[];
  /** Strands that go on from this one. */
  readonly forks: Strand[];
}

export interface Place {
  readonly strand: Strand;
  readonly position: Position;
}

export class History {
  /** Of what the region itself writes. */
  readonly #newest = new Map<Region, Strand>();
  /** Of what counts of regions that were succeeded, until they begin their logs again. */
  readonly #deputed = new Map<
    Region,
    { readonly strand: Strand; readonly decided: Place; hasYielded: boolean }
  >();
  /** The newest decision that counts, by heir and lost region. */
  readonly #decided = new Map<string, Decided>();
  readonly #byLog = new Map<LogId, Strand[]>();
  /** A strand begins that is not the region's first. */
  readonly #begun: (strand: Strand) => void;
  #strands = 0;

  constructor(begun: (strand: Strand) => void = () => undefined) {
    this.#begun = begun;
  }

  /** Whether some region asks to go on for another, and that is not decided. */
  get isFenced(): boolean {
    return [...this.#decided.values()].some(({ phase }) => phase === "fence");
  }

  /** What counts of a region in place of what stands at the place: where its heir went on, if that was from before it. */
  counted(place: Place): Place {
    const strand = this.#deputed.get(place.strand.region)?.strand;
    if (strand === undefined || this.has({ strand, position: endOf(strand) }, place)) return place;
    return { strand, position: strand.start };
  }

  /** Where the heir's log says that it goes on for the region, until the region has begun its log again. */
  succeeded(region: Region): Place | undefined {
    return this.#deputed.get(region)?.decided;
  }

  /** The log stored an entry. `begunFrom` is where its author stood, if the entry begins a log that goes on from another. */
  stored(region: Region, entry: Stored, begunFrom: () => Place | undefined): Place {
    const { logId, position } = entry;
    let strand = this.#newest.get(region);
    if (strand?.logId !== logId)
      strand = this.#begin({ region, writer: region, logId, from: begunFrom(), start: 1 });
    else {
      strand = holding(strand, position - 1);
      const there = this.at({ strand, position });
      const before = strand;
      const again = before.forks.find((fork) => isNext(fork, before, entry));
      if (again !== undefined) strand = again;
      else if (there !== undefined && !isSame(there, entry))
        strand = this.#begin({
          region,
          writer: region,
          logId,
          from: { strand, position: position - 1 },
          start: position,
        });
    }
    this.#newest.set(region, strand);
    if (position === endOf(strand) + 1) strand.frames.push(entry);
    const place = { strand, position };
    for (const decided of decisionsIn(frameOf(entry))) this.#decide(place, decided);
    for (const one of this.#deputed.values())
      if (one.strand.writer === region && !one.hasYielded && endOf(one.strand) + 1 === position) {
        one.strand.frames.push(entry);
        one.hasYielded = decisionsIn(frameOf(entry)).some(
          ({ lost, phase }) => lost === one.strand.region && phase === "yield",
        );
      }
    return place;
  }

  /** What of a decision counts: they follow each other in order, and the first of several does. */
  #decide(place: Place, decided: Decided): void {
    const heir = place.strand.region;
    const { lost, phase, generation, base } = decided;
    const key = `${heir} ${lost}`;
    const before = this.#decided.get(key);
    const isFree = before === undefined || before.phase === "yield";
    const follows = phase === "fence" ? isFree : !isFree && before.generation === generation;
    if (!follows || (phase === "succeed" && before?.phase !== "fence")) return;
    this.#decided.set(key, decided);
    if (phase !== "succeed" || base === undefined) return;
    const from = this.places(lost, base.logId, base.position).findLast((one) => {
      const stored = this.at(one);
      return stored !== undefined && frameOf(stored).checksum === base.checksum;
    });
    const { position, strand } = place;
    const deputed = this.#begin({ region: lost, writer: heir, logId: strand.logId, from, start: position });
    this.#deputed.set(lost, { strand: deputed, decided: place, hasYielded: false });
  }

  /** Where what counts of the region ends, whose own log has `last` frames by now; nowhere before its first. */
  end(region: Region, logId: LogId, last: Position): Place | undefined {
    const deputed = this.#deputed.get(region)?.strand;
    if (deputed !== undefined) return { strand: deputed, position: endOf(deputed) };
    return this.written(region, logId, last);
  }

  /** Where the region's own log ends that has `last` frames by now, whether that counts or not. */
  written(region: Region, logId: LogId, last: Position): Place | undefined {
    const strand = this.#newest.get(region);
    if (strand === undefined || strand.logId !== logId || last === 0) return undefined;
    return { strand: holding(strand, last), position: last };
  }

  /** The frame at a place. */
  at({ strand, position }: Place): Stored | undefined {
    const held = holding(strand, position);
    return held.frames[position - held.start];
  }

  /** All places that a position of a log may mean in what counts of the region. */
  places(region: Region, logId: LogId, position: Position): Place[] {
    return (this.#byLog.get(logId) ?? [])
      .filter((one) => one.region === region && one.start <= position && position <= endOf(one))
      .map((strand) => ({ strand, position }));
  }

  /** The place that a position of a log means: the newest one whose frame is of that kind, or the newest. */
  find(
    region: Region,
    logId: LogId,
    position: Position,
    isMeant: (frame: Frame) => boolean,
  ): Place | undefined {
    const places = this.places(region, logId, position);
    if (places.length <= 1) return places[0];
    const meant = places.findLast((place) => {
      const stored = this.at(place);
      return stored !== undefined && isMeant(frameOf(stored));
    });
    return meant ?? places.at(-1);
  }

  /** Whether who stands at `here` has the frame at `there`. */
  has(here: Place | undefined, there: Place): boolean {
    for (let at = here; at !== undefined; at = at.strand.from)
      if (at.strand === there.strand) return at.position >= there.position;
    return false;
  }

  /** The place behind `here` that has this entry; nowhere where it does not follow. */
  next(here: Place | undefined, entry: Entry | Frame, position: Position): Place | undefined {
    if (here === undefined) {
      const roots = (this.#byLog.get(entry.logId) ?? []).filter(({ start, from }) => start === 1 && !from);
      return this.#meant(
        roots.map((strand) => ({ strand, position })),
        entry,
      );
    }
    const { strand } = here;
    const isInside = here.position < endOf(strand) && position === here.position + 1;
    if (strand.forks.length === 0 && isInside && strand.logId === entry.logId) return { strand, position };
    const places = strand.forks
      .filter(
        ({ from, logId, start }) =>
          from?.position === here.position && logId === entry.logId && start === position,
      )
      .map((fork) => ({ strand: fork, position }));
    if (isInside && strand.logId === entry.logId) places.push({ strand, position });
    return this.#meant(places, entry);
  }

  /** As `next`, in a copy: behind what the region's heir went on from comes the log that the region begins where the heir ends. */
  nextInCopy(here: Place, entry: Entry): Place | undefined {
    const { logId, position } = entry;
    const next = this.next(here, entry, position);
    if (next !== undefined || position !== 1) return next;
    const begun = (this.#byLog.get(logId) ?? []).find(({ region, writer, start, from }) => {
      if (start !== 1 || writer !== region) return false;
      let at = from;
      while (at !== undefined && at.strand.writer !== region) at = at.strand.from;
      return at !== undefined && at !== from && this.has(here, at);
    });
    return begun && { strand: begun, position };
  }

  /** The oldest frame that the log ending at `end` has and who stands at `here` has not; the first one since they parted. */
  missing(here: Place | undefined, end: Place | undefined): Stored | undefined {
    let first: Place | undefined;
    for (let at = end; at !== undefined; at = at.strand.from) {
      const inCommon = commonPosition(here, at.strand);
      if (inCommon >= at.position) break;
      if (inCommon > 0) return this.at({ strand: at.strand, position: inCommon + 1 });
      first = { strand: at.strand, position: at.strand.start };
    }
    return first === undefined ? undefined : this.at(first);
  }

  /** Every frame up to a place, log by log, each as far as the next one goes on from it. */
  lineage(place: Place | undefined): Frame[][] {
    if (place === undefined) return [];
    const { strand, position } = place;
    const before = this.lineage(strand.from);
    const own = strand.frames.slice(0, position - strand.start + 1).map(frameOf);
    if (strand.writer !== strand.region) return [...before, saidIn(strand, own)];
    if (strand.start > 1) before.at(-1)?.push(...own);
    else before.push(own);
    return before;
  }

  /** Where each log that the region ever had ends, lost ends included. */
  ends(region: Region): Place[] {
    return [...this.#byLog.values()]
      .flat()
      .filter((strand) => strand.region === region)
      .map((strand) => ({ strand, position: endOf(strand) }));
  }

  /** What the region last wrote that stopped to count when an heir went on: where the heir did, and the frames behind that. */
  lostTo(region: Region): { readonly from: Place; readonly frames: readonly Stored[] } | undefined {
    const deputed = [...this.#byLog.values()]
      .flat()
      .filter((one) => one.region === region && one.writer !== region);
    const from = deputed.toSorted((a, b) => a.number - b.number).at(-1)?.from;
    if (from === undefined) return undefined;
    const { strand, position } = from;
    return { from, frames: strand.frames.slice(position - strand.start + 1) };
  }

  /** Users of whom the frames speak that stand before `end` and not before `kept`. */
  lostUsers(end: Place, kept: Place | undefined): UserId[] {
    const users: UserId[] = [];
    for (let at: Place | undefined = end; at !== undefined; at = at.strand.from) {
      const inCommon = commonPosition(kept, at.strand);
      const lost = at.strand.frames.slice(
        Math.max(0, inCommon - at.strand.start + 1),
        at.position - at.strand.start + 1,
      );
      for (const stored of lost)
        for (const command of frameOf(stored).commands) {
          const user = userIn(command);
          if (user !== undefined) users.push(user);
        }
    }
    return users;
  }

  #meant(places: readonly Place[], entry: Entry | Frame): Place | undefined {
    if (places.length <= 1 && "commands" in entry) return places[0];
    return places.find((place) => {
      const stored = this.at(place);
      if (stored === undefined) return false;
      return "commands" in entry ? isDeepStrictEqual(frameOf(stored), entry) : isSame(stored, entry);
    });
  }

  #begin(given: Pick<Strand, "region" | "writer" | "logId" | "from" | "start">): Strand {
    this.#strands += 1;
    const strand: Strand = { number: this.#strands, ...given, frames: [], forks: [] };
    const { region, logId, from } = strand;
    from?.strand.forks.push(strand);
    this.#byLog.set(logId, [...(this.#byLog.get(logId) ?? []), strand]);
    if (from !== undefined && from.strand === this.#deputed.get(region)?.strand) this.#deputed.delete(region);
    if (this.#newest.has(region)) this.#begun(strand);
    return strand;
  }
}

export function endOf({ start, frames }: Strand): Position {
  return start + frames.length - 1;
}

const decoded = new WeakMap<Stored, Frame>();

/** What an entry says. */
export function frameOf(entry: Stored): Frame {
  const known = decoded.get(entry);
  if (known !== undefined) return known;
  const result = decodeFrame(entry.bytes);
  if (!result.ok) throw new Error(`frame ${entry.position} of ${entry.logId}: ${result.detail}`);
  decoded.set(entry, result.frame);
  return result.frame;
}

/** Whether the frame speaks of that session, or of that user. */
export function mentions({ commands }: Frame, id: string): boolean {
  return JSON.stringify(commands).includes(`"${id}"`);
}

/** A place in words. */
export function placeText(place: Place | undefined): string {
  if (place === undefined) return "nothing";
  return `${place.strand.logId}/${place.strand.number}:${place.position}`;
}

/** The strand of the same log, this one or one that it forked from, that holds the position. */
function holding(strand: Strand, position: Position): Strand {
  let held = strand;
  while (position < held.start && held.from?.strand.logId === held.logId) held = held.from.strand;
  return held;
}

/** Up to where who stands at `here` has the strand; 0 for not at all. */
function commonPosition(here: Place | undefined, strand: Strand): Position {
  for (let at = here; at !== undefined; at = at.strand.from) if (at.strand === strand) return at.position;
  return 0;
}

function isNext(fork: Strand, strand: Strand, entry: Entry): boolean {
  const [first] = fork.frames;
  const isHere = fork.logId === entry.logId && fork.start === entry.position && fork.from?.strand === strand;
  return isHere && first !== undefined && isSame(first, entry);
}

function isSame(one: Entry, other: Entry): boolean {
  return Buffer.compare(one.bytes, other.bytes) === 0;
}
