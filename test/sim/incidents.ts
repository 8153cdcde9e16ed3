/**
 * The course of the world: cuts, crashes and pauses, each kind at its own rate and from its own randomness, each with its end. Rule:
 * `heal` ends all of them at once, and after it nothing goes wrong any more.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { Incident, Unhealed } from "./settings.ts";
import type { NodeHost } from "./node-host.ts";
import type { ReplicatorHost, World } from "./world.ts";

export class Incidents {
  readonly #world: World;
  readonly #randoms = new Map<Incident | Unhealed, Random>();
  /** What ends the incidents that last. */
  readonly #ends = new Set<() => void>();
  #over = false;

  constructor(world: World) {
    this.#world = world;
    for (const kind of world.settings.incidents.keys()) {
      this.#randoms.set(kind, new Random(world.settings.seed, `incident ${kind}`));
      this.#next(kind);
    }
  }

  heal(): void {
    this.#over = true;
    this.#world.network.healed = true;
    for (const end of this.#ends) end();
    for (const { process } of [...this.#world.nodes, ...this.#world.replicators]) {
      process.pausedUntilMs = Math.min(process.pausedUntilMs, this.#world.machine.nowMs);
    }
    for (const server of this.#world.servers) server.pausedUntilMs = 0;
  }

  #next(kind: Incident | Unhealed): void {
    const random = this.#randoms.get(kind);
    const everyMs = this.#world.settings.incidents.get(kind);
    if (random === undefined || everyMs === undefined) return;
    const waitMs = everyMs * -Math.log(1 - random.unit());
    this.#world.machine.after(undefined, waitMs, "incident", () => {
      if (this.#over) return;
      this.#happen(kind, random);
      this.#next(kind);
    });
  }

  #happen(kind: Incident | Unhealed, random: Random): void {
    const world = this.#world;
    const forMs = random.between(100, 4_000);
    const region = random.pick(REGIONS);
    const other = random.pick(REGIONS.filter((one) => one !== region));
    const host = this.#target(kind, random);
    if (host !== undefined && !host.process.alive) return;
    world.fired.add(kind);
    world.machine.trace(() => `${kind} ${host?.name ?? region} ${forMs.toFixed(0)} ms`);
    switch (kind) {
      case "cut": {
        const ends = [world.network.cut(region, other), world.network.cut(other, region)];
        return this.#lasts(2 * forMs, () => ends.forEach((end) => end()));
      }
      case "one-way-cut":
        return this.#lasts(2 * forMs, world.network.cut(region, other));
      case "flapping":
        for (let flap = 0; flap < 6; flap++) {
          const startMs = flap * random.between(300, 900);
          const lastsMs = random.between(50, 700);
          world.machine.after(undefined, startMs, "flap", () => {
            if (!this.#over) this.#lasts(lastsMs, world.network.cut(region, other));
          });
        }
        return;
      case "node-crash":
      case "duty-node-crash":
      case "replicator-crash":
        if (host === undefined) return;
        host.process.alive = false;
        return this.#lasts(forMs, () => host.start());
      case "node-pause":
      case "replicator-pause":
        if (host !== undefined) world.machine.pause(host.process, 1.5 * forMs);
        return;
      case "nats-crash": {
        const server = world.server(region);
        if (!server.up) return;
        server.up = false;
        world.network.changed();
        return this.#lasts(forMs, () => {
          server.up = true;
          world.network.changed();
        });
      }
      case "tail-lost":
        return this.#loseTail(region, 1 + random.below(3));
      case "overrun": {
        const { log } = world.server(region);
        log.first = Math.max(log.first, log.last - 20);
        return;
      }
      case "nats-pause":
        world.server(region).pausedUntilMs = world.machine.nowMs + forMs;
        return;
    }
  }

  #target(kind: Incident | Unhealed, random: Random): NodeHost | ReplicatorHost | undefined {
    const serving = random.pick(this.#world.nodes.filter(({ serves }) => serves));
    const duty = random.pick(this.#world.nodes.filter(({ serves }) => !serves));
    const replicator = random.pick(this.#world.replicators);
    if (kind === "node-crash") return serving;
    if (kind === "node-pause") return random.chance(0.5) ? serving : duty;
    if (kind === "duty-node-crash") return duty;
    return kind === "replicator-crash" || kind === "replicator-pause" ? replicator : undefined;
  }

  /** Power failure: the newest entries of the region's log were acknowledged, and are gone; their positions are given again. */
  #loseTail(region: Region, entries: number): void {
    const server = this.#world.server(region);
    if (!server.up) return;
    server.up = false;
    this.#world.network.changed();
    server.log.entries.length = Math.max(0, server.log.entries.length - entries);
    this.#lasts(500, () => {
      server.up = true;
      this.#world.network.changed();
    });
  }

  #lasts(forMs: number, end: () => void): void {
    const once = (): void => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    this.#world.machine.after(undefined, forMs, "ends", once);
  }
}
