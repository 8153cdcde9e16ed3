/**
 * How far behind a peer's log is seen here, measured from that log's own watermarks. Rule (invariant 9): it reads 0 only when
 * caught up, and what was never measured is -1 or `undefined`, never 0.
 *
 * With t0 the time of our watermark, t1 when the peer folded it, t2 the time of the peer's watermark that says so and t3 when we
 * fold that one (t0, t3 by our clock, t1, t2 by the peer's): loop lag = t3 − t0; the peer's clock is ahead by
 * ((t1 − t0) + (t2 − t3)) / 2, off by at most ((t3 − t0) − (t2 − t1)) / 2 (RFC 5905, section 8).
 */
import { defined } from "./assert.ts";
import type { Frame, PeerProgress } from "./commands.ts";

/** Both clocks at one moment: `monoMs` measures durations, `wallMs` is for people and for other regions. */
export interface Now {
  readonly monoMs: number;
  readonly wallMs: number;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface ClockOffset {
  /** Peer's clock minus ours, in milliseconds. */
  readonly offsetMs: number;
  /** The offset is right within ± this. */
  readonly errorMs: number;
}

/** The same, as the peer sees it. */
export function negated(clock: ClockOffset | undefined): ClockOffset | undefined {
  return clock && { offsetMs: -clock.offsetMs, errorMs: clock.errorMs };
}

/** One estimate, and when our watermark went out, by our monotonic clock. */
interface Estimate {
  readonly clock: ClockOffset;
  readonly atMs: number;
}

/** Two clocks part by at most this share of the time that passes: 500 ppm each, what NTP takes for a clock's worst (RFC 5905, section 13). */
const DRIFT = 0.001;
const SAMPLES = 1024;
/** Of the last 16 estimates (4 s of watermarks) the one with the least error stands, as NTP's clock filter does. */
const OFFSETS = 16;

/** The newest 1,024 values of a stream, with their percentiles. */
export class Window {
  readonly #values = new Float64Array(SAMPLES);
  #count = 0;
  /** Of the values as they are; absent until asked for. */
  #percentiles: Percentiles | undefined;

  add(value: number): void {
    this.#percentiles = undefined;
    this.#values[this.#count % SAMPLES] = value;
    this.#count += 1;
  }

  /** Nearest-rank percentiles; `undefined` before the first value. */
  percentiles(): Percentiles | undefined {
    const held = Math.min(this.#count, SAMPLES);
    if (held === 0 || this.#percentiles !== undefined) return this.#percentiles;
    const sorted = this.#values.slice(0, held).toSorted();
    const at = (share: number): number =>
      defined(sorted[Math.ceil(share * held) - 1], "a share of the window is in the window");
    this.#percentiles = { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
    return this.#percentiles;
  }
}

/** What this node has measured of one peer. */
export class PeerLag {
  /** Commit time of the peer's newest folded watermark (peer's clock), and when it was folded (both our clocks); 0 before the first. */
  watermarkMs = 0;
  heardWallMs = 0;
  heardMonoMs = 0;
  /** Our watermark until its echo; -1 before the first. */
  loopLagMs = -1;
  readonly #visible = new Window();
  readonly #offsets: Estimate[] = [];

  /** A frame of the peer became visible here; when is not known before the peer's clock is. */
  frame(committedAtMs: number, now: Now): void {
    const clock = this.clock();
    if (clock !== undefined) this.#visible.add(Math.max(0, now.wallMs + clock.offsetMs - committedAtMs));
  }

  /** A watermark of the peer, committed at `committedAtMs` by its clock; `echo` is what it says of our log. */
  watermark(committedAtMs: number, echo: PeerProgress | undefined, now: Now): void {
    this.watermarkMs = committedAtMs;
    this.heardWallMs = now.wallMs;
    this.heardMonoMs = now.monoMs;
    if (echo === undefined || echo.watermarkMs === 0) return;
    this.loopLagMs = Math.max(0, now.wallMs - echo.watermarkMs);
    const offsetMs = (echo.heardMs - echo.watermarkMs + committedAtMs - now.wallMs) / 2;
    const errorMs = Math.max(0, now.wallMs - echo.watermarkMs - (committedAtMs - echo.heardMs)) / 2;
    if (this.#offsets.length === OFFSETS) this.#offsets.shift();
    this.#offsets.push({ clock: { offsetMs, errorMs }, atMs: now.monoMs - this.loopLagMs });
  }

  /** Milliseconds since the peer's newest watermark was committed, by our clocks alone plus its way here; infinite before the first. */
  watermarkAgeMs(now: Now): number {
    if (this.heardMonoMs === 0) return Number.POSITIVE_INFINITY;
    const onTheWay = Math.max(0, this.heardWallMs + (this.clock()?.offsetMs ?? 0) - this.watermarkMs);
    return now.monoMs - this.heardMonoMs + onTheWay;
  }

  /**
   * The most that the same can be, whatever the clocks say: what a claim may rest on. Infinite before the peer's clock is known. Our
   * watermark was committed before it was folded there, so each estimate bounds how far the peer's clock is ahead.
   */
  watermarkAgeMaxMs(now: Now): number {
    let aheadMs = Number.POSITIVE_INFINITY;
    for (const { clock, atMs } of this.#offsets)
      aheadMs = Math.min(aheadMs, clock.offsetMs + clock.errorMs + DRIFT * (now.monoMs - atMs));
    return now.monoMs - this.heardMonoMs + Math.max(0, this.heardWallMs + aheadMs - this.watermarkMs);
  }

  /** Milliseconds since anything was heard of the peer; infinite before the first watermark. */
  silentMs(now: Now): number {
    return this.heardMonoMs === 0 ? Number.POSITIVE_INFINITY : now.monoMs - this.heardMonoMs;
  }

  clock(): ClockOffset | undefined {
    let best: ClockOffset | undefined;
    for (const { clock } of this.#offsets)
      if (best === undefined || clock.errorMs <= best.errorMs) best = clock;
    return best;
  }

  visible(): Percentiles | undefined {
    return this.#visible.percentiles();
  }
}

/** How old this region's own log is here: another node may have appended what is not folded yet. The clocks of a region's nodes are taken for one. */
export class OwnLag {
  #heardMonoMs = 0;
  #onTheWayMs = Number.POSITIVE_INFINITY;

  folded({ commands, committedAtMs }: Frame, { monoMs, wallMs }: Now): void {
    if (!commands.some(({ kind }) => kind === "watermark")) return;
    this.#heardMonoMs = monoMs;
    this.#onTheWayMs = Math.max(0, wallMs - committedAtMs);
  }

  /** As {@link PeerLag.watermarkAgeMaxMs}. */
  watermarkAgeMaxMs({ monoMs }: Now): number {
    return monoMs - this.#heardMonoMs + this.#onTheWayMs;
  }
}
