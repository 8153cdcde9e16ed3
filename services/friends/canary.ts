/**
 * The canary: every few seconds a user of this region asks one of each other region, and the node there is asked at once whether it shows
 * that, by the token and by the latest. Rule: measured by this node's clock alone, from the acknowledgement here to the answer here; an
 * answer that claims to be satisfied and lacks the request is false. The users are nobody's.
 *
 *   result      | the other region's node
 *   ------------+----------------------------------------------------------------
 *   at-once     | had it when it was asked
 *   waited      | had to wait for it
 *   home        | did not have it yet, and another region answered in its place
 *   unsatisfied | has said that it lacks it, or nothing in time
 *   false       | claimed to have it, and did not show it
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { formatToken } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Elsewhere } from "../presence/reads.ts";
import { CANARY_PREFIX } from "../presence/schemas.ts";
import { howMet } from "../presence/tally.ts";
import { CANARY_READS, isCanaryAnswer } from "./canary-read.ts";
import type { CanaryAnswer, CanaryQuestion, CanaryRead } from "./canary-read.ts";
import { parseRequestId } from "./names.ts";
import type { FriendRequests } from "./requests.ts";

/** By how the read was met, as all reads are. */
const MET_RESULTS = {
  atOnce: "at-once",
  waited: "waited",
  home: "home",
  unsatisfied: "unsatisfied",
} as const;
export type CanaryResult = (typeof MET_RESULTS)[keyof typeof MET_RESULTS] | "false";

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

/** The ask itself is for no position: what is asked for is in the question. */
const NOTHING: Token = new Map();

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
        const results = { "at-once": 0, waited: 0, home: 0, unsatisfied: 0, false: 0 };
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
    const question: CanaryQuestion = { kind: "canary", user, read, token: formatToken(token) };
    const asked = { users: [user], mode: "token", token: NOTHING, maxStalenessMs: 0 } as const;
    const served = await elsewhere({ ...asked, waitMs: LIMITS.waitMsMax, question }, [region]);
    const said = served?.answer.answer;
    const answer = isCanaryAnswer.Check(said) ? said : undefined;
    const met = answer === undefined ? "unsatisfied" : howMet(answer, region);
    figures.lastMs = met === "unsatisfied" ? undefined : clock().monoMs - ackedMs;
    if (answer === undefined || met === "unsatisfied" || shows(answer.page, id))
      results[MET_RESULTS[met]] += 1;
    // Another node of this region that takes over takes back what it finds: that says nothing of the other region.
    else if (requests.pending(from, user) === id) results.false += 1;
  }
}

/** Whether the page has that very asking. */
function shows({ requests }: CanaryAnswer["page"], id: string): boolean {
  const name = parseRequestId(id);
  return requests.some(
    ({ from, to, round }) => name?.from === from && name.to === to && name.round === round,
  );
}
