/**
 * What a node that starts has still to fold before its region may write: another one may stand for it by now (decisions/0021), and a peer's
 * log says so. Rule: the log of each peer in touch is folded as far as it went when it was first heard of; who is not heard in time is not
 * waited for, as a region cut off from all others has to go on.
 */
import type { LinkState, Position, Region } from "../../replicator/core/commands.ts";
import type { LinkReport } from "../../replicator/core/link-events.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";

export interface PeersFoldedOptions {
  readonly peers: readonly Region[];
  readonly clock: Clock;
  /** What the replicator says of the link from the peer; `undefined` before its first report. */
  readonly reported: (peer: Region) => LinkReport | undefined;
  /** What this node makes of the link. */
  readonly stateOf: (peer: Region) => LinkState | undefined;
  /** How far the peer's log is folded. */
  readonly at: (peer: Region) => Position;
}

/** The region's replicators have so long to reach the peers. */
export const FIRST_HEARD_MS = 3_000;
const IN_TOUCH: ReadonlySet<LinkState> = new Set(["live", "catching-up", "snapshotting"]);

export class PeersFolded {
  readonly #options: PeersFoldedOptions;
  readonly #startedMs: number;
  /** Of each peer that was heard of, where its log ended then. */
  readonly #heads = new Map<Region, Position>();
  #isDone = false;

  constructor(options: PeersFoldedOptions) {
    this.#options = options;
    this.#startedMs = options.clock().monoMs;
  }

  /** The time is over in which peers are waited for that were not heard of. */
  get isLate(): boolean {
    return this.#options.clock().monoMs - this.#startedMs >= FIRST_HEARD_MS;
  }

  /** What is waited for, for people; nothing from when it is there, for good. */
  waiting(): string | undefined {
    if (this.#isDone) return undefined;
    for (const peer of this.#options.peers) {
      const why = this.#waitingFor(peer);
      if (why !== undefined) return why;
    }
    this.#isDone = true;
    return undefined;
  }

  #waitingFor(peer: Region): string | undefined {
    const { reported, stateOf, at } = this.#options;
    const report = reported(peer);
    const isAbsent = report !== undefined && (report.errors["absent"] ?? 0) > 0;
    if (isAbsent) return undefined;
    // Of a replicator that is silent this node says so itself.
    if (report === undefined || !IN_TOUCH.has(report.state) || stateOf(peer) === "disconnected")
      return this.isLate ? undefined : `${peer} was not heard of yet: another region may stand for this one`;
    const head = this.#heads.get(peer) ?? report.head;
    this.#heads.set(peer, head);
    if (at(peer) >= head) return undefined;
    return `the log of ${peer} is folded up to ${at(peer)} of ${head}: another region may stand for this one`;
  }
}
