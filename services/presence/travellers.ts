/**
 * Users who live elsewhere by now. Rule (PNUTS's): whose last so many logins all came from one other region is given over to it by a planned
 * release (decisions/0013), that is only when the home is beyond doubt; a login from elsewhere begins the count anew. The count is this
 * node's memory and no more: a restart forgets it, and a user that it has no room for is counted anew.
 */
import { LRUCache } from "lru-cache";

import { defined } from "../../replicator/core/assert.ts";
import type { Accept, Frame, Open, Region, UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Outcome, ProblemName } from "./service.ts";

export interface TravellersOptions {
  readonly node: PresenceNode;
  /** So many logins in a row from one other region; 0: nobody is moved. */
  readonly loginsMax: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Plans and appends the release. */
  readonly move: (user: UserId, to: Region) => Promise<Outcome<unknown>>;
}

/** Where no other number is set. */
export const REHOME_LOGINS = 5;

const DUE_MAX = 1_000;
/** The nodes of a region count alike: each waits for a moment of its own, and finds most users moved already. */
const SPREAD_MS = 1_000;
/** The pause after the first try that came too early; each one is twice as long. */
const RETRY_MS = 1_000;
/** About four minutes; after that, the next login of the series counts again. */
const TRIES_MAX = 8;
const RELEASES_MAX = 16;

/** What passes with time; after other problems somebody else has moved the user, or nobody can. */
const PASSING: ReadonlySet<ProblemName> = new Set([
  "home-unsettled",
  "not-ready",
  "log-unavailable",
  "overloaded",
]);

interface Due {
  readonly to: Region;
  tries: number;
  /** When it is tried next; infinite while it is being tried. */
  atMs: number;
}

export class Travellers {
  /** Users that this node has given over. */
  moved = 0;
  readonly #options: TravellersOptions;
  readonly #series = new LRUCache<UserId, { readonly from: Region; readonly logins: number }>({
    max: LIMITS.travellersMax,
  });
  readonly #due = new Map<UserId, Due>();
  #releasing = 0;

  constructor(options: TravellersOptions) {
    this.#options = options;
  }

  /** A frame of this region's log is about to be folded. */
  sees({ commands }: Frame): void {
    if (this.#options.loginsMax === 0) return;
    for (const command of commands) {
      if (command.kind === "open") this.#opens(command);
      else if (command.kind === "accept" && command.command.kind === "open" && this.#isNew(command))
        this.#opens(command.command);
    }
  }

  tick(): void {
    if (this.#due.size === 0) return;
    const { node, clock } = this.#options;
    const nowMs = clock().monoMs;
    for (const [user, due] of this.#due) {
      if (due.atMs > nowMs) continue;
      if (this.#releasing >= RELEASES_MAX) return;
      if (node.replica.winner(user) === node.region) void this.#release(user, due);
      else this.#due.delete(user);
    }
  }

  #isNew({ lineage, at }: Accept): boolean {
    return at > this.#fold.processedOf(lineage);
  }

  /** An open of a session that the record has already is no login: reconcile repeats what it is unsure of. */
  #opens({ user, session }: Open): void {
    const { node, loginsMax } = this.#options;
    const record = this.#fold.table.get(user);
    const isKnown = record?.sessions.some((one) => one.session === session.session) === true;
    if (isKnown || (record !== undefined && record.movedTo !== "")) return;
    const from = session.region;
    const before = this.#series.get(user);
    if (before?.from !== from) this.#due.delete(user);
    if (from === node.region) {
      this.#series.delete(user);
      return;
    }
    const logins = before?.from === from ? before.logins + 1 : 1;
    this.#series.set(user, { from, logins });
    if (logins >= loginsMax) this.#plan(user, from);
  }

  #plan(user: UserId, to: Region): void {
    const { clock, random } = this.#options;
    if (this.#due.has(user) || this.#due.size >= DUE_MAX) return;
    this.#due.set(user, { to, tries: 0, atMs: clock().monoMs + SPREAD_MS * random() });
  }

  async #release(user: UserId, due: Due): Promise<void> {
    const { move, clock } = this.#options;
    due.atMs = Infinity;
    this.#releasing += 1;
    const outcome = await move(user, due.to);
    this.#releasing -= 1;
    if (outcome.ok) {
      this.moved += 1;
      this.#series.delete(user);
    }
    due.tries += 1;
    due.atMs = clock().monoMs + RETRY_MS * 2 ** (due.tries - 1);
    const isOver = outcome.ok || !PASSING.has(outcome.problem.name) || due.tries === TRIES_MAX;
    if (isOver && this.#due.get(user) === due) this.#due.delete(user);
  }

  get #fold() {
    const { region, replica } = this.#options.node;
    return defined(replica.fold(region), "a replica has every region");
  }
}
