/**
 * Reads that wait for what is still to be folded. Rule (invariant 8): a wait for a token ends satisfied only when every position of it is
 * applied; when the time is over it says exactly what is missing.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import { checkToken } from "../../replicator/core/token.ts";
import type { Token, TokenCheck } from "../../replicator/core/token.ts";

interface Waiter {
  readonly isOver: (applied: Token) => boolean;
  readonly settle: () => void;
}

export class Waiters {
  readonly #waiting = new Set<Waiter>();
  readonly #applied: () => Token;

  constructor(applied: () => Token) {
    this.#applied = applied;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Answers when the token can be decided, at the latest after `waitMs`. `overloaded` when too many wait already. */
  async wait(token: Token, waitMs: number): Promise<TokenCheck | "overloaded"> {
    const check = checkToken(token, this.#applied());
    if (check.kind !== "missing") return check;
    const isDecided = (applied: Token): boolean => checkToken(token, applied).kind !== "missing";
    return (await this.until(isDecided, waitMs)) ?? checkToken(token, this.#applied());
  }

  /** Resolves when it is so after a frame, at the latest after `waitMs`. `overloaded` when too many wait already. */
  async until(isSo: (applied: Token) => boolean, waitMs: number): Promise<"overloaded" | undefined> {
    if (waitMs === 0) return undefined;
    if (this.#waiting.size >= LIMITS.waitersMax) return "overloaded";
    return new Promise((resolve) => {
      const waiter: Waiter = {
        isOver: isSo,
        settle: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(undefined);
        },
      };
      const timer = setTimeout(waiter.settle, waitMs);
      this.#waiting.add(waiter);
    });
  }

  /** Called after every frame folded: decides those that can be. */
  advanced(): void {
    if (this.#waiting.size === 0) return;
    const applied = this.#applied();
    for (const waiter of this.#waiting) if (waiter.isOver(applied)) waiter.settle();
  }
}
