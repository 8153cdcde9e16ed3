/**
 * Where requests of the lower classes wait when the present turn of the event loop is full. Rule: a turn takes `turnMs` of them and then
 * at least one more each turn, higher classes first; whoever has waited longer than their class may is refused, also while a higher class
 * takes all the turns, so the line is short in time, and it is bounded in length.
 *
 * Why turns must be short: heartbeats and the log wait for the end of a turn, and libuv accepts one new connection per turn. A flood of
 * reads of 3 ms on 150 connections made turns of half a second: two new connections a second, whatever they were for.
 */
import type { FastifyReply } from "fastify";

import { LIMITS } from "../../replicator/core/limits.ts";
import type { Gate } from "./gates.ts";
import { refuse } from "./problems.ts";

interface Waiting {
  readonly sinceMs: number;
  readonly reply: FastifyReply;
  readonly go: () => void;
}

/** Looks at the line per turn: more than one where requests are short. */
const LOOKS = 16;

export class Line {
  /** Monotonic milliseconds. */
  readonly #now: () => number;
  /** Calls back in this turn of the loop or the next, after what is ready now. */
  readonly #soon: (work: () => void) => void;
  /** By class, the highest first. */
  readonly #waiting: { readonly gate: Gate; readonly requests: Waiting[] }[];
  #length = 0;
  #looking = 0;
  #turnBeganMs: number | undefined;

  constructor(
    highestFirst: readonly Gate[],
    now: () => number = () => performance.now(),
    soon: (work: () => void) => void = setImmediate,
  ) {
    this.#waiting = highestFirst.map((gate) => ({ gate, requests: [] }));
    this.#now = now;
    this.#soon = soon;
  }

  get length(): number {
    return this.#length;
  }

  /** Lets the request go on now, later, or not at all. */
  enter(gate: Gate, reply: FastifyReply, go: () => void): void {
    if (this.#length === 0 && this.#turnMs() <= LIMITS.turnMs) return go();
    const requests = this.#waiting.find((one) => one.gate === gate)?.requests;
    if (requests === undefined || this.#length >= LIMITS.lineMax) {
      void refuse(reply, gate.overloaded());
      return undefined;
    }
    requests.push({ sinceMs: this.#now(), reply, go });
    this.#length += 1;
    this.#look();
    return undefined;
  }

  /** Each look is a callback of its own, so that what one request does has ended before the time is taken for the next. */
  #look(): void {
    if (this.#looking > 0) return;
    this.#looking = LOOKS;
    for (let look = 0; look < LOOKS; look++) {
      this.#soon(() => {
        this.#looking -= 1;
        if (look === 0 || this.#turnMs() <= LIMITS.turnMs) this.#next();
        if (this.#looking === 0 && this.#length > 0) this.#look();
      });
    }
  }

  /** Whoever has waited too long is refused, of whatever class; of the others the first of the highest class goes on. */
  #next(): void {
    const nowMs = this.#now();
    for (const { gate, requests } of this.#waiting) {
      for (
        let first = requests[0];
        first !== undefined && nowMs - first.sinceMs > gate.delayMsMax;
        first = requests[0]
      ) {
        requests.shift();
        this.#length -= 1;
        void refuse(first.reply, gate.overloaded());
      }
    }
    const next = this.#waiting.find(({ requests }) => requests.length > 0)?.requests.shift();
    if (next === undefined) return;
    this.#length -= 1;
    next.go();
  }

  /** How long this turn has lasted, counted from the first request that asks. */
  #turnMs(): number {
    if (this.#turnBeganMs !== undefined) return this.#now() - this.#turnBeganMs;
    this.#turnBeganMs = this.#now();
    this.#soon(() => {
      this.#turnBeganMs = undefined;
    });
    return 0;
  }
}
