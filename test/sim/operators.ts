/**
 * Operators: now and then they give a user another home. Rule: they ask as the API has it, mostly where a replica says that the home is;
 * what they were told goes into the ledger, and a refusal must be one that the API names.
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { ProblemName } from "../../services/presence/service.ts";
import type { Place } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** Somebody is to move this often. Under faults few are: one in a hundred of what clients ask for is a move that comes about. */
const LEAST_MS = 50;
const MOST_MS = 250;
/** Where the home is not settled yet, the same is asked again after this long, and so many times in all. */
const AGAIN_MS = 300;
const TRIES = 8;
/** This share asks any region: it may not be the home. */
const ASTRAY = 0.1;

/** Why a user may stay. Whoever does not know the user's home yet may be asked all the same. */
const REFUSALS: readonly ProblemName[] = [
  "unknown-user",
  "not-home",
  "home-unsettled",
  "not-ready",
  "log-unavailable",
  "overloaded",
];

export class Operators {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #random: Random;
  /** Nobody is moved any more. */
  readonly #quiet: () => boolean;
  /** What the token of a write about the user in a region speaks of. */
  readonly #told: (written: { readonly token: Token }, region: Region, user: UserId) => Place | undefined;
  readonly counts = { moves: 0, movesRefused: 0, unsettled: 0 };

  constructor(
    world: World,
    ledger: Ledger,
    quiet: () => boolean,
    told: (written: { readonly token: Token }, region: Region, user: UserId) => Place | undefined,
  ) {
    this.#world = world;
    this.#ledger = ledger;
    this.#quiet = quiet;
    this.#told = told;
    this.#random = new Random(world.settings.seed, "operators");
    this.#work();
  }

  #work(): void {
    this.#world.machine.after(undefined, this.#random.between(LEAST_MS, MOST_MS), "operator", () => {
      const user = `user${1 + this.#random.below(this.#world.settings.users)}`;
      const reader = this.#world.serving(this.#random.pick(REGIONS));
      const to = this.#random.pick(REGIONS);
      const astray = this.#random.chance(ASTRAY);
      void this.#move(user, reader, to, astray, 1);
      this.#work();
    });
  }

  async #move(user: UserId, reader: NodeHost, to: Region, astray: boolean, tries: number): Promise<void> {
    const { machine } = this.#world;
    const home = reader.presence?.presence(user).home;
    if (this.#quiet() || !reader.ready || home === undefined || home === to) return;
    const host = astray ? reader : this.#world.serving(home);
    const { presence } = host;
    if (presence === undefined || !host.ready) return;
    machine.enter(host.process);
    // It may know better than the reader where the user lives: then it has nothing to write.
    const isThere = presence.presence(user).home === to;
    machine.trace(() => `move of ${user} to ${to} asked of ${host.name}`);
    const outcome = await presence.rehome(user, to);
    if (isThere) return;
    if (!outcome.ok)
      return this.#refused(user, host, outcome.problem.name, tries, () =>
        this.#move(user, reader, to, astray, tries + 1),
      );
    this.counts.moves += 1;
    const place = this.#told(outcome.value, host.region, user);
    if (place !== undefined) this.#ledger.moved(user, to, place);
    machine.trace(() => `move of ${user} to ${to} acknowledged by ${host.name}`);
  }

  #refused(
    user: UserId,
    { name }: NodeHost,
    problem: ProblemName,
    tries: number,
    again: () => Promise<void>,
  ): void {
    const { machine } = this.#world;
    this.counts.movesRefused += 1;
    if (!REFUSALS.includes(problem)) machine.fail(`${name} refused to move ${user}: ${problem}`);
    if (problem !== "home-unsettled" || tries === TRIES) return;
    this.counts.unsettled += 1;
    machine.after(undefined, AGAIN_MS, "operator", () => void again());
  }
}
