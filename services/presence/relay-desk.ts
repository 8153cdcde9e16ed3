/**
 * Answers the reads that nodes of other regions ask here (decisions/0020). Rule: an ask is answered once, only when this replica has all that
 * is asked for, and with what a read here would be told; else nothing is said, and the asker's own time ends the wait.
 */
import { LRUCache } from "lru-cache";

import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { readAnsweredTopic, readAskedTopic } from "../../replicator/runtime/relay.ts";
import { decodeReadAsk, encodeReadAnswer } from "./relay-messages.ts";
import type { ReadAsk } from "./relay-messages.ts";
import type { Consistency, Outcome, PresenceView, ReadOptions, RelayAnswered } from "./service.ts";

/** The node's own answers. */
export interface Answers {
  ready(): boolean;
  meet(options: ReadOptions, users: readonly UserId[]): Promise<Outcome<Consistency>>;
  /** Whether this replica has gone over to the heir's log wherever one counts. */
  followsHeirs(): boolean;
  presence(user: UserId): PresenceView;
  /** To what else was asked, of this moment or promised; `undefined` when that cannot be read. */
  answer?(question: unknown): unknown;
  applied(): Token;
  /** Of the oldest watermark; infinite when a region was never heard of. */
  oldestMs(): number;
}

export interface RelayDeskOptions {
  readonly region: Region;
  readonly peers: readonly Region[];
  readonly store: LogStore;
  readonly clock: Clock;
  readonly answers: Answers;
}

/** Asks that wait for an answer at once. */
export const ANSWERING_MAX = 256;
/** Asks taken within a second: a peer that lags must not take this region's reads the room. */
export const TAKEN_MAX = 2_000;
/** Each of a region's replicators may carry the same ask. */
const REMEMBERED_MAX = 8_192;

export class RelayDesk {
  readonly stats: RelayAnswered = { answered: 0, declined: 0, malformed: 0 };
  readonly #options: RelayDeskOptions;
  readonly #heard = new LRUCache<string, true>({ max: REMEMBERED_MAX });
  readonly #unlisten: () => void;
  #answering = 0;
  #taken = 0;
  #secondAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: RelayDeskOptions) {
    this.#options = options;
    this.#unlisten = options.store.listen(readAskedTopic(options.region), (payload) => this.#hear(payload));
  }

  stop(): void {
    this.#unlisten();
  }

  #hear(payload: Uint8Array): void {
    const { peers, answers } = this.#options;
    const ask = decodeReadAsk(payload);
    if (ask === undefined || !peers.includes(ask.from)) {
      this.stats.malformed += 1;
      return;
    }
    if (this.#heard.has(ask.ask)) return;
    this.#heard.set(ask.ask, true);
    if (answers.ready() && this.#hasRoom()) void this.#serve(ask);
    else this.stats.declined += 1;
  }

  #hasRoom(): boolean {
    const nowMs = this.#options.clock().monoMs;
    if (nowMs - this.#secondAtMs >= 1_000) {
      this.#secondAtMs = nowMs;
      this.#taken = 0;
    }
    if (this.#answering >= ANSWERING_MAX || this.#taken >= TAKEN_MAX) return false;
    this.#taken += 1;
    return true;
  }

  async #serve(ask: ReadAsk): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock().monoMs;
    this.#answering += 1;
    if (await this.#meet(ask, startedMs + ask.waitMs)) await this.#answer(ask, clock().monoMs - startedMs);
    this.#answering -= 1;
  }

  /** Who follows a log that an heir's counts in place of may have all of it, and says nothing: it is not what the asker means. */
  async #meet(ask: ReadAsk, untilMs: number): Promise<boolean> {
    return (await this.#hasAll(ask, untilMs)) && this.#options.answers.followsHeirs();
  }

  /** First all of the token, then the mode. */
  async #hasAll({ users, mode, token, maxStalenessMs, waitMs }: ReadAsk, untilMs: number): Promise<boolean> {
    const { clock, answers } = this.#options;
    if (!isSatisfied(await answers.meet({ mode: "token", token, waitMs }, users))) return false;
    const leftMs = Math.max(0, untilMs - clock().monoMs);
    switch (mode) {
      case "token":
        return true;
      case "bounded":
        return isSatisfied(await answers.meet({ mode, maxStalenessMs, waitMs: leftMs }, users));
      case "latest":
        return isSatisfied(await answers.meet({ mode, waitMs: leftMs }, users));
    }
  }

  /** All of one moment; what is promised rests on what it says itself. */
  async #answer({ ask, from, users, question }: ReadAsk, waitedMs: number): Promise<void> {
    const { region, store, answers } = this.#options;
    const ageMs = answers.oldestMs();
    const token = answers.applied();
    const presences = users.map((user) => answers.presence(user));
    const said = question === undefined ? undefined : answers.answer?.(question);
    const answer = said instanceof Promise ? await said : said;
    if (question !== undefined && answer === undefined) {
      this.stats.declined += 1;
      return;
    }
    const payload = encodeReadAnswer({
      ask,
      region,
      token,
      waitedMs,
      ...(Number.isFinite(ageMs) && { ageMs }),
      presences,
      ...(answer !== undefined && { answer }),
    });
    this.stats[payload === undefined ? "declined" : "answered"] += 1;
    if (payload !== undefined) store.announce(readAnsweredTopic(from), payload);
  }
}

function isSatisfied(met: Outcome<Consistency>): boolean {
  return met.ok && met.value.satisfied;
}
