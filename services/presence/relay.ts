/**
 * Asks other regions' nodes for a read that this replica cannot satisfy (decisions/0020). Rule: the first answer counts that has all that was
 * asked for, by its own positions; who does not answer in time is not waited for. Asks under way are bounded.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { checkToken } from "../../replicator/core/token.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { readAnsweredTopic, readAskedTopic } from "../../replicator/runtime/relay.ts";
import { RELAYED_USERS_MAX, decodeReadAnswer, encodeReadAsk } from "./relay-messages.ts";
import type { ReadAnswer, ReadAsk } from "./relay-messages.ts";
import type { RelayAsked } from "./service.ts";

export interface RelayOptions {
  readonly region: Region;
  readonly peers: readonly Region[];
  readonly store: LogStore;
  readonly clock: Clock;
  /** A fresh, unguessable name. */
  readonly mint: () => string;
}

/** What to ask; the name and the asking region are the relay's to add. */
export type Asked = Omit<ReadAsk, "ask" | "from">;

/** An answer, and for how much of the time since it was asked for it was on its way. */
export interface Served {
  readonly answer: ReadAnswer;
  readonly transitMs: number;
}

/** Asks one node has under way. */
export const ASKING_MAX = 256;

interface Ask {
  readonly asked: Asked;
  readonly regions: readonly Region[];
  readonly atMs: number;
  readonly serve: (served: Served) => void;
}

export class Relay {
  readonly stats: RelayAsked = { asked: 0, served: 0, full: 0, strange: 0 };
  readonly #options: RelayOptions;
  readonly #asks = new Map<string, Ask>();
  readonly #unlisten: () => void;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#unlisten = options.store.listen(readAnsweredTopic(options.region), (payload) =>
      this.#heard(payload),
    );
  }

  /** Resolves with the first answer, or with none when the time is over. Only peers are asked. */
  ask(asked: Asked, whom: readonly Region[]): Promise<Served | undefined> {
    const { region: from, peers, store, clock, mint } = this.#options;
    const regions = whom.filter((region) => peers.includes(region));
    const waitMs = Math.min(Math.floor(asked.waitMs), LIMITS.waitMsMax);
    if (waitMs < 1 || regions.length === 0) return Promise.resolve(undefined);
    const ask = mint();
    const isShort = asked.users.length <= RELAYED_USERS_MAX && this.#asks.size < ASKING_MAX;
    const payload = isShort ? encodeReadAsk({ ...asked, ask, waitMs, from }) : undefined;
    if (payload === undefined) {
      this.stats.full += 1;
      return Promise.resolve(undefined);
    }
    this.stats.asked += 1;
    return new Promise((resolve) => {
      const over = (served?: Served): void => {
        clearTimeout(timer);
        this.#asks.delete(ask);
        resolve(served);
      };
      const timer = setTimeout(over, waitMs);
      this.#asks.set(ask, { asked, regions, atMs: clock().monoMs, serve: over });
      for (const region of regions) store.announce(readAskedTopic(region), payload);
    });
  }

  stop(): void {
    this.#unlisten();
  }

  /** Answers to what is over are nobody's: the first was enough, or came too late. */
  #heard(payload: Uint8Array): void {
    const answer = decodeReadAnswer(payload);
    const ask = this.#asks.get(answer?.ask ?? "");
    if (answer !== undefined && ask === undefined) return;
    if (answer === undefined || ask === undefined || !isTo(ask, answer)) {
      this.stats.strange += 1;
      return;
    }
    const transitMs = Math.max(0, this.#options.clock().monoMs - ask.atMs - answer.waitedMs);
    if (!isFresh(ask.asked, answer, transitMs)) return;
    this.stats.served += 1;
    ask.serve({ answer, transitMs });
  }
}

/** From one that was asked, about those it was asked about, and with all that was asked for. */
function isTo({ asked, regions }: Ask, { region, token, presences, answer }: ReadAnswer): boolean {
  const { users } = asked;
  return (
    regions.includes(region) &&
    checkToken(asked.token, token).kind === "satisfied" &&
    (asked.question === undefined || answer !== undefined) &&
    presences.length === users.length &&
    presences.every(({ user }, index) => user === users[index])
  );
}

/** What was fresh enough there may not be so any more here. */
function isFresh({ mode, maxStalenessMs }: Asked, { ageMs = Infinity }: ReadAnswer, transitMs: number) {
  return mode !== "bounded" || ageMs + transitMs <= maxStalenessMs;
}
