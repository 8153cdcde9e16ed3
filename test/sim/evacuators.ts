/**
 * Operators who evacuate a region that is alive, and restore it later; in half of the seeds. Rule: they ask a node of the region as the API
 * has it, and a refusal must be one that the API names.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { EvacuationRequest } from "../../services/presence/evacuation-view.ts";
import type { ProblemName } from "../../services/presence/service.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

const SHARE = 0.5;
/** Somebody looks at some region this often: it is evacuated where its users are at home, else restored now and then. */
const LEAST_MS = 200;
const MOST_MS = 1_500;
const RESTORED = 0.3;
/** Where they are taken back soon: this often somebody looks for one to take back. */
const RETURNED = 0.5;
const FORCED = 0.5;
const PLANNED = 0.1;
const EXPIRES = 0.2;

const REFUSALS: readonly ProblemName[] = ["evacuation-refused", "not-ready", "log-unavailable", "overloaded"];

export class Evacuators {
  readonly #world: World;
  readonly #random: Random;
  readonly #returns: Random | undefined;
  /** Nothing is decided any more. */
  readonly #quiet: () => boolean;
  readonly #counts = { evacuations: 0, restores: 0, evacuationsRefused: 0 };

  constructor(world: World, quiet: () => boolean) {
    this.#world = world;
    this.#quiet = quiet;
    this.#random = new Random(world.settings.seed, "evacuators");
    const { seed, doings } = world.settings;
    this.#returns = doings.includes("returns") ? new Random(seed, "returns") : undefined;
    if (this.#random.chance(SHARE)) this.#work();
  }

  /** Besides what was asked for: the regions that nobody is left in at the end, and those that have all of their users back. */
  get counts(): Record<string, number> {
    const hosts = REGIONS.map((region) => this.#world.serving(region));
    const empty = hosts.filter(
      ({ presence, region }) => presence?.evacuations().get(region)?.usersLeft === 0,
    );
    const whole = hosts.filter(({ presence }) => presence?.settings().get("evacuation")?.value === "home");
    return { ...this.#counts, evacuated: empty.length, returned: whole.length };
  }

  /** A region that says of itself that users are given away. */
  #evacuated(): Region | undefined {
    return REGIONS.find(
      (region) =>
        (this.#world.serving(region).presence?.evacuations().get(region)?.state ?? "home") !== "home",
    );
  }

  #work(): void {
    this.#world.machine.after(undefined, this.#random.between(LEAST_MS, MOST_MS), "operator", () => {
      const picked = this.#random.pick(REGIONS);
      const to = this.#random.pick(REGIONS);
      const returned = this.#returns?.chance(RETURNED) === true ? this.#evacuated() : undefined;
      const region = returned ?? picked;
      const restores = this.#random.chance(RESTORED) || returned !== undefined;
      const request = {
        region,
        by: "operator",
        reason: "drill",
        dryRun: this.#random.chance(PLANNED),
        force: this.#random.chance(FORCED),
      };
      const untilMs = this.#random.chance(EXPIRES) ? this.#random.between(0, MOST_MS) : undefined;
      if (!this.#quiet()) void this.#ask(request, to, restores, untilMs);
      this.#work();
    });
  }

  async #ask(
    request: EvacuationRequest,
    to: Region,
    restores: boolean,
    afterMs: number | undefined,
  ): Promise<void> {
    const { machine } = this.#world;
    const { region, dryRun } = request;
    const host = this.#world.serving(region);
    const { presence } = host;
    if (presence === undefined || !host.ready) return;
    machine.enter(host.process);
    const state = presence.evacuations().get(region)?.state;
    if (state !== "home" && !restores) return;
    machine.trace(() => `${host.name}, ${state}, is asked about an evacuation to ${to}`);
    const { wallMs } = host.process.clock();
    const end = afterMs === undefined ? {} : { untilMs: Math.round(wallMs + afterMs) };
    const outcome =
      state === "home"
        ? await presence.evacuate({ ...request, to, ...end })
        : await presence.restore(request);
    if (!outcome.ok) {
      this.#counts.evacuationsRefused += 1;
      const { name } = outcome.problem;
      if (!REFUSALS.includes(name)) machine.fail(`${host.name} refused to evacuate ${region}: ${name}`);
    } else if (!dryRun) this.#counts[state === "home" ? "evacuations" : "restores"] += 1;
  }
}
