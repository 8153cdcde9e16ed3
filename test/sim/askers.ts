/**
 * The users as friends: in any region they ask each other, answer, cancel and read, as a service would write it. Rule: what was acknowledged
 * is remembered with its place in the log; who has that frame shows the fact, or a higher one.
 */
import { STANCE_WORDS } from "../../replicator/core/commands.ts";
import type { Fact, Region, UserId } from "../../replicator/core/commands.ts";
import { mentions } from "./history.ts";
import type { Place } from "./history.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** Somebody says something this often. */
const LEAST_MS = 60;
const MOST_MS = 240;
/** So few that they often speak of each other. */
const ASKERS = 6;
/** This share of what is said is that something was read. */
const READS = 0.2;

export interface Said {
  readonly fact: Fact;
  readonly place: Place;
}

export class Askers {
  readonly #world: World;
  readonly #random: Random;
  readonly #quiet: () => boolean;
  readonly acknowledged: Said[] = [];
  readonly counts = { said: 0, saidAcked: 0 };

  constructor(world: World, quiet: () => boolean) {
    this.#world = world;
    this.#quiet = quiet;
    this.#random = new Random(world.settings.seed, "askers");
    this.#work();
  }

  /** Users who say something. */
  get users(): readonly UserId[] {
    return Array.from({ length: ASKERS }, (_, number) => `user${number + 1}`);
  }

  #work(): void {
    this.#world.machine.after(undefined, this.#random.between(LEAST_MS, MOST_MS), "asker", () => {
      const host = this.#world.serving(this.#random.pick(REGIONS));
      const [user, other] = [this.#random.pick(this.users), this.#random.pick(this.users)];
      const word = this.#random.pick(STANCE_WORDS);
      const reads = this.#random.chance(READS);
      if (!this.#quiet() && host.ready && user !== other) {
        const { round } = host.node.replica.friends.pairOf(user, other);
        const atMs = Math.round(host.process.clock().wallMs);
        const message = word === "asked" ? `from ${host.region}` : "";
        const next = word === "asked" ? round + 1 : round;
        if (reads && round > 0) void this.#say(host, { kind: "read", user, other, round });
        else if (next > 0)
          void this.#say(host, { kind: "stance", user, other, word, round: next, message, atMs });
      }
      this.#work();
    });
  }

  async #say(host: NodeHost, fact: Fact): Promise<void> {
    const { machine, history } = this.#world;
    const { region, node, appender } = host;
    machine.enter(host.process);
    const to: Region = node.replica.route(region, fact) ?? region;
    this.counts.said += 1;
    machine.trace(() => `${JSON.stringify(fact)} said in ${region}, to ${to}`);
    const outcome = await appender.append([to === region ? fact : { kind: "forward", to, command: fact }]);
    if (!outcome.ok) return;
    this.counts.saidAcked += 1;
    const place = history.find(region, outcome.logId, outcome.position, (frame) =>
      mentions(frame, fact.user),
    );
    if (place === undefined)
      machine.fail(`invariant 4: a fact of ${fact.user} was acknowledged that no log had`);
    else this.acknowledged.push({ fact, place });
  }
}
