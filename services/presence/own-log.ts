/**
 * Opens this region's own log for its node. Rule: nothing is appended behind a log that lost its end. A peer puts the end back; where
 * none does in time, or the log was made anew, it is begun again with this node's state, under a new identity. Nor is anything appended while
 * another region stands for this one: what the log has beyond where that went on is kept aside then, and the log begun again (decisions/0021).
 */
import { deposed, laggard } from "../../replicator/core/authority.ts";
import type { Position, Region } from "../../replicator/core/commands.ts";
import type { LogStore, Opened, OriginLog } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { encodeFrame } from "../../replicator/wire/codec.ts";
import { deputyOf } from "../../replicator/core/deputy.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { sealOf } from "../../replicator/core/seal.ts";
import { sourceOf } from "../../replicator/core/succession.ts";
import type { Place } from "./follow.ts";

/** The end of a log that stopped to count when another region stood for this one. */
export interface Aside {
  /** Whether that is the log; keeps what is in it. Else the log was begun since. Or what stands in the way of telling. */
  keep(log: OriginLog, generation: number): Promise<{ readonly isOld: boolean } | string>;
  /** The log may be appended to. */
  begun(): void;
}

export interface OwnLogOptions {
  readonly region: Region;
  readonly node: string;
  readonly store: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How far this node has folded the log. */
  readonly at: () => Place;
  /** Of all regions. */
  readonly folds: () => readonly Fold[];
  /** What peers' logs may still have to say before anything is appended. */
  readonly unheard: () => string | undefined;
  readonly aside: Aside;
  /** No peer is to be waited for: there is none, or all are written off. */
  readonly alone: () => boolean;
  /** The node of this region that has folded more of the log than this one, if one is heard. */
  readonly further: () => Promise<string | undefined>;
  /** Stores this node's state as it is: what a new log goes on from must not be in one node's memory alone. Resolves to whether it is. */
  readonly keep: () => Promise<boolean>;
  /** The log may be appended to. */
  readonly use: (log: OriginLog) => void;
  /** The log may not be appended to, and why. */
  readonly withdraw: (detail: string) => void;
}

/** So long a log that this node has folded must be gone before it is made anew: a server that starts may not know its streams yet. */
const ABSENT_MS = 1_500;
/** So long a peer's replicator may take to put back the next of what the log lost: a reconnect, and the way of a frame. */
const PUT_BACK_MS = 3_000;
/** So long a node that lived through the server's stop has to say that the log has its end: a reconnect. */
const VOUCH_MS = 2_000;
/** So long a node that starts waits for word of the log's end before it answers: a region cut off from all its peers has to go on. */
const SETTLED_MS = 30_000;

export class OwnLog {
  readonly #options: OwnLogOptions;
  /** Where the log ends that lost its end, and since when it has ended there. */
  #lost: { readonly head: Position; readonly sinceMs: number } | undefined;
  #absentSinceMs: number | undefined;
  #log: OriginLog | undefined;
  #withdrawn: string | undefined;
  /** Whether the log's end is proven was not heard yet since the server was last connected to. */
  #unproven = true;
  #asking = false;
  /** Since when nobody is known to have more of the log, and nobody vouches for its end either. */
  #comparedSinceMs: number | undefined;
  /** When it was asked first. */
  #askedAtMs: number | undefined;

  constructor(options: OwnLogOptions) {
    this.#options = options;
    options.store.onConnection(() => {
      this.#unproven = true;
      this.#comparedSinceMs = undefined;
    });
  }

  /** The log has its end, as far as can be told; or nobody has told for so long that the node answers with what it has. */
  isSettled(): boolean {
    if (!this.#unproven || this.#deposed() !== undefined) return true;
    return this.#askedAtMs !== undefined && this.#options.clock().monoMs - this.#askedAtMs >= SETTLED_MS;
  }

  /** Takes the log away as soon as another region is known to stand for this one; gives it out when all peers in touch were heard. */
  look(): void {
    const why = this.#deposed();
    if (why !== undefined) this.#log = undefined;
    this.#give(why ?? this.#options.unheard());
  }

  #give(why: string | undefined): void {
    if (why !== undefined) {
      if (why !== this.#withdrawn) this.#options.withdraw(why);
      this.#withdrawn = why;
    } else if (this.#withdrawn !== undefined && this.#log !== undefined) {
      this.#withdrawn = undefined;
      this.#options.use(this.#log);
      this.#options.aside.begun();
    }
  }

  /** Who stands in the way of writing, in words. */
  #deposed(): string | undefined {
    const { region, folds } = this.#options;
    const one = deposed(folds(), region);
    if (one === undefined) return undefined;
    const at = new Date(one.sinceMs).toISOString();
    return one.hasYielded
      ? `${one.heir} stood for ${region} until ${at}, and not all is folded that it said`
      : `${one.heir} stands for ${region} since ${at}`;
  }

