/**
 * Writes that wait until another region has them (`ack=peer`). Rule (invariant 4): such a write is acknowledged only when a peer's
 * replicator has said that its copy of this very log reaches that far; when none does in time, it is said not to be copied.
 */
import type { LogId, Position } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";

interface Waiter {
  readonly logId: LogId;
  readonly position: Position;
  readonly settle: (copied: boolean) => void;
}

export class PeerAcks {
  readonly #waiting = new Set<Waiter>();
  /** How far the furthest of the peers has copied the log. */
  readonly #copied: (logId: LogId) => Position;

  constructor(copied: (logId: LogId) => Position) {
    this.#copied = copied;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether a peer has the log up to `position`, at the latest after `LIMITS.peerAckMs`. `overloaded` when too many wait already. */
  async wait(logId: LogId, position: Position): Promise<boolean | "overloaded"> {
    if (this.#copied(logId) >= position) return true;
    if (this.#waiting.size >= LIMITS.waitersMax) return "overloaded";
    return new Promise((resolve) => {
      const waiter: Waiter = {
        logId,
        position,
        settle: (copied) => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(copied);
        },
      };
      const timer = setTimeout(() => waiter.settle(false), LIMITS.peerAckMs);
      this.#waiting.add(waiter);
    });
  }

  /** A peer has copied more. */
  advanced(): void {
    for (const waiter of this.#waiting) {
      if (this.#copied(waiter.logId) >= waiter.position) waiter.settle(true);
    }
  }
}
