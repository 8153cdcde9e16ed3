/**
 * The replicator's link from one peer, as `step(event, now) → effects`: pull the peer's log from where the copy ends, check each
 * frame, append it unchanged behind a fence. Rule: the copy's last message is the checkpoint, so nothing else is remembered and a
 * crash at any point resumes without gap or duplicate. The state shown follows from observed progress, not from hope.
 *
 *   phase        | leaves on                                                  → to
 *   -------------+--------------------------------------------------------------------------------
 *   idle         | retry time over                                            → opening
 *   opening      | both ends opened, identity and extent agree                → reading
 *   opening      | an end is unavailable or absent                            → idle (disconnected)
 *   opening      | rewound log, new and empty log                             → idle (blocked: its region mends that)
 *   opening      | other identity, first position held beyond the checkpoint, | → fetching (snapshotting)
 *                | empty copy of a long log                                   |
 *   fetching     | a snapshot is here and the copy begins behind it           → reading
 *   fetching     | none to be had                                             → reading if the log is whole, else idle (overrun)
 *   reading      | append fenced or failed, reader broken                     → idle (the checkpoint is read again)
 *   reading      | another frame than the last one copied, at its position    → idle (blocked: its region mends that)
 *   reading      | first frame that goes on from another log, empty copy      → fetching
 *   reading      | frame of another region or identity, checksum, gap         → halted (blocked)
 *   any of those | the copy is sealed, and takes nothing more (`seal.ts`)     → halted (blocked)
 *   halted       | retry time over: what was wrong may have been mended       → opening
 */
import type { LinkState, LogId, Position, Region } from "./commands.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import type { Inspection, LinkEffect, LinkEntry, LinkEvent, LinkReport } from "./link-events.ts";
import { forbids, mayBegin } from "./seal.ts";
import type { Seal } from "./seal.ts";

/** Appends under way at most: 256 full frames are 16 MiB, twice a bandwidth-delay product of 300 ms at 200 Mbit/s. */
export const IN_FLIGHT_MAX = 256;
const RETRY_MS = 500;
const HALTED_RETRY_MS = 5_000;
/** Further behind than this is catching up: a second of watermarks and a batch. */
const LIVE_WITHIN = 64;
/** An empty copy of a log longer or larger than this begins behind a snapshot: 40 minutes of an idle region's watermarks, 200,000 logins. */
const SNAPSHOT_FROM = 10_000;
const SNAPSHOT_FROM_BYTES = 16 * 1024 * 1024;
/** So often a snapshot is asked for before a whole log is read from its beginning. */
const FETCHES_MAX = 20;

type Sound = Extract<Inspection, { readonly ok: true }>;
type Phase = "idle" | "opening" | "fetching" | "reading" | "halted";

export class Link {
  readonly origin: Region;
  #phase: Phase = "idle";
  #retryAtMs = Number.NEGATIVE_INFINITY;
  /** Answers of earlier attempts are ignored by this number. */
  #attempt = 0;
  #logId: LogId = "";
  #first: Position = 1;
  #sequence = 0;
  #sealed: Seal | undefined;
  #fetchesFailed = 0;
  #withoutSnapshot: LinkState = "snapshotting";
  #received: Position = 0;
  /** Of the frame received last, or of the copy's last one. */
  #checksum = 0;
  #copied: Position = 0;
  #fence = 0;
  #head: Position = 0;
  #inFlight = 0;
  /** The copy has nothing yet. */
  #begins = false;
  #progressAtMs = Number.NEGATIVE_INFINITY;
  #state: LinkState = "disconnected";
  #reason = "not connected yet";
  #sinceMs = 0;
  #framesCopied = 0;
  #bytesCopied = 0;
  readonly #errors: Record<string, number> = {};

  constructor(origin: Region) {
    this.origin = origin;
  }

  /**
   * True when the reader should wait: enough appends are under way. The first entry of an empty copy goes alone: of two
   * replicators, each may begin behind a snapshot of its own, and until one has won they do not agree on what belongs where.
   */
  get saturated(): boolean {
    return this.#inFlight >= (this.#begins ? 1 : IN_FLIGHT_MAX);
  }

