/**
 * Carries the reads that this region's nodes ask of a peer's nodes there, and the answers back. Rule: an ask is carried once, and for each
 * the first answer alone; what nobody here asked for is not carried, and of asks under way there is a bound.
 */
import type { Region } from "./core/commands.ts";
import type { LogStore } from "./log/port.ts";
import { decodeRelayHead, readAnsweredTopic, readAskedTopic } from "./runtime/relay.ts";

export interface ReadDeskOptions {
  readonly region: Region;
  readonly local: LogStore;
  readonly peers: ReadonlyMap<Region, LogStore>;
}

export interface ReadDesk {
  readonly carried: Readonly<ReadsCarried>;
  close(): void;
}

/** What was carried and what was not, since the start. */
export interface ReadsCarried {
  asks: number;
  answers: number;
  /** Asks beyond the bound. */
  full: number;
  /** Without a head, or too large. */
  malformed: number;
  /** Answers to nothing that is under way: asked by nobody here, answered before, or late. */
  unasked: number;
}

/** Asks under way per peer. */
export const CARRYING_MAX = 256;

export function openReadDesk({ region, local, peers }: ReadDeskOptions): ReadDesk {
  const carried: ReadsCarried = { asks: 0, answers: 0, full: 0, malformed: 0, unasked: 0 };
  const windows = [...peers].map(([peer, remote]) => new Window(region, peer, local, remote, carried));
  return {
    carried,
    close: () => {
      for (const window of windows) window.close();
    },
  };
}

/** Carries to and from one peer. */
class Window {
  readonly #carried: ReadsCarried;
  readonly #unlisten: readonly (() => void)[];
  /** The asks under way, and what forgets each. */
  readonly #underWay = new Map<string, NodeJS.Timeout>();

  constructor(region: Region, peer: Region, local: LogStore, remote: LogStore, carried: ReadsCarried) {
    this.#carried = carried;
    const [asked, answered] = [readAskedTopic(peer), readAnsweredTopic(region)];
    this.#unlisten = [
      local.listen(asked, (payload) => {
        if (remote.connected() && this.#takes(payload)) remote.announce(asked, payload);
      }),
      remote.listen(answered, (payload) => {
        if (this.#awaits(payload)) local.announce(answered, payload);
      }),
    ];
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten();
    for (const timer of this.#underWay.values()) clearTimeout(timer);
  }

  #takes(payload: Uint8Array): boolean {
    const head = decodeRelayHead(payload);
    if (head === undefined) this.#carried.malformed += 1;
    if (head === undefined || this.#underWay.has(head.ask)) return false;
    if (this.#underWay.size >= CARRYING_MAX) {
      this.#carried.full += 1;
      return false;
    }
    const { ask, waitMs } = head;
    this.#underWay.set(
      ask,
      setTimeout(() => this.#underWay.delete(ask), waitMs),
    );
    this.#carried.asks += 1;
    return true;
  }

  #awaits(payload: Uint8Array): boolean {
    const head = decodeRelayHead(payload);
    if (head === undefined) {
      this.#carried.malformed += 1;
      return false;
    }
    const timer = this.#underWay.get(head.ask);
    this.#carried[timer === undefined ? "unasked" : "answers"] += 1;
    clearTimeout(timer);
    return this.#underWay.delete(head.ask);
  }
}
