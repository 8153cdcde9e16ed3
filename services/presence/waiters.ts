/**
 * Reads that wait for a token. Rule (invariant 8): a wait ends satisfied only when every position of the token is applied; when the
 * time is over it says exactly what is missing.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import { checkToken } from "../../replicator/core/token.ts";
import type { Token, TokenCheck } from "../../replicator/core/token.ts";

interface Waiter {
  readonly token: Token;
  readonly settle: (check: TokenCheck) => void;
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
    if (check.kind !== "missing" || waitMs === 0) return check;
    if (this.#waiting.size >= LIMITS.waitersMax) return "overloaded";
    return new Promise((resolve) => {
      const waiter: Waiter = {
        token,
        settle: (decided) => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(decided);
        },
      };
      const timer = setTimeout(() => waiter.settle(checkToken(token, this.#applied())), waitMs);
      this.#waiting.add(waiter);
    });
  }

  /** Called after every frame folded: decides those that can be. */
  advanced(): void {
    if (this.#waiting.size === 0) return;
    const applied = this.#applied();
    for (const waiter of this.#waiting) {
      const check = checkToken(waiter.token, applied);
      if (check.kind !== "missing") waiter.settle(check);
    }
  }
}