  report(): LinkReport {
    return {
      origin: this.origin,
      state: this.#state,
      reason: this.#reason,
      sinceMs: this.#sinceMs,
      head: this.#head,
      copied: this.#copied,
      framesCopied: this.#framesCopied,
      bytesCopied: this.#bytesCopied,
      errors: { ...this.#errors },
    };
  }

  step(event: LinkEvent, now: Now): LinkEffect[] {
    switch (event.kind) {
      case "tick":
        return this.#tick(now);
      case "opened":
        return this.#phase === "opening" ? this.#opened(event, now) : [];
      case "open-failed":
        if (this.#phase !== "opening") return [];
        this.#count(event.reason);
        return this.#retry("disconnected", event.detail, now);
      case "fetched":
        return this.#isFetching(event.attempt) ? this.#fetched(event.position, event.sequence, now) : [];
      case "fetching":
        if (this.#isFetching(event.attempt))
          this.#show("snapshotting", `a snapshot is ${event.percent} % here`, now);
        return [];
      case "fetch-failed":
        return this.#isFetching(event.attempt) ? this.#fetchFailed(event.detail, now) : [];
      case "entry":
        return this.#phase === "reading" ? this.#entry(event.entry, event.inspection, now) : [];
      case "interrupted":
        if (this.#phase !== "reading") return [];
        // Until the next entry there is no progress to judge by.
        this.#progressAtMs = Number.NEGATIVE_INFINITY;
        this.#show("disconnected", event.detail, now);
        return [];
      case "broken":
        return this.#phase === "reading" ? this.#broken(event.reason, event.detail, now) : [];
      case "appended":
        if (event.attempt === this.#attempt) this.#appended(event.position, event.bytes, now);
        return [];
      case "append-failed":
        if (event.attempt !== this.#attempt || this.#phase !== "reading") return [];
        return this.#appendFailed(event.reason, event.detail, now);
      case "head":
        this.#head = Math.max(this.#head, event.position);
        return [];
    }
  }

  #tick(now: Now): LinkEffect[] {
    if (this.#phase === "idle" || this.#phase === "halted") {
      if (now.monoMs < this.#retryAtMs) return [];
      this.#phase = "opening";
      this.#attempt += 1;
      return [{ kind: "open" }];
    }
    if (this.#phase === "reading") this.#observe(now);
    return [];
  }

  #opened(event: Extract<LinkEvent, { kind: "opened" }>, now: Now): LinkEffect[] {
    const { origin, copy } = event;
    ({ head: this.#head, logId: this.#logId, first: this.#first } = origin);
    this.#copied = copy.position;
    this.#sequence = copy.sequence;
    this.#begins = copy.position === 0;
    this.#sealed = copy.sealed;
    const forbidden = forbids(copy.sealed, origin.logId, copy.logId === origin.logId ? copy.position + 1 : 1);
    if (forbidden !== "") return this.#halt("blocked", forbidden, "sealed", now);
    if (copy.logId !== "" && copy.logId !== origin.logId) {
      const change = `the copy is of log ${copy.logId}, the origin has ${origin.logId}`;
      this.#count("identity");
      if (origin.first > origin.head) return this.#retry("blocked", `${change}, which is empty yet`, now);
      return this.#fetch(`identity changed: ${change}`, "blocked", now);
    }
    if (origin.head < copy.position) {
      this.#count("rewound");
      const detail = `the origin's log was rewound to ${origin.head}; the copy has ${copy.position}`;
      return this.#retry("blocked", detail, now);
    }
    if (origin.first > copy.position + 1) {
      this.#count("overrun");
      const gone = `positions ${copy.position + 1} to ${origin.first - 1} are gone at the origin`;
      return this.#fetch(gone, "overrun", now);
    }
    if (copy.position === 0 && (origin.head > SNAPSHOT_FROM || origin.bytes > SNAPSHOT_FROM_BYTES))
      return this.#fetch(`nothing of ${origin.head} frames is here`, "snapshotting", now);
    this.#checksum = copy.checksum;
    const reading = this.#readFrom(copy.position, copy.sequence, now);
    // The last frame that is here comes first: the origin's must be the same one.
    return copy.position < origin.first ? reading : [{ kind: "read", from: copy.position }];
  }

  #readFrom(position: Position, sequence: number, now: Now): LinkEffect[] {
    this.#phase = "reading";
    this.#copied = position;
    this.#head = Math.max(this.#head, position);
    this.#received = position;
    this.#fence = sequence;
    this.#inFlight = 0;
    this.#progressAtMs = now.monoMs;
    if (this.#state !== "live") this.#show("catching-up", "connected", now);
    this.#observe(now);
    return [{ kind: "read", from: position + 1 }];
  }

  #isFetching(attempt: number): boolean {
    return this.#phase === "fetching" && attempt === this.#attempt;
  }

  /** `otherwise` is the state while there is no snapshot. */
  #fetch(why: string, otherwise: LinkState, now: Now): LinkEffect[] {
    if (!mayBegin(this.#sealed, this.#logId)) return this.#halt("blocked", `sealed: ${why}`, "sealed", now);
    this.#phase = "fetching";
    this.#withoutSnapshot = otherwise;
    this.#show("snapshotting", why, now);
    return [
      {
        kind: "fetch",
        attempt: this.#attempt,
        logId: this.#logId,
        atLeast: this.#first - 1,
        head: this.#head,
      },
    ];
  }

  #fetched(position: Position, sequence: number, now: Now): LinkEffect[] {
    this.#fetchesFailed = 0;
    this.#begins = true;
    return this.#readFrom(position, sequence, now);
  }

  /** A log that is whole can be read without; not a copy of another one, which would have to be given up first. */
  #fetchFailed(detail: string, now: Now): LinkEffect[] {
    this.#count("no-snapshot");
    this.#fetchesFailed += 1;
    const whole = this.#first === 1 && this.#copied === 0;
    if (whole && this.#fetchesFailed >= FETCHES_MAX) return this.#readFrom(0, this.#sequence, now);
    return this.#retry(this.#withoutSnapshot, `no snapshot: ${detail}`, now);
  }

  #entry(entry: LinkEntry, inspection: Inspection, now: Now): LinkEffect[] {
    if (entry.position === this.#received && this.#isFork(inspection)) {
      this.#count("forked");
      const detail = `the origin has another frame at ${entry.position} than the copy: its log lost its end and went on`;
      return this.#retry("blocked", detail, now);
    }
    if (entry.position <= this.#received) {
      if (entry.position < this.#received) this.#count("duplicate");
      return [];
    }
    if (!inspection.ok) {
      const detail = `${this.#frame(entry)} is broken: ${inspection.reason}`;
      return this.#halt("blocked", detail, inspection.reason, now);
    }
    const refusal = this.#refusal(entry, inspection);
    if (refusal !== undefined) return this.#halt("blocked", refusal.detail, refusal.reason, now);
    if (entry.position === 1 && inspection.goesOn === true)
      return [{ kind: "stop" }, ...this.#fetch("the log goes on from another", "snapshotting", now)];
    this.#received = entry.position;
    this.#checksum = inspection.checksum;
    this.#head = Math.max(this.#head, entry.position);
    this.#progressAtMs = now.monoMs;
    this.#inFlight += 1;
    const effect: LinkEffect = {
      kind: "append",
      attempt: this.#attempt,
      entry,
      logId: this.#logId,
      fence: this.#fence,
    };
    this.#fence += 1;
    return [effect];
  }

  /** Whether the frame at the position received last is another than that one. */
  #isFork(inspection: Inspection): boolean {
    return inspection.ok && inspection.logId === this.#logId && inspection.checksum !== this.#checksum;
  }

  #frame({ position }: LinkEntry): string {
    return `frame ${position} of ${this.origin}`;
  }

  #refusal(entry: LinkEntry, inspection: Sound): { reason: string; detail: string } | undefined {
    const at = this.#frame(entry);
    if (inspection.region !== this.origin)
      return { reason: "authority", detail: `${at} claims to be of ${inspection.region}` };
    if (inspection.logId !== this.#logId) {
      return { reason: "identity", detail: `${at} is of log ${inspection.logId}, not ${this.#logId}` };
    }
    if (entry.position !== this.#received + 1)
      return { reason: "gap", detail: `${at} follows ${this.#received}` };
    const forbidden = forbids(this.#sealed, this.#logId, entry.position);
    return forbidden === "" ? undefined : { reason: "sealed", detail: forbidden };
  }

  #appended(position: Position, bytes: number, now: Now): void {
    this.#inFlight -= 1;
    this.#begins = false;
    this.#copied = position;
    this.#framesCopied += 1;
    this.#bytesCopied += bytes;
    if (this.#phase === "reading") this.#observe(now);
  }

  /** Fenced means that another replicator carries the log: the link is as live as it was. */
  #appendFailed(reason: string, detail: string, now: Now): LinkEffect[] {
    this.#count(`append-${reason}`);
    if (reason === "fenced") return this.#retry(this.#state, this.#reason, now);
    return this.#retry("catching-up", `append to the copy ${reason}: ${detail}`, now);
  }

  #broken(reason: "missing" | "identity-changed" | "malformed", detail: string, now: Now): LinkEffect[] {
    if (reason === "malformed") return this.#halt("blocked", detail, reason, now);
    this.#count(reason);
    return this.#retry(reason === "missing" ? "overrun" : "blocked", detail, now);
  }

  /** Progress decides: frames come and the copy keeps up, frames come, or nothing comes. */
  #observe(now: Now): void {
    const silentMs = now.monoMs - this.#progressAtMs;
    if (silentMs > LIMITS.stalledAfterMs) {
      if (this.#state !== "disconnected")
        this.#show("stalled", `nothing from ${this.origin} for ${(silentMs / 1000).toFixed(1)} s`, now);
      return;
    }
    const behind = this.#head - this.#copied;
    if (behind > LIVE_WITHIN || this.#copied === 0) this.#show("catching-up", `${behind} frames behind`, now);
    else this.#show("live", "", now);
  }

  #halt(state: LinkState, detail: string, reason: string, now: Now): LinkEffect[] {
    this.#count(reason);
    this.#phase = "halted";
    this.#retryAtMs = now.monoMs + HALTED_RETRY_MS;
    this.#show(state, detail, now);
    return [{ kind: "stop" }];
  }

  #retry(state: LinkState, detail: string, now: Now): LinkEffect[] {
    this.#phase = "idle";
    this.#retryAtMs = now.monoMs + RETRY_MS;
    this.#show(state, detail, now);
    return [{ kind: "stop" }];
  }

  #show(state: LinkState, reason: string, now: Now): void {
    this.#reason = reason;
    if (state === this.#state && this.#sinceMs !== 0) return;
    this.#state = state;
    this.#sinceMs = now.wallMs;
  }

  #count(reason: string): void {
    this.#errors[reason] = (this.#errors[reason] ?? 0) + 1;
  }
}
