/**
 * How much of the logs is kept. Rule: nothing is dropped that the snapshot before the newest does not hold, nor what a peer still has to
 * copy, unless an operator wrote that peer off, or the log is larger or older than its bounds: then that peer is overrun, and needs a
 * snapshot.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Copied } from "../../replicator/runtime/announcement.ts";

interface Sample {
  readonly atMs: number;
  readonly head: Position;
  readonly bytes: number;
}

export interface RetentionOptions {
  readonly peers: readonly Region[];
  readonly bytesMax: number;
  readonly ageMaxMs: number;
}

/** Heads of this region's log remembered, one each `SAMPLE_MS`: a day of them. */
const SAMPLES_MAX = 8_640;
export const SAMPLE_MS = 10_000;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #copied = new Map<Region, { readonly logId: LogId; readonly position: Position }>();
  readonly #samples: Sample[] = [];
  #logId: LogId = "";

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** A peer has copied this region's log so far. */
  copied({ region, logId, position }: Copied): void {
    if (!this.#options.peers.includes(region)) return;
    const known = this.#copied.get(region);
    if (known?.logId === logId && known.position >= position) return;
    this.#copied.set(region, { logId, position });
  }

  /** How far the peers have copied the log: the furthest of them. */
  copiedBySome(logId: LogId): Position {
    return Math.max(0, ...this.#options.peers.map((peer) => this.#copiedBy(peer, logId)));
  }

  /** How this region's log stands now. */
  sample(logId: LogId, sample: Sample): void {
    if (logId !== this.#logId) this.#samples.length = 0;
    this.#logId = logId;
    if (this.#samples.length === SAMPLES_MAX) this.#samples.shift();
    this.#samples.push(sample);
  }

  /** Below which position this region's log is not needed any more; `held` is where the snapshot before the newest has it. */
  truncateBelow(held: Position, writtenOff: (peer: Region) => boolean, nowMs: number): Position {
    const waitFor = this.#options.peers.filter((peer) => !writtenOff(peer));
    const copied = Math.min(held, ...waitFor.map((peer) => this.#copiedBy(peer, this.#logId)));
    const kept = this.#isOver(copied, nowMs) ? held : copied;
    return Math.max(1, kept - LIMITS.framesKept);
  }

  /** Seconds until the peer is overrun, if it copies nothing any more; `null` while nothing is known, or it needs nothing. */
  secondsToOverrun(peer: Region, nowMs: number): number | null {
    const newest = this.#samples.at(-1);
    const oldest = this.#samples[0];
    const copied = this.#copiedBy(peer, this.#logId);
    if (newest === undefined || oldest === undefined || copied >= newest.head) return null;
    const perMs = (newest.bytes - oldest.bytes) / Math.max(1, newest.atMs - oldest.atMs);
    const fullMs = perMs > 0 ? (this.#options.bytesMax - newest.bytes) / perMs : Number.POSITIVE_INFINITY;
    const oldMs = this.#options.ageMaxMs - this.#ageMs(copied, nowMs);
    return Math.max(0, Math.round(Math.min(fullMs, oldMs) / 1_000));
  }

  #copiedBy(peer: Region, logId: LogId): Position {
    const copied = this.#copied.get(peer);
    return copied?.logId === logId ? copied.position : 0;
  }

  #isOver(position: Position, nowMs: number): boolean {
    const bytes = this.#samples.at(-1)?.bytes ?? 0;
    return bytes > this.#options.bytesMax || this.#ageMs(position, nowMs) > this.#options.ageMaxMs;
  }

  /** Since when there has been something beyond `position`, as far as is remembered. */
  #ageMs(position: Position, nowMs: number): number {
    const first = this.#samples.find(({ head }) => head > position);
    return first === undefined ? 0 : nowMs - first.atMs;
  }
}
