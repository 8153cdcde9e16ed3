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
 *   opening      | other identity, rewound log                                → halted (blocked)
 *   opening      | first position held is beyond the checkpoint               → halted (overrun)
 *   reading      | append fenced or failed, reader broken                     → idle (the checkpoint is read again)
 *   reading      | frame of another region or identity, checksum, gap         → halted (blocked)
 *   halted       | retry time over: what was wrong may have been mended       → opening
 */
import type { LinkState, LogId, Position, Region } from "./commands.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";

/** What the replicator announces of a link; nodes of its region listen. */
export interface LinkReport {
  readonly origin: Region;
  readonly state: LinkState;
  readonly reason: string;
  /** Wall-clock milliseconds at which it entered `state`. */
  readonly sinceMs: number;
  /** Newest position known to exist at the origin. */
  readonly head: Position;
  /** Newest position appended to the copy. */
  readonly copied: Position;
  readonly framesCopied: number;
  readonly bytesCopied: number;
  /** By reason; what the link refused or failed at. */
  readonly errors: Readonly<Record<string, number>>;
}

/** What the frame's own header says, as far as the link checks it. */
export type Inspection =
  | { readonly ok: true; readonly region: Region; readonly logId: LogId }
  | { readonly ok: false; readonly reason: string };

export interface LinkEntry {
  readonly position: Position;
  readonly bytes: Uint8Array;
}

export type LinkEvent =
  /** Both ends answered: where the origin's log stands, and the copy's last message. */
  | {
      readonly kind: "opened";
      readonly origin: { readonly logId: LogId; readonly first: Position; readonly head: Position };
      readonly copy: { readonly logId: LogId; readonly position: Position; readonly sequence: number };
    }
  | { readonly kind: "open-failed"; readonly detail: string }
  | { readonly kind: "entry"; readonly entry: LinkEntry; readonly inspection: Inspection }
  | { readonly kind: "interrupted"; readonly detail: string }
  | {
      readonly kind: "broken";
      readonly reason: "missing" | "identity-changed" | "malformed";
      readonly detail: string;
    }
  | {
      readonly kind: "appended";
      readonly attempt: number;
      readonly position: Position;
      readonly bytes: number;
    }
  | {
      readonly kind: "append-failed";
      readonly attempt: number;
      readonly reason: string;
      readonly detail: string;
    }
  /** The origin said where its log ends. */
  | { readonly kind: "head"; readonly position: Position }
  | { readonly kind: "tick" };

export type LinkEffect =
  /** Ask both ends; answer with `opened` or `open-failed`. Ends any reading. */
  | { readonly kind: "open" }
  | { readonly kind: "read"; readonly from: Position }
  | { readonly kind: "stop" }
  /** Pipelined in this order; answer with `appended` or `append-failed` and the same attempt. */
  | {
      readonly kind: "append";
      readonly attempt: number;
      readonly entry: LinkEntry;
      readonly logId: LogId;
      readonly fence: number;
    };

/** Appends under way at most: 256 full frames are 16 MiB, twice a bandwidth-delay product of 300 ms at 200 Mbit/s. */
export const IN_FLIGHT_MAX = 256;
const RETRY_MS = 500;
const HALTED_RETRY_MS = 5_000;
/** Further behind than this is catching up: a second of watermarks and a batch. */
const LIVE_WITHIN = 64;

type Phase = "idle" | "opening" | "reading" | "halted";

export class Link {
  readonly origin: Region;
  #phase: Phase = "idle";
  #retryAtMs = Number.NEGATIVE_INFINITY;
  /** Answers of earlier attempts are ignored by this number. */
  #attempt = 0;
  #logId: LogId = "";
  #received: Position = 0;
  #copied: Position = 0;
  #fence = 0;
  #head: Position = 0;
  #inFlight = 0;
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

  /** True when the reader should wait: enough appends are under way. */
  get saturated(): boolean {
    return this.#inFlight >= IN_FLIGHT_MAX;
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
        return this.#phase === "opening" ? this.#retry("disconnected", event.detail, now) : [];
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
    this.#head = origin.head;
    this.#copied = copy.position;
    if (copy.logId !== "" && copy.logId !== origin.logId) {
      return this.#halt(
        "blocked",
        `identity changed: the copy is of log ${copy.logId}, the origin has ${origin.logId}`,
        "identity",
        now,
      );
    }
    if (origin.head < copy.position) {
      return this.#halt(
        "blocked",
        `the origin's log was rewound to ${origin.head}; the copy has ${copy.position}`,
        "rewound",
        now,
      );
    }
    if (origin.first > copy.position + 1) {
      return this.#halt(
        "overrun",
        `positions ${copy.position + 1} to ${origin.first - 1} are gone at the origin`,
        "overrun",
        now,
      );
    }
    this.#phase = "reading";
    this.#logId = origin.logId;
    this.#received = copy.position;
    this.#fence = copy.sequence;
    this.#inFlight = 0;
    this.#progressAtMs = now.monoMs;
    if (this.#state !== "live") this.#show("catching-up", "connected", now);
    this.#observe(now);
    return [{ kind: "read", from: copy.position + 1 }];
  }

  #entry(entry: LinkEntry, inspection: Inspection, now: Now): LinkEffect[] {
    if (entry.position <= this.#received) {
      this.#count("duplicate");
      return [];
    }
    const refusal = this.#refusal(entry, inspection);
    if (refusal !== undefined) return this.#halt("blocked", refusal.detail, refusal.reason, now);
    this.#received = entry.position;
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

  #refusal(entry: LinkEntry, inspection: Inspection): { reason: string; detail: string } | undefined {
    const at = `frame ${entry.position} of ${this.origin}`;
    if (!inspection.ok) return { reason: inspection.reason, detail: `${at} is broken: ${inspection.reason}` };
    if (inspection.region !== this.origin)
      return { reason: "authority", detail: `${at} claims to be of ${inspection.region}` };
    if (inspection.logId !== this.#logId) {
      return { reason: "identity", detail: `${at} is of log ${inspection.logId}, not ${this.#logId}` };
    }
    if (entry.position !== this.#received + 1)
      return { reason: "gap", detail: `${at} follows ${this.#received}` };
    return undefined;
  }

  #appended(position: Position, bytes: number, now: Now): void {
    this.#inFlight -= 1;
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
