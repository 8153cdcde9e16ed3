/**
 * The canary: every few seconds a user of this region asks one of each other region, and the node there is asked at once whether it shows
 * that, by the token and by the latest. Rule: measured by this node's clock alone, from the acknowledgement here to the answer here; an
 * answer comes only of a replica that claims to have what was asked for, so one without the request is false. The users are nobody's.
 *
 *   result      | the other region's node
 *   ------------+----------------------------------------------------------------
 *   at-once     | had it when it was asked
 *   waited      | had to wait for it
 *   unsatisfied | has not answered in time: it lacks it, or cannot be reached
 *   false       | claimed to have it, and did not show it
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Elsewhere } from "../presence/reads.ts";
import { CANARY_PREFIX } from "../presence/schemas.ts";
import { isPage } from "./pages.ts";
import type { RequestsQuestion } from "./pages.ts";
import { parseRequestId } from "./names.ts";
import type { FriendRequests } from "./requests.ts";

export const CANARY_READS = ["token", "latest"] as const;
export type CanaryRead = (typeof CANARY_READS)[number];
export const CANARY_RESULTS = ["at-once", "waited", "unsatisfied", "false"] as const;
export type CanaryResult = (typeof CANARY_RESULTS)[number];

/** What came of the reads of one kind in one region. */
export interface CanaryFigures {
  readonly region: Region;
  readonly read: CanaryRead;
  readonly results: Record<CanaryResult, number>;
  /** From the acknowledgement to the newest answer, its way back included; absent before the first, and while there is none. */
  lastMs: number | undefined;
}

export interface CanaryOptions {
  readonly region: Region;
  readonly peers: readonly Region[];
  readonly requests: FriendRequests;
  readonly elsewhere: Elsewhere;
  readonly clock: Clock;
  /** Whether this node is the one of its region that does it, and could now. */
  readonly isOurs: () => boolean;
  readonly everyMs: number;
}

interface Question {
  readonly id: string;
  readonly token: Token;
  readonly from: UserId;
  readonly to: UserId;
}

export class Canary {
  readonly figures: readonly CanaryFigures[];
  /** Runs in which the request could not be written. */
  failed = 0;
  readonly #options: CanaryOptions;
  readonly #timer: NodeJS.Timeout;
  /** Peers of which a run is under way. */
  readonly #running = new Set<Region>();

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.figures = options.peers.flatMap((region) =>
      CANARY_READS.map((read) => {
        const results = { "at-once": 0, waited: 0, unsatisfied: 0, false: 0 };
        return { region, read, results, lastMs: undefined };
      }),
    );
    this.#timer = setInterval(() => this.#sing(), options.everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sing(): void {
    const { peers, isOurs } = this.#options;
    if (!isOurs()) {
      for (const figures of this.figures) figures.lastMs = undefined;
      return;
    }
    for (const peer of peers) if (!this.#running.has(peer)) void this.check(peer);
  }

  /** Asks, has both reads made there, and takes the question back. */
  async check(peer: Region): Promise<void> {
    this.#running.add(peer);
    const asked = await this.#ask(peer);
    if (asked === undefined) this.failed += 1;
    else {
      const all = this.figures.filter(({ region }) => region === peer);
      await Promise.all(all.map((figures) => this.#read(figures, asked)));
      await this.#options.requests.act("cancel", asked.id, undefined);
    }
    this.#running.delete(peer);
  }

  async #ask(peer: Region): Promise<Question | undefined> {
    const { region, requests } = this.#options;
    const from = `${CANARY_PREFIX}${region}.to.${peer}`;
    const to = `${CANARY_PREFIX}${peer}.from.${region}`;
    const left = requests.pending(from, to);
    if (left !== undefined) await requests.act("cancel", left, undefined);
    const asked = await requests.ask(from, to, "");
    return asked.ok ? { ...asked.value, from, to } : undefined;
  }

  async #read(figures: CanaryFigures, { id, token, from, to: user }: Question): Promise<void> {
    const { elsewhere, clock, requests } = this.#options;
    const { region, read, results } = figures;
    const ackedMs = clock().monoMs;
    const question: RequestsQuestion = { kind: "friend-requests", user, direction: "in", limit: 1 };
    const wanted: Token = read === "token" ? token : new Map();
    const served = await elsewhere(
      { users: [user], mode: read, token: wanted, maxStalenessMs: 0, waitMs: LIMITS.waitMsMax, question },
      [region],
    );
    figures.lastMs = served === undefined ? undefined : clock().monoMs - ackedMs;
    if (served === undefined) results.unsatisfied += 1;
    else if (shows(served.answer.answer, id)) results[served.answer.waitedMs < 1 ? "at-once" : "waited"] += 1;
    // Another node of this region that takes over takes back what it finds: that says nothing of the other region.
    else if (requests.pending(from, user) === id) results.false += 1;
  }
}

/** Whether the page has that very asking. */
function shows(page: unknown, id: string): boolean {
  const name = parseRequestId(id);
  return (
    isPage.Check(page) &&
    page.requests.some(({ from, to, round }) => name?.from === from && name.to === to && name.round === round)
  );
}
