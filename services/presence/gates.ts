/**
 * Which requests this node lets in, by class. Rule: the lowest class is shed first and comes back last; a class is closed at once and
 * opened step by step, so that what comes back does not tip the node over again. Time and load are passed in; judging one request
 * costs it one comparison (`narrowed`) while its class is open.
 *
 *   class      | shed above | why there
 *   -----------+------------+--------------------------------------------------------------------------------------------
 *   lists      | 100 ms     | operators and pages over everybody: the dearest requests, and the ones that can wait
 *   reads      | 200 ms     | a person looks at the answer; from here on another node gives it sooner
 *   heartbeats | 1,000 ms   | refusing one costs more than serving it, so only when clients give up waiting anyhow
 *   writes     | 2,000 ms   | somebody did something; above the append timeout the answer would be a failure all the same
 *
 * The append queue sheds lists and reads as well, for the time they take is what the queue lacks; writes beyond its bound are refused
 * by the appender itself, and heartbeats do not touch it.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { HttpProblem } from "./problems.ts";

/** Lowest first. */
export const REQUEST_CLASSES = ["lists", "reads", "heartbeats", "writes"] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

export interface Load {
  /** Mean delay of the event loop lately. */
  readonly delayMs: number;
  /** Bytes that wait to be appended, as a share of their bound. */
  readonly queueShare: number;
}

/** An operator closed the class. */
export interface SwitchedOff {
  readonly reason: string;
  /** Wall-clock milliseconds; absent when it stays closed until it is opened. */
  readonly untilMs?: number;
}

interface Threshold {
  readonly delayMs: number;
  readonly queueShare: number;
}

const THRESHOLDS: Readonly<Record<RequestClass, Threshold>> = {
  lists: { delayMs: LIMITS.shedListsMs, queueShare: LIMITS.shedListsQueueShare },
  reads: { delayMs: LIMITS.shedReadsMs, queueShare: LIMITS.shedReadsQueueShare },
  heartbeats: { delayMs: LIMITS.shedHeartbeatsMs, queueShare: Infinity },
  writes: { delayMs: LIMITS.shedWritesMs, queueShare: Infinity },
};
/** Of so many requests in a row each is let in or not: an open class lets in all, one that comes back one more each time. */
const TURNS = 8;
const RETRY_AFTER_SECONDS = 1;

export class Gate {
  readonly name: RequestClass;
  /** Some or all requests are refused: {@link Gate.refusal} says which. */
  narrowed = false;
  /** Requests refused since start. */
  readonly refused = { overloaded: 0, "switched-off": 0 };
  /** Above this delay of the event loop the class is shed. */
  readonly delayMsMax: number;
  readonly #queueShareMax: number;
  #share = TURNS;
  #turn = 0;
  #switchedOff: SwitchedOff | undefined;

  constructor(name: RequestClass) {
    this.name = name;
    this.delayMsMax = THRESHOLDS[name].delayMs;
    this.#queueShareMax = THRESHOLDS[name].queueShare;
  }

  /** The share of requests let in, 0 to 1, whatever operators decided. */
  get admitted(): number {
    return this.#share / TURNS;
  }

  get switchedOff(): SwitchedOff | undefined {
    return this.#switchedOff;
  }

  judge({ delayMs, queueShare }: Load): void {
    const strain = Math.max(delayMs / this.delayMsMax, queueShare / this.#queueShareMax);
    if (strain > 1) this.#share = 0;
    else if (strain < 0.5) this.#share = Math.min(TURNS, this.#share + 1);
    this.#narrow();
  }

  switch(off: SwitchedOff | undefined): void {
    this.#switchedOff = off;
    this.#narrow();
  }

  /** Of one request of a narrowed class: why it is refused, or `undefined` when it is let in. */
  refusal(): HttpProblem | undefined {
    const off = this.#switchedOff;
    if (off !== undefined) {
      this.refused["switched-off"] += 1;
      const detail = `An operator switched ${this.name} off: ${off.reason}`;
      const until =
        off.untilMs === undefined ? {} : { members: { until: new Date(off.untilMs).toISOString() } };
      return { name: "switched-off", detail, retryAfterSeconds: LIMITS.switchedOffRetrySeconds, ...until };
    }
    this.#turn = (this.#turn + 1) % TURNS;
    return this.#turn < this.#share ? undefined : this.overloaded();
  }

  /** Refuses one request because of the load. */
  overloaded(): HttpProblem {
    this.refused.overloaded += 1;
    const detail = `This node is overloaded and sheds ${this.name}.`;
    return { name: "overloaded", detail, retryAfterSeconds: RETRY_AFTER_SECONDS };
  }

  #narrow(): void {
    this.narrowed = this.#share < TURNS || this.#switchedOff !== undefined;
  }
}

export type Gates = Readonly<Record<RequestClass, Gate>>;

export function buildGates(): Gates {
  return {
    lists: new Gate("lists"),
    reads: new Gate("reads"),
    heartbeats: new Gate("heartbeats"),
    writes: new Gate("writes"),
  };
}
