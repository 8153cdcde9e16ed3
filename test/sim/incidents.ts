/**
 * The course of the world: cuts, crashes and pauses, each kind at its own rate and from its own randomness, each with its end. Rule:
 * `heal` ends all of them at once, and after it nothing goes wrong any more.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { doneIn, parseLabel } from "../../replicator/runtime/snapshot-label.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { Incident } from "./settings.ts";
import type { NodeHost } from "./node-host.ts";
import type { Server } from "./servers.ts";
import { LostRegions } from "./lost-regions.ts";
import { hasWayOn } from "./way-on.ts";
import type { ReplicatorHost, World } from "./world.ts";

const FLAPS = 6;
/** What an overrun leaves of a log. */
const KEPT = 5;
const SNAPSHOTS_KEPT = 1;

interface Place {
  readonly region: Region;
  readonly other: Region;
  /** The process that it happens to, if to one. */
  readonly host: NodeHost | ReplicatorHost | undefined;
  readonly forMs: number;
  readonly random: Random;
}

export class Incidents {
  readonly #world: World;
  readonly #randoms = new Map<Incident, Random>();
  /** What ends the incidents that last. */
  readonly #ends = new Set<() => void>();
  readonly #lostRegions: LostRegions;
  #over = false;

  constructor(world: World) {
    this.#world = world;
    this.#lostRegions = new LostRegions(world);
    for (const kind of world.settings.incidents.keys()) {
      this.#randoms.set(kind, new Random(world.settings.seed, `incident ${kind}`));
      this.#next(kind);
    }
  }

  get counts(): Record<string, number> {
    return this.#lostRegions.counts;
  }

  heal(): void {
    this.#over = true;
    this.#world.network.healed = true;
    for (const end of this.#ends) end();
    const { machine, network, nodes, replicators, servers } = this.#world;
    for (const { process } of [...nodes, ...replicators]) if (process.paused) machine.resume(process);
    for (const server of servers) network.resume(server);
  }

  #next(kind: Incident): void {
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

  #happen(kind: Incident, random: Random): void {
    const world = this.#world;
    const forMs = random.between(100, 4_000);
    const region = random.pick(REGIONS);
    const other = random.pick(REGIONS.filter((one) => one !== region));
    const host = this.#target(kind, random);
    if (host !== undefined && !host.process.alive) return;
    if (!this.#start(kind, { region, other, host, forMs, random })) return;
    world.fired.add(kind);
    world.machine.trace(() => `${kind} ${host?.name ?? region} ${forMs.toFixed(0)} ms`);
  }

  /** Whether it changed something. */
  #start(kind: Incident, { region, other, host, forMs, random }: Place): boolean {
    const world = this.#world;
    const server = world.server(region);
    switch (kind) {
      case "cut": {
        const ends = [world.network.cut(region, other), world.network.cut(other, region)];
        return this.#lasts(2 * forMs, () => ends.forEach((end) => end()));
      }
      case "one-way-cut":
        return this.#lasts(2 * forMs, world.network.cut(region, other));
      case "flapping":
        return this.#flap(region, other, random);
      case "node-crash":
      case "duty-node-crash":
      case "replicator-crash":
        if (host === undefined) return false;
        host.process.alive = false;
        return this.#lasts(forMs, () => {
          // Where its whole region is dead it starts with that; it may have by now.
          if (!host.process.alive && !this.#lostRegions.isDead(host.region)) host.start();
        });
      case "node-pause":
      case "replicator-pause":
        if (host === undefined) return false;
        world.machine.pause(host.process, 1.5 * forMs);
        return true;
      case "nats-crash":
        return this.#stop(server, forMs);
      case "nats-pause":
        if (!server.up) return false;
        world.network.pause(server, forMs);
        return true;
      case "log-full":
        if (server.full) return false;
        server.full = true;
        return this.#lasts(forMs, () => (server.full = false));
      case "tail-lost":
        if (!this.#stop(server, 500)) return false;
        world.bereft(region);
        server.log.loseTail(1 + random.below(3));
        return true;
      case "overrun":
        return this.#overrun(server);
      case "log-recreated":
        if (!server.up || !server.log.exists) return false;
        server.deleteLog();
        world.bereft(region);
        return true;
      case "copy-recreated":
        if (!server.up || !server.copy(other).exists) return false;
        server.deleteCopy(other);
        world.bereft(region);
        return true;
      case "snapshot-torn":
        return this.#tear(server, random);
      case "memory-flip":
        return world.flip(random.pick(world.nodes), random);
      case "region-lost": {
        const loss = this.#lostRegions.lose(region, random);
        return loss !== undefined && this.#lasts(loss.forMs, loss.end);
      }
    }
  }

  /**
   * As a log does that is larger than its bound: whatever the newest snapshot holds is dropped, copied or not. One that was torn holds
   * nothing: without a sound one the log is left as it is. So is that of a region that is lost: its report tells only of what is held.
   */
  #overrun(server: Server): boolean {
    const { region, log, snapshots } = server;
    if (this.#lostRegions.isAway(region)) return false;
    const labels = snapshots
      .list()
      .slice(0, SNAPSHOTS_KEPT)
      .flatMap(({ label }) => parseLabel(label) ?? []);
    const held = labels.map((label) => doneIn(label, region, log.logId));
    const below = Math.min(...held, log.last - KEPT);
    if (labels.length < SNAPSHOTS_KEPT || below <= log.first) return false;
    if (!hasWayOn(this.#world.servers, server, below)) return false;
    log.truncate(below);
    this.#world.bereft(region);
    return true;
  }

  /** Not the last that leads to some log: nobody could fold that any more. */
  #tear({ region, snapshots }: Server, random: Random): boolean {
    if (snapshots.size === 0) return false;
    const { servers } = this.#world;
    const restore = snapshots.tear(random);
    if (!servers.every((one) => hasWayOn(servers, one))) {
      restore();
      return false;
    }
    this.#world.bereft(region);
    return true;
  }

  #flap(from: Region, to: Region, random: Random): boolean {
    const { machine, network } = this.#world;
    for (let flap = 0; flap < FLAPS; flap++) {
      const startMs = flap * random.between(300, 900);
      const lastsMs = random.between(50, 700);
      machine.after(undefined, startMs, "flap", () => {
        if (!this.#over) this.#lasts(lastsMs, network.cut(from, to));
      });
    }
    return true;
  }

  /** Whether the server was up. */
  #stop(server: Server, forMs: number): boolean {
    if (!server.up) return false;
    server.stop();
    this.#world.network.changed();
    return this.#lasts(forMs, () => {
      if (this.#lostRegions.isDead(server.region)) return;
      server.up = true;
      this.#world.network.changed();
    });
  }

  #target(kind: Incident, random: Random): NodeHost | ReplicatorHost | undefined {
    const serving = random.pick(this.#world.nodes.filter(({ serves }) => serves));
    const duty = random.pick(this.#world.nodes.filter(({ serves }) => !serves));
    const replicator = random.pick(this.#world.replicators);
    if (kind === "node-crash") return serving;
    if (kind === "node-pause") return random.chance(0.5) ? serving : duty;
    if (kind === "duty-node-crash") return duty;
    return kind === "replicator-crash" || kind === "replicator-pause" ? replicator : undefined;
  }

  #lasts(forMs: number, end: () => void): true {
    const once = (): void => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    this.#world.machine.after(undefined, forMs, "ends", once);
    return true;
  }
}
