/**
 * One presence node in the world: as `services/presence/node.ts` puts it together, without HTTP. Rule: it decides nothing; the node that
 * does not serve clients runs the core alone, with its duties, and keeps no leases.
 */
import type { Frame, Position, Region, SessionId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEvent } from "../../replicator/core/node.ts";
import type { ReadableLog } from "../../replicator/log/port.ts";
import { LINKS_TOPIC, decodeReports } from "../../replicator/runtime/announcement.ts";
import { Appender } from "../../services/presence/appender.ts";
import { Follower } from "../../services/presence/follow.ts";
import { Presence } from "../../services/presence/presence.ts";
import type { Process } from "./machine.ts";
import { HEARTBEAT_MS, REGIONS, TTL_MS } from "./settings.ts";
import { SimStore } from "./store.ts";
import type { World } from "./world.ts";

export class NodeHost {
  readonly region: Region;
  readonly name: string;
  /** Clients of the region speak to this one. */
  readonly serves: boolean;
  readonly #world: World;
  process: Process;
  node: PresenceNode;
  presence: Presence | undefined;
  /** Folded so far, counted here and not by the fold. */
  applied = new Map<Region, Position>();
  /** When a frame of that log was folded last, in virtual time. */
  foldedAtMs = new Map<Region, number>();
  lastMinted: SessionId = "";

  constructor(world: World, region: Region, name: string, serves: boolean) {
    this.#world = world;
    this.region = region;
    this.name = name;
    this.serves = serves;
    this.process = world.process(name, region);
    this.node = new PresenceNode(region, REGIONS);
  }

  get up(): boolean {
    return this.process.alive && !this.process.paused;
  }

  get ready(): boolean {
    return this.up && this.node.caughtUp;
  }

  /** A new life of the process. */
  start(): void {
    const world = this.#world;
    const process = world.process(this.name, this.region);
    this.process = process;
    this.applied = new Map();
    this.foldedAtMs = new Map();
    world.observer?.restarted(this);
    this.node = new PresenceNode(this.region, REGIONS);
    this.presence = undefined;
    world.machine.after(process, 1, "starts", () => this.#run(process));
  }

  #run(process: Process): void {
    const world = this.#world;
    const { region, name } = this;
    const { clock } = process;
    const store = new SimStore(world, process, world.server(region));
    const appender = new Appender({ region, node: name, clock, connected: () => store.connected() });
    const presence = this.serves ? this.#serve(appender, store) : undefined;
    if (presence !== undefined) this.node = presence.node;
    const { node } = this;
    this.presence = presence;
    const step = (event: NodeEvent): void => {
      if (presence !== undefined) return presence.step(event);
      for (const effect of node.step(event, clock())) {
        if (effect.kind !== "append") continue;
        const { duty } = effect;
        void appender.append(effect.commands).then(({ ok }) => step({ kind: "settled", duty, ok }));
      }
    };
    const followers = [region, ...REGIONS.filter((one) => one !== region)].map(
      (origin) =>
        new Follower<ReadableLog>({
          region: origin,
          open: async () => {
            if (origin !== region) return store.openCopy(origin, { create: false });
            const opened = await store.openLog(origin, { create: true });
            if (opened.ok) appender.use(opened.log);
            return opened;
          },
          position: () => node.replica.fold(origin)?.position ?? 0,
          fold: (position, frame) => {
            if (presence === undefined) step({ kind: "frame", region: origin, position, frame });
            else presence.folded(origin, position, frame);
            this.#folded(origin, position, frame);
          },
          trouble: (detail) => world.machine.trace(() => `${name} reading ${origin}: ${detail || "resumed"}`),
        }),
    );
    store.listen(LINKS_TOPIC, (payload) => {
      for (const report of decodeReports(payload) ?? []) step({ kind: "link", report });
    });
    for (const follower of followers) follower.start();
    setInterval(() => {
      if (presence === undefined) step({ kind: "tick" });
      else presence.tick();
      const caughtUp = followers.every(
        ({ startHead, region: origin }) =>
          startHead !== undefined && (node.replica.fold(origin)?.position ?? 0) >= startHead,
      );
      if (!node.caughtUp && caughtUp) step({ kind: "caught-up" });
    }, LIMITS.tickMs);
  }

  #serve(appender: Appender, store: SimStore): Presence {
    const world = this.#world;
    return new Presence({
      region: this.region,
      regions: REGIONS,
      clock: this.process.clock,
      append: (commands) => appender.append(commands),
      canAppend: () => store.connected() && appender.failingMs() === 0,
      mintSession: () => {
        world.sessionsMinted += 1;
        this.lastMinted = `s${world.sessionsMinted}`;
        return this.lastMinted;
      },
      random: () => world.nodeRandom.unit(),
      ttlMs: TTL_MS,
      heartbeatMs: HEARTBEAT_MS,
    });
  }

  #folded(origin: Region, position: Position, _frame: Frame): void {
    const before = this.applied.get(origin) ?? 0;
    const folded = this.node.replica.fold(origin)?.position ?? 0;
    if (folded > before + 1) {
      this.#world.machine.fail(
        `invariant 1: ${this.name} went from ${before} to ${folded} in the log of ${origin}`,
      );
    }
    if (folded !== position || position !== before + 1) return;
    this.applied.set(origin, position);
    this.foldedAtMs.set(origin, this.#world.machine.nowMs);
    this.#world.observer?.folded(this, origin, position);
  }
}
