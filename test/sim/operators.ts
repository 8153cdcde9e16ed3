/**
 * Operators: now and then they give a user another home. Rule: they ask as the API has it, mostly where a replica says that the home is;
 * what they were told goes into the ledger, and a refusal must be one that the API names. A move that is acknowledged is written, but for
 * who lives there already: by the slow model of what the asked node had folded, as the API tells no home of who shows no session.
 */
import type { Frame, Region, UserId } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { ProblemName } from "../../services/presence/service.ts";
import type { Place } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { modelView, overlayOf } from "../core/model-view.ts";
import { readLog } from "../core/model.ts";
import type { ModelLog } from "../core/model.ts";
import { frameOf } from "./history.ts";
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
    const folded = new Map(host.places);
    machine.trace(() => `move of ${user} to ${to} asked of ${host.name}`);
    const outcome = await presence.rehome(user, to);
    if (!outcome.ok)
      return this.#refused(user, host, outcome.problem.name, tries, () =>
        this.#move(user, reader, to, astray, tries + 1),
      );
    // It may know better than the reader where the user lives: then it has nothing to write.
    if (livesIn(this.#logsAt(folded), user, to)) return;
    this.counts.moves += 1;
    const place = this.#told(outcome.value, host.region, user);
    if (place !== undefined) this.#moved(user, to, place, host);
    machine.trace(() => `move of ${user} to ${to} acknowledged by ${host.name}`);
  }

  #moved(user: UserId, to: Region, place: Place, { name }: NodeHost): void {
    const { history, machine } = this.#world;
    const { strand, position } = place;
    const isWritten = history.places(strand.region, strand.logId, position).some((one) => {
      const stored = history.at(one);
      return stored !== undefined && releases(frameOf(stored), user, to);
    });
    if (!isWritten)
      machine.fail(`invariant 4: ${name} acknowledged a move of ${user} to ${to}, and wrote none`);
    this.#ledger.moved(user, to, place);
  }

  /** What the logs say up to there. */
  #logsAt(places: ReadonlyMap<Region, Place>): ModelLog[] {
    const { history } = this.#world;
    return REGIONS.map((region) => readLog(region, history.lineage(places.get(region))));
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

/**
 * Whether the user lives there as far as the logs say, in view or not. While nobody has claimed the user, every region that a forward goes
 * to may be meant.
 */
export function livesIn(logs: readonly ModelLog[], user: UserId, region: Region): boolean {
  const home = modelView(logs, user)?.home;
  return home === undefined ? overlayOf(logs, user).some(({ to }) => to === region) : home === region;
}

function releases({ commands }: Frame, user: UserId, to: Region): boolean {
  return commands.some((command) => command.kind === "release" && command.user === user && command.to === to);
}
