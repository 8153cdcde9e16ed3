/**
 * Asks the region's replicators how far the logs of all regions go, for reads that want the latest. Rule: a read is answered by an ask that
 * was sent after it came; reads that come within a moment share one.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import { HEADS_ASKED_TOPIC, HEAD_TOPIC, decodeHead, encodeAsk } from "../../replicator/runtime/heads.ts";
import type { Heads } from "./consistency.ts";

export interface HeadAskerOptions {
  readonly node: string;
  readonly regions: readonly Region[];
  readonly store: LogStore;
  /** Something announced cannot be read. */
  readonly malformed: () => void;
}

/** Reads that come this soon after one another share an ask. */
const GATHER_MS = 5;
/** An ask is remembered so long: later answers concern nobody. Longer than any read may wait. */
const FORGET_MS = 10_000;

interface Ask {
  readonly heads: Map<Region, { readonly logId: string; readonly position: number }>;
  /** Called when all regions have answered. */
  readonly complete: Set<() => void>;
}

export class HeadAsker {
  readonly #options: HeadAskerOptions;
  readonly #asks = new Map<string, Ask>();
  readonly #unlisten: () => void;
  #count = 0;
  /** The ask that is about to be sent. */
  #next: Ask | undefined;

  constructor(options: HeadAskerOptions) {
    this.#options = options;
    this.#unlisten = options.store.listen(HEAD_TOPIC, (payload) => this.#heard(payload));
  }

  /** Resolves when every region has said how far its log goes, or after `waitMs` with those that did. */
  async ask(waitMs: number): Promise<Heads> {
    const ask = (this.#next ??= this.#gather());
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        ask.complete.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      ask.complete.add(done);
    });
    const heads: Token = new Map(ask.heads);
    return { heads, unheard: this.#options.regions.filter((region) => !heads.has(region)) };
  }

  stop(): void {
    this.#unlisten();
  }

  #gather(): Ask {
    const { node, store } = this.#options;
    const ask: Ask = { heads: new Map(), complete: new Set() };
    const name = `${node} ${(this.#count += 1)}`;
    setTimeout(() => {
      this.#next = undefined;
      this.#asks.set(name, ask);
      store.announce(HEADS_ASKED_TOPIC, encodeAsk(name));
    }, GATHER_MS);
    setTimeout(() => this.#asks.delete(name), FORGET_MS).unref();
    return ask;
  }

  #heard(payload: Uint8Array): void {
    const head = decodeHead(payload);
    if (head === undefined) return this.#options.malformed();
    const ask = this.#asks.get(head.ask);
    if (ask === undefined || !this.#options.regions.includes(head.region)) return;
    ask.heads.set(head.region, { logId: head.logId, position: head.head });
    if (ask.heads.size === this.#options.regions.length) for (const done of ask.complete) done();
  }
}