  /** Called all the time, of a node that has folded what there is. */
  tick(): void {
    this.look();
    if (this.#log === undefined || !this.#unproven || this.#asking) return;
    this.#asking = true;
    this.#askedAtMs ??= this.#options.clock().monoMs;
    void this.#ask(this.#log);
  }

  /**
   * A log of which nobody has more, and whose end nobody vouches for, goes on as a new one: what was acknowledged last may be lost with
   * nobody left to tell, and its positions must not be given twice.
   */
  async #ask(log: OriginLog): Promise<void> {
    const { alone, clock } = this.#options;
    const answer = await log.proof();
    if (answer.ok && answer.proof === "proven") this.#unproven = false;
    else if (answer.ok && (answer.proof === "compared" || alone())) {
      const nowMs = clock().monoMs;
      this.#comparedSinceMs ??= nowMs;
      if (nowMs - this.#comparedSinceMs >= VOUCH_MS) await this.#goOnAsAnother(log);
    }
    this.#asking = false;
  }

  async #goOnAsAnother(log: OriginLog): Promise<void> {
    const { region, store, at, further, keep, logger } = this.#options;
    const answer = await log.extent();
    const { logId, position } = at();
    if (!answer.ok || answer.extent.logId !== log.logId || answer.extent.head !== position) return;
    if (logId !== log.logId && position > 0) return;
    if (this.lagging() !== undefined) return;
    if ((await further()) !== undefined || !(await keep()) || this.#deposed() !== undefined) return;
    this.#comparedSinceMs = undefined;
    logger.warn({ event: "log-renewed", log: region, detail: `nobody vouches for its end at ${position}` });
    await store.renewLog(region, log.logId);
  }

  /**
   * Why the log may not be begun again yet: a fence may end with an heir that goes on from before that, and where both are nobody could go on;
   * or the log speaks for another region too, and this node has not folded all of that.
   */
  lagging(): string | undefined {
    const { region, folds } = this.#options;
    const asked = sealOf(folds(), region);
    if (asked?.decision.phase === "fence")
      return `${asked.heir} asks to go on for ${region}, which is not decided`;
    const other = laggard(folds(), region);
    return other && `it is the log of ${other} too, and not all is folded that it says for ${other}`;
  }

  async open(): Promise<Opened<OriginLog>> {
    const why = this.#deposed();
    if (why !== undefined) return this.#openOld(why);
    const { region, store, at, further } = this.#options;
    const create = this.#mayCreate();
    // One that is not there yet, or not any more, is made by whoever has most of it.
    const there = create ? await store.openLog(region, { create: false }) : undefined;
    const maker = there?.ok === false && there.reason === "absent" ? await further() : undefined;
    if (maker !== undefined) return leftTo(maker);
    const opened = await store.openLog(region, { create });
    if (!opened.ok) {
      if (opened.reason === "absent") this.#absentSinceMs ??= this.#options.clock().monoMs;
      return opened;
    }
    this.#absentSinceMs = undefined;
    const { log } = opened;
    const answer = await log.extent();
    if (!answer.ok) return answer;
    const { head } = answer.extent;
    const place = at();
    const { logId, position } = place;
    const old = await this.#putAside(log, place);
    if (old !== undefined) return { ok: false, reason: "unavailable", detail: old };
    if (logId === log.logId && head < position) return this.#waitForEnd(log, head, position);
    this.#lost = undefined;
    if (logId !== "" && logId !== log.logId && head === 0) {
      const begun = await this.#begin(log, place);
      if (begun !== undefined) return { ok: false, reason: "unavailable", detail: begun };
    }
    if (this.#deposed() !== undefined) return this.open();
    this.#log = log;
    this.#withdrawn ??= "it is being opened";
    this.tick();
    return { ok: true, log };
  }

  /** While another region stands for this one its log is of use only up to where that went on, and is not appended to. */
  async #openOld(why: string): Promise<Opened<OriginLog>> {
    const { region, store, folds } = this.#options;
    this.look();
    const fold = folds().find((one) => one.region === region);
    const source = fold && sourceOf(folds(), fold);
    const isNeeded = source?.kind === "log" && source.through !== undefined && source.of === region;
    if (isNeeded) return store.openLog(region, { create: false });
    return { ok: false, reason: "unavailable", detail: why };
  }

  /** The log of before another region stood for this one is given up when its end is kept; what stands in the way, or is being done. */
  async #putAside(log: OriginLog, { logId }: Place): Promise<string | undefined> {
    const { region, store, folds, further, keep, aside, logger } = this.#options;
    const fold = folds().find((one) => one.region === region);
    const generation = fold === undefined ? 0 : deputyOf(fold).generation;
    if (generation === 0 || logId === log.logId) return undefined;
    const kept = await aside.keep(log, generation);
    if (typeof kept === "string") return kept;
    if (!kept.isOld) return undefined;
    const heard = await further();
    if (heard !== undefined) return leftTo(heard).detail;
    if (!(await keep())) return "the state that it goes on from could not be stored";
    logger.warn({ event: "log-renewed", log: region, detail: "another region stood for this one" });
    const renewed = await store.renewLog(region, log.logId);
    return renewed.ok ? "the log is begun again, as another region stood for this one" : renewed.detail;
  }

