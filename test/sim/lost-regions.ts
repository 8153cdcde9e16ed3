/**
 * A region that is lost, one at a time: all of it is dead, or it is cut off from all others and goes on serving its clients. An operator gives
 * it over to an heir as the API has it, and some time later it is back, with its store. Rule: what is asked for is refused only with what the
 * API names; when all heals the region is back, decided or not.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { ProblemName } from "../../services/presence/service.ts";
import type { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** Others call a region silent after two seconds; sessions end one TTL after the heir goes on. */
const LEAST_MS = 4_000;
const MOST_MS = 12_000;
/** Somebody tries to evacuate it so often until it is decided. */
const ASK_MS = 400;
const FORCED = 0.15;
const DEAD = 0.5;
/** Nobody asks for an evacuation: it is back as after any cut. */
const LEFT_ALONE = 0.1;
const REFUSALS: readonly ProblemName[] = ["evacuation-refused", "not-ready", "log-unavailable", "overloaded"];

export interface Loss {
  readonly region: Region;
  readonly forMs: number;
  /** It is back. */
  readonly end: () => void;
}

export class LostRegions {
  readonly #world: World;
  #lost: Region | undefined;
  #dead: Region | undefined;
  readonly counts = { lostDead: 0, lostCutOff: 0, succeeded: 0, lossesRefused: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  /** Nothing while another is lost, is fenced or has not begun its log again: of two fences each would stop what the other waits for. */
  lose(region: Region, random: Random): Loss | undefined {
    const { history } = this.#world;
    const isFree = this.#lost === undefined && !history.isFenced;
    if (!isFree || REGIONS.some((one) => history.succeeded(one) !== undefined)) return undefined;
    const isDead = random.chance(DEAD);
    const heir = random.pick(REGIONS.filter((one) => one !== region));
    const forMs = random.between(LEAST_MS, MOST_MS);
    const force = random.chance(FORCED);
    const back = isDead ? this.#kill(region) : this.#cutOff(region);
    this.counts[isDead ? "lostDead" : "lostCutOff"] += 1;
    this.#lost = region;
    if (!random.chance(LEFT_ALONE)) this.#evacuate(region, heir, force);
    return {
      region,
      forMs,
      end: () => {
        this.#lost = undefined;
        this.#world.bereft(region);
        back();
      },
    };
  }

  /** Lost, fenced, or stood for by another. */
  isAway(region: Region): boolean {
    const { history } = this.#world;
    return this.#lost === region || history.isFenced || history.succeeded(region) !== undefined;
  }

  isDead(region: Region): boolean {
    return this.#dead === region;
  }

  #kill(region: Region): () => void {
    const { network, nodes, replicators } = this.#world;
    const server = this.#world.server(region);
    const hosts = [...nodes, ...replicators].filter((one) => one.region === region);
    for (const { process } of hosts) process.alive = false;
    if (server.up) server.stop();
    network.changed();
    this.#dead = region;
    return () => {
      this.#dead = undefined;
      server.up = true;
      network.changed();
      for (const host of hosts) if (!host.process.alive) host.start();
    };
  }

  #cutOff(region: Region): () => void {
    const { network } = this.#world;
    const others = REGIONS.filter((one) => one !== region);
    const ends = others.flatMap((one) => [network.cut(region, one), network.cut(one, region)]);
    return () => ends.forEach((end) => end());
  }

  #evacuate(region: Region, heir: Region, force: boolean): void {
    this.#world.machine.after(undefined, ASK_MS, "operator", () => {
      if (this.#lost === region) void this.#ask(region, heir, force);
    });
  }

  async #ask(region: Region, heir: Region, force: boolean): Promise<void> {
    const { machine } = this.#world;
    const host = this.#world.serving(heir);
    const { presence } = host;
    if (presence === undefined || !host.ready) return this.#evacuate(region, heir, force);
    machine.enter(host.process);
    const outcome = await presence.evacuate({
      region,
      to: heir,
      by: "operator",
      reason: `${region} is lost`,
      dryRun: false,
      force,
    });
    if (outcome.ok) {
      this.counts.succeeded += 1;
      return machine.trace(() => `${host.name} is to succeed ${region}`);
    }
    this.counts.lossesRefused += 1;
    const { name, detail } = outcome.problem;
    machine.trace(() => `${host.name} refuses to succeed ${region}: ${name} ${detail}`);
    if (!REFUSALS.includes(name)) machine.fail(`${host.name} refused to succeed ${region}: ${name}`);
    else this.#evacuate(region, heir, force);
  }
}
