/**
 * The origin × replica matrix: how far behind each region is of each other, as one node sees it. Its own row is measured here;
 * the others' rows are what their watermarks say, or "no data" once they are silent.
 * Rule (invariant 9): no row claims what nobody has measured lately; "no data" is `null`, never 0.
 */
import { defined } from "./assert.ts";
import type { Frame, LinkState, LogId, PeerProgress, Position, Region } from "./commands.ts";
import { deputyOf, writerOf } from "./deputy.ts";
import type { Fold } from "./fold.ts";
import { OwnLag, PeerLag, negated } from "./lag.ts";
import type { ClockOffset, Now, Percentiles } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import type { LinkReport } from "./link-events.ts";
import { badness, behind, isMoving } from "./link-states.ts";
import type { Replica } from "./replica.ts";

/** One cell. Times in milliseconds; `sinceMs` is wall-clock by the replica's clock. */
export interface LinkRow {
  readonly origin: Region;
  readonly replica: Region;
  readonly state: LinkState | "unknown";
  readonly reason: string;
  readonly sinceMs: number | null;
  /** Frames; a lower bound of at least 1, or no data, while the link is out of contact. */
  readonly eventsBehind: number | null;
  readonly watermarkAgeMs: number | null;
  readonly loopLagMs: number | null;
  readonly visible: Percentiles | null;
  readonly clock: ClockOffset | null;
  readonly reportAgeMs: number | null;
  /** When this replica's digest of the origin's log was last found equal to the log's own, by wall clock; only of this node's own rows. */
  readonly verifiedMs: number | null;
}

interface State {
  state: LinkState;
  reason: string;
  sinceMs: number;
}

/** What this node knows of one peer: as an origin it follows, and as a replica that reports. */
class Peer {
  readonly lag = new PeerLag();
  link: LinkReport | undefined;
  linkHeardMs = Number.NEGATIVE_INFINITY;
  /** The fold here refused a frame: nothing of this log goes further until somebody looks. */
  refused = "";
  /** When the log's digest was last found equal to the one here, by this node's clock; 0 before the first time. */
  verifiedMs = 0;
  shown: State | undefined;
  progress: readonly PeerProgress[] = [];
}

/** A replicator that has not reported for this long is not running. */
const REPORT_SILENCE_MS = 900;

export class LinkMatrix {
  /** What this node waits for, or how far it is, while its replica is being made of a snapshot; empty otherwise. */
  loading = "";
  readonly #region: Region;
  readonly #regions: readonly Region[];
  /** The replica of the moment. */
  readonly #replica: () => Replica;
  readonly #peers = new Map<Region, Peer>();
  readonly #own = new OwnLag();
  /** When the replica of the moment took its place, by the monotonic clock. */
  #adoptedMs = Number.NEGATIVE_INFINITY;

  constructor(region: Region, regions: readonly Region[], replica: () => Replica) {
    this.#region = region;
    this.#regions = regions;
    this.#replica = replica;
    for (const peer of regions) if (peer !== region) this.#peers.set(peer, new Peer());
  }

  /** A replicator of this region tells of its link from a peer. */
  report(report: LinkReport, now: Now): void {
    const peer = this.#peers.get(report.origin);
    if (peer === undefined) return;
    peer.link = report;
    peer.linkHeardMs = now.monoMs;
  }

