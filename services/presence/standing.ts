/**
 * Which node of the region has folded the region's log furthest. Rule: whoever is about to begin the log again says where it stands and
 * listens for a moment; who has more of the log says so, and the log is left to them. Who is gone says nothing and is not waited for.
 */
import type { LogStore } from "../../replicator/log/port.ts";
import { STANDING_TOPIC, decodeStanding, encodeStanding } from "../../replicator/runtime/announcement.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import type { Place } from "./follow.ts";

export interface StandingOptions {
  readonly node: string;
  readonly store: LogStore;
  /** Where this node stands in the region's log; nothing while that is not to be trusted. */
  readonly at: () => Place | undefined;
}

/** So long the others have to answer: a round trip inside the region, and a turn of a busy event loop. */
const LISTEN_MS = 300;

export class Standing {
  readonly #options: StandingOptions;
  readonly #unlisten: () => void;
  /** Who was heard to have more since this node asked last. */
  #further: string | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.#unlisten = options.store.listen(STANDING_TOPIC, (payload) => this.#hear(payload));
  }

  stop(): void {
    this.#unlisten();
  }

  /** The node that has more of the log than this one, if one is heard. */
  async further(): Promise<string | undefined> {
    this.#further = undefined;
    this.#say();
    await pause(LISTEN_MS);
    return this.#further;
  }

  #say(): void {
    const { node, store, at } = this.#options;
    const { logId, position } = at() ?? { logId: "", position: 0 };
    store.announce(STANDING_TOPIC, encodeStanding({ node, logId, position }));
  }

  #hear(payload: Uint8Array): void {
    const theirs = decodeStanding(payload);
    const mine = this.#options.at();
    if (theirs === undefined || theirs.node === this.#options.node || mine === undefined) return;
    if (theirs.logId !== "" && mine.logId !== "" && theirs.logId !== mine.logId) return;
    if (theirs.position > mine.position) this.#further = theirs.node;
    else if (theirs.position < mine.position) this.#say();
  }
}