  #mayCreate(): boolean {
    const { at, clock } = this.#options;
    if (at().logId === "") return true;
    return this.#absentSinceMs !== undefined && clock().monoMs - this.#absentSinceMs >= ABSENT_MS;
  }

  /** As long as the end is on its way back it is waited for, however long it is. */
  async #waitForEnd(log: OriginLog, head: Position, position: Position): Promise<Opened<OriginLog>> {
    const { region, store, clock, logger, further } = this.#options;
    const nowMs = clock().monoMs;
    if (this.#lost === undefined || head > this.#lost.head) this.#lost = { head, sinceMs: nowMs };
    const detail = `the log ends at ${head}, ${position} was folded: its end is lost`;
    if (nowMs - this.#lost.sinceMs < PUT_BACK_MS) return { ok: false, reason: "unavailable", detail };
    const lagging = this.lagging();
    if (lagging !== undefined)
      return { ok: false, reason: "unavailable", detail: `${detail}; it is not begun again yet: ${lagging}` };
    const heard = await further();
    if (heard !== undefined) return leftTo(heard);
    const why = this.#deposed();
    if (why !== undefined) return { ok: false, reason: "unavailable", detail: why };
    this.#lost = undefined;
    logger.error({ event: "log-renewed", log: region, detail });
    return store
      .renewLog(region, log.logId)
      .then((renewed) =>
        renewed.ok ? { ok: false, reason: "unavailable", detail: `${detail}; it was renewed` } : renewed,
      );
  }

  /** The first frame of a log that goes on where another ended; what stood in the way, if something did. */
  async #begin(log: OriginLog, { logId, position, checksum }: Place): Promise<string | undefined> {
    const { region, node, clock, further, keep, logger } = this.#options;
    const lagging = this.lagging();
    if (lagging !== undefined) return `the log is not begun yet: ${lagging}`;
    const heard = await further();
    if (heard !== undefined) return leftTo(heard).detail;
    if (!(await keep())) return "the state that it goes on from could not be stored";
    const bytes = encodeFrame({
      region,
      logId: log.logId,
      node,
      committedAtMs: clock().wallMs,
      commands: [{ kind: "renewed", logId, position, checksum }],
    });
    const result = await log.putBack({ position: 1, logId: log.logId, bytes });
    if (!result.ok) return `the log could not be begun: ${result.detail}`;
    logger.warn({ event: "log-begun-again", log: region, logId: log.logId, from: logId, position });
    return undefined;
  }
}

function leftTo(node: string): {
  readonly ok: false;
  readonly reason: "unavailable";
  readonly detail: string;
} {
  return { ok: false, reason: "unavailable", detail: `${node} has more of the log, and mends it` };
}
