/**
 * One presence node in the world: as `services/presence/node.ts` puts it together, without HTTP. Rule: it decides nothing; the node that
 * does not serve clients runs the core alone, with its duties, and keeps no leases.
 */
import type { Position, Region, SessionId } from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEvent } from "../../replicator/core/node.ts";
import { createLogger } from "../../replicator/runtime/logger.ts";
import { SnapshotDecoder, encodeSnapshot } from "../../replicator/wire/snapshot-stream.ts";
import { Appender } from "../../services/presence/appender.ts";
import { Engine } from "../../services/presence/engine.ts";
import type { Core } from "../../services/presence/engine.ts";
import { Presence } from "../../services/presence/presence.ts";
import type { Process } from "./machine.ts";
import { HEARTBEAT_MS, REGIONS, TTL_MS } from "./settings.ts";
import { SimStore } from "./store.ts";
import type { World } from "./world.ts";

const SILENT = createLogger({ level: "silent", service: "sim", region: "sim", node: "sim" });
/** Often, so that a run sees some. */
const SNAPSHOT_MS = 3_000;

export class NodeHost {
  readonly region: Region;
  readonly name: string;
  /** Clients of the region speak to this one. */
  readonly serves: boolean;
  readonly #world: World;
  process: Process;
  node: PresenceNode;
  appender: Appender;
  engine: Engine | undefined;
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
    this.appender = this.#newAppender(() => false);
  }

  /** Position folded of that log. */
  appliedOf(origin: Region): Position {
    return this.applied.get(origin) ?? 0;
  }

  get up(): boolean {
    return this.process.alive && !this.process.paused;
  }

  get ready(): boolean {
    return this.up && (this.presence?.ready() ?? this.node.caughtUp);
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
    const appender = this.#newAppender(() => store.connected());
    this.appender = appender;
    this.presence = this.serves ? this.#serve(appender, store) : undefined;
    if (this.presence !== undefined) this.node = this.presence.node;
    const inner = this.presence ?? this.#onlyDuties(appender, clock);
    const core: Core = {
      node: this.node,
      step: (event) => {
        inner.step(event);
        if (event.kind === "adopt") this.#adopted();
      },
      folded: (origin, position, frame) => {
        inner.folded(origin, position, frame);
        this.#folded(origin, position);
      },
      tick: () => inner.tick(),
    };
    const engine = new Engine({
      region,
      peers: REGIONS.filter((one) => one !== region),
      name,
      store,
      appender,
      core,
      codec: { encode: encodeSnapshot, decoder: (take) => new SnapshotDecoder(take) },
      clock,
      logger: SILENT,
      malformed: () => world.machine.fail(`invariant 11: ${name} cannot read what was announced`),
      snapshotMs: SNAPSHOT_MS,
    });
    this.engine = engine;
    engine.start();
  }

  /** The core alone, as a node has it that serves nobody. */
  #onlyDuties(appender: Appender, clock: () => Now): Core {
    const { node } = this;
    const step = (event: NodeEvent): void => {
      for (const effect of node.step(event, clock())) {
        if (effect.kind === "append") {
          const { duty } = effect;
          void appender.append(effect.commands).then(({ ok }) => step({ kind: "settled", duty, ok }));
        } else if (effect.kind === "compared" || effect.kind === "corrupt") this.engine?.integrity(effect);
      }
    };
    return {
      node,
      step,
      folded: (region, position, frame) => step({ kind: "frame", region, position, frame }),
      tick: () => step({ kind: "tick" }),
    };
  }

  #newAppender(connected: () => boolean): Appender {
    return new Appender({ region: this.region, node: this.name, clock: this.process.clock, connected });
  }

  #serve(appender: Appender, store: SimStore): Presence {
    const world = this.#world;
    return new Presence({
      region: this.region,
      regions: REGIONS,
      clock: this.process.clock,
      append: (commands) => appender.append(commands),
      canAppend: () => store.connected() && appender.failingMs() === 0,
      integrity: (effect) => this.engine?.integrity(effect),
      recheck: async () => this.engine?.recheck(),
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

  #folded(origin: Region, position: Position): void {
    const before = this.appliedOf(origin);
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

  /** The replica is another: made from a snapshot, or from the logs alone. */
  #adopted(): void {
    for (const { region, position } of this.node.replica.folds) this.applied.set(region, position);
  }
}