  /** Whether every peer says, in its own log, that it has folded the region's log up to there; a peer has its own. */
  isFoldedByAll(region: Region, logId: LogId, position: Position): boolean {
    return [...this.#peers].every(([peer, { progress }]) => {
      const echo = progress.find((one) => one.region === region);
      return peer === region || (echo !== undefined && echo.logId === logId && echo.position >= position);
    });
  }

  /** What the peer said last, in its own log, of that region's. */
  progressOf(peer: Region, region: Region): PeerProgress | undefined {
    return this.#peers.get(peer)?.progress.find((one) => one.region === region);
  }

  /** Another replica took the place of the one that refused frames. */
  adopted(now: Now): void {
    this.#adoptedMs = now.monoMs;
    for (const peer of this.#peers.values()) peer.refused = "";
  }

  /** This replica's digest of the log was found equal to the one that the log carries. */
  verified(region: Region, now: Now): void {
    const peer = this.#peers.get(region);
    if (peer !== undefined) peer.verifiedMs = now.wallMs;
  }

  /** What the replicator said last of its link from `origin`; `undefined` before its first report. */
  reported(origin: Region): LinkReport | undefined {
    return this.#peers.get(origin)?.link;
  }

  refused(region: Region, reason: string, now: Now): void {
    const peer = this.#peers.get(region);
    if (peer === undefined) return;
    peer.refused = reason;
    this.#state(region, peer, now);
  }

  /** A frame of the region became visible here; `fresh` unless it was there before this node started. */
  folded(region: Region, frame: Frame, now: Now, fresh: boolean): void {
    if (region === this.#region) this.#own.folded(frame, now);
    const peer = this.#peers.get(region);
    if (peer === undefined) return;
    peer.refused = "";
    if (fresh) peer.lag.frame(frame.committedAtMs, now);
    for (const command of frame.commands) {
      if (command.kind !== "watermark") continue;
      peer.progress = command.peers;
      const echo = command.peers.find((one) => one.region === this.#region);
      peer.lag.watermark(frame.committedAtMs, echo, now);
    }
  }

  /** Milliseconds since the region was last heard of, plus what its newest watermark took to come; 0 for this region. */
  watermarkAgeMs(region: Region, now: Now): number {
    return region === this.#region
      ? 0
      : (this.#peers.get(region)?.lag.watermarkAgeMs(now) ?? Number.POSITIVE_INFINITY);
  }

  /** The most that it can be since the newest watermark was committed that is folded here; of this region's log too. */
  watermarkAgeMaxMs(region: Region, now: Now): number {
    const lag = region === this.#region ? this.#own : this.#peers.get(region)?.lag;
    return lag?.watermarkAgeMaxMs(now) ?? Number.POSITIVE_INFINITY;
  }

  /** Milliseconds of silence of a peer by the monotonic clock alone, since the replica took its place: when what is in it was said is not known. */
  silentMs(region: Region, now: Now): number {
    return Math.min(this.#peer(region).lag.silentMs(now), now.monoMs - this.#adoptedMs);
  }

  /** State of the link from `origin` to this region. */
  linkState(origin: Region, now: Now): LinkState | undefined {
    const peer = this.#peers.get(origin);
    return peer === undefined ? undefined : this.#state(origin, peer, now).state;
  }

  /** What this node's next watermark says of every peer. */
  progress(now: Now): PeerProgress[] {
    return [...this.#peers].map(([region, peer]) => {
      const fold = this.#fold(region);
      const { state, reason, sinceMs } = this.#state(region, peer, now);
      const visible = peer.lag.visible();
      return {
        region,
        logId: fold.logId,
        position: fold.position,
        head: this.#head(region, peer),
        watermarkMs: peer.lag.watermarkMs,
        heardMs: peer.lag.heardWallMs,
        state,
        sinceMs,
        reason: reason.replace(/[^\x20-\x7e]/g, "?").slice(0, LIMITS.reasonBytesMax),
        loopLagMs: Math.round(peer.lag.loopLagMs),
        visibleP50Ms: Math.round(visible?.p50 ?? -1),
        visibleP99Ms: Math.round(visible?.p99 ?? -1),
        visibleP999Ms: Math.round(visible?.p999 ?? -1),
      };
    });
  }

  /** Every ordered pair of regions, worst first by state, then by age. */
  rows(now: Now): LinkRow[] {
    const rows: LinkRow[] = [];
    for (const replica of this.#regions) {
      for (const origin of this.#regions) {
        if (origin !== replica) rows.push(this.#row(origin, replica, now));
      }
    }
    return rows.toSorted(
      (a, b) =>
        badness(b.state) - badness(a.state) ||
        (b.watermarkAgeMs ?? Infinity) - (a.watermarkAgeMs ?? Infinity) ||
        0,
    );
  }

  #row(origin: Region, replica: Region, now: Now): LinkRow {
    const loopLagMs = this.#loopLag(origin, replica, now);
    if (replica === this.#region) {
      const peer = this.#peer(origin);
      const fold = this.#fold(origin);
      const shown = this.#state(origin, peer, now);
      return {
        origin,
        replica,
        ...shown,
        eventsBehind: behind(shown.state, this.#head(origin, peer), fold.position),
        watermarkAgeMs: finite(peer.lag.watermarkAgeMs(now)),
        loopLagMs,
        visible: peer.lag.visible() ?? null,
        clock: negated(peer.lag.clock()) ?? null,
        reportAgeMs: 0,
        verifiedMs: peer.verifiedMs === 0 ? null : peer.verifiedMs,
      };
    }
    const reporter = this.#peer(replica);
    const clock = origin === this.#region ? (reporter.lag.clock() ?? null) : null;
    const silentMs = reporter.lag.silentMs(now);
    const report = reporter.progress.find((one) => one.region === origin);
    if (report === undefined || silentMs > LIMITS.staleAfterMs) {
      const reason =
        report === undefined
          ? `no report from ${replica} yet`
          : `no report from ${replica} for ${seconds(silentMs)}`;
      return {
        origin,
        replica,
        state: "unknown",
        reason,
        sinceMs: null,
        eventsBehind: null,
        watermarkAgeMs: null,
        loopLagMs,
        visible: null,
        clock,
        reportAgeMs: finite(silentMs),
        verifiedMs: null,
      };
    }
    const heardOrigin = report.watermarkMs !== 0;
    return {
      origin,
      replica,
      state: report.state,
      reason: report.reason,
      sinceMs: report.sinceMs,
      eventsBehind: behind(report.state, report.head, report.position),
      watermarkAgeMs: heardOrigin
        ? finite(Math.max(0, reporter.lag.watermarkMs - report.heardMs) + silentMs)
        : null,
      loopLagMs,
      visible:
        report.visibleP50Ms < 0
          ? null
          : { p50: report.visibleP50Ms, p99: report.visibleP99Ms, p999: report.visibleP999Ms },
      clock,
      reportAgeMs: finite(silentMs),
      verifiedMs: null,
    };
  }

  /** Loop lag is the origin's to measure: ours from our own echoes, a peer's from its watermark. It grows while no echo comes. */
  #loopLag(origin: Region, replica: Region, now: Now): number | null {
    if (origin === this.#region) {
      const lag = this.#peers.get(replica)?.lag;
      if (lag === undefined || lag.loopLagMs < 0) return null;
      const silentMs = lag.silentMs(now);
      return silentMs > LIMITS.stalledAfterMs ? Math.round(lag.loopLagMs + silentMs) : lag.loopLagMs;
    }
    const peer = this.#peers.get(origin);
    const report = peer?.progress.find((one) => one.region === replica);
    if (peer === undefined || report === undefined || report.loopLagMs < 0) return null;
    return peer.lag.silentMs(now) > LIMITS.staleAfterMs ? null : report.loopLagMs;
  }

  #peer(region: Region): Peer {
    return defined(this.#peers.get(region), "every other region is a peer");
  }

  /** Of a region that an heir stands for, how far the heir's log is folded: where the region's own ends says nothing of that. */
  #head(region: Region, peer: Peer): Position {
    const fold = this.#fold(region);
    return this.#isInHeirs(fold) ? fold.position : Math.max(peer.link?.head ?? 0, fold.position);
  }

  /** Also after the heir has yielded, until the region's next log is folded. */
  #isInHeirs(fold: Fold): boolean {
    const { heir } = deputyOf(fold);
    return writerOf(fold) !== fold.region || (heir !== "" && fold.logId === this.#fold(heir).logId);
  }

  #fold(region: Region): Fold {
    return defined(this.#replica().fold(region), "a replica has every region");
  }

  /** State from observed progress: the worst of what the replicator says and of what is folded here. */
  #state(region: Region, peer: Peer, now: Now): State {
    const { state, reason, sinceMs } = this.#observed(region, peer, now);
    if (peer.shown?.state !== state) peer.shown = { state, reason, sinceMs };
    else peer.shown.reason = reason;
    return peer.shown;
  }

  #observed(region: Region, peer: Peer, now: Now): State {
    const observed = this.#linked(region, peer, now);
    const fold = this.#fold(region);
    if (!this.#isInHeirs(fold)) return observed;
    const state = isMoving(observed.state) ? "stalled" : observed.state;
    const why = observed.reason === "" ? "" : `: ${observed.reason}`;
    return { ...observed, state, reason: `${deputyOf(fold).heir} stands for ${region}${why}` };
  }

  #linked(region: Region, peer: Peer, now: Now): State {
    const at = (state: LinkState, reason: string, sinceMs = now.wallMs): State => {
      return { state, reason, sinceMs };
    };
    if (this.loading !== "") return at("snapshotting", this.loading);
    if (peer.refused !== "") return at("blocked", peer.refused);
    const { link } = peer;
    const reportSilenceMs = now.monoMs - peer.linkHeardMs;
    if (link === undefined) return at("disconnected", "no replicator has reported yet");
    if (reportSilenceMs > REPORT_SILENCE_MS) {
      return at("disconnected", `the replicator has not reported for ${seconds(reportSilenceMs)}`);
    }
    const moving = link.state === "live" || (link.state === "catching-up" && peer.lag.heardMonoMs !== 0);
    if (!moving) return at(link.state, link.reason, link.sinceMs);
    const silentMs = peer.lag.silentMs(now);
    if (silentMs > LIMITS.stalledAfterMs) {
      const since = Number.isFinite(silentMs) ? `for ${seconds(silentMs)}` : "yet";
      return at("stalled", `no watermark of ${region} folded ${since}`);
    }
    return at(link.state, link.reason, link.sinceMs);
  }
}

/** Whole milliseconds; no data where nothing was ever heard. */
function finite(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms) : null;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
