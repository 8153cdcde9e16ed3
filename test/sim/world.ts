/**
 * The world put together: three regions, each with its NATS, a node that serves clients, a node that only does duties, and two
 * replicators; all shipped code, but for the logs and the wires. Rule: what it is told by the seed happens, and nothing else.
 *
 * Why only one of a region's nodes serves clients: leases are not shared between nodes yet, so a second serving node would give every
 * session of the first a lease of its own, hear none of its heartbeats, and end it.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Position, Region } from "../../replicator/core/commands.ts";
import type { Entry } from "../../replicator/log/port.ts";
import { startReplicator } from "../../replicator/replicator.ts";
import { createLogger } from "../../replicator/runtime/logger.ts";
import { NO_BUGS } from "./bugs.ts";
import type { Bugs } from "./bugs.ts";
import { Machine, Process } from "./machine.ts";
import { Network } from "./network.ts";
import type { Connection } from "./network.ts";
import { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import type { StreamReader } from "./reader.ts";
import { Server } from "./servers.ts";
import type { Stream } from "./servers.ts";
import { Fired, MISHAPS, REGIONS } from "./settings.ts";
import type { Mishap, Settings } from "./settings.ts";
import { SimStore } from "./store.ts";

// The caches of a node are made for millions of sessions; a run has hundreds, and makes several nodes.
Object.assign(LIMITS, { endedSessionsMax: 4_000, lastSeenMax: 4_000 });

const REPLICATORS = 2;
const SILENT = createLogger({ level: "silent", service: "sim", region: "sim", node: "sim" });

/** A replicator process and how to start it anew. */
export class ReplicatorHost {
  readonly name: string;
  readonly region: Region;
  readonly #world: World;
  process: Process;

  constructor(world: World, region: Region, name: string) {
    this.#world = world;
    this.region = region;
    this.name = name;
    this.process = world.process(name, region);
  }

  start(): void {
    const world = this.#world;
    const process = world.process(this.name, this.region);
    this.process = process;
    world.machine.after(process, 1, "starts", () => {
      const peers = REGIONS.filter((peer) => peer !== this.region).map(
        (peer) => [peer, new SimStore(world, process, world.server(peer))] as const,
      );
      startReplicator({
        region: this.region,
        local: new SimStore(world, process, world.server(this.region)),
        peers: new Map(peers),
        logger: SILENT,
        clock: process.clock,
      });
    });
  }
}

/** What the checkers are told. */
export interface Observer {
  folded(host: NodeHost, region: Region, position: Position): void;
  restarted(host: NodeHost): void;
}

export class World {
  readonly machine = new Machine();
  readonly fired = new Fired();
  readonly settings: Settings;
  readonly network: Network;
  readonly servers: readonly Server[];
  readonly nodes: NodeHost[] = [];
  readonly replicators: ReplicatorHost[] = [];
  readonly readers = new Set<StreamReader>();
  readonly stores = new Set<SimStore>();
  readonly readerRandom: Random;
  readonly nodeRandom: Random;
  readonly bugRandom: Random;
  readonly bugs: Bugs;
  observer: Observer | undefined;
  sessionsMinted = 0;
  /** When a reader was last handed something false, by what it reads: it may stand still for a while then. */
  readonly #spoiledMs = new Map<string, number>();
  readonly #mishaps: ReadonlyMap<Mishap, Random>;

  constructor(settings: Settings, bugs: Bugs = NO_BUGS) {
    const { seed } = settings;
    this.settings = settings;
    this.bugs = bugs;
    this.machine.timerMs = settings.timerMs;
    this.network = new Network(this.machine, settings, this.fired);
    this.readerRandom = new Random(seed, "readers");
    this.nodeRandom = new Random(seed, "nodes");
    this.bugRandom = new Random(seed, "bugs");
    this.#mishaps = new Map(MISHAPS.map((kind) => [kind, new Random(seed, kind)]));
    this.servers = REGIONS.map((region) => new Server(region));
    this.network.changed = () => {
      for (const store of this.stores) store.pathChanged();
      for (const reader of this.readers) reader.pathChanged();
    };
    for (const { skewMs, driftPpm } of settings.clocks.values()) {
      if (skewMs !== 0) this.fired.add("clock-skew");
      if (driftPpm !== 0) this.fired.add("clock-drift");
    }
  }

  start(): void {
    for (const region of REGIONS) {
      this.nodes.push(new NodeHost(this, region, `${region}-1`, true));
      this.nodes.push(new NodeHost(this, region, `${region}-2`, false));
      for (let number = 1; number <= REPLICATORS; number++) {
        this.replicators.push(new ReplicatorHost(this, region, `${region}-r${number}`));
      }
    }
    for (const host of [...this.nodes, ...this.replicators]) host.start();
  }

  server(region: Region): Server {
    const server = this.servers.find((one) => one.region === region);
    if (server === undefined) throw new Error(`no region ${region}`);
    return server;
  }

  /** The node of the region that serves clients. */
  serving(region: Region): NodeHost {
    const host = this.nodes.find((one) => one.region === region && one.serves);
    if (host === undefined) throw new Error(`no region ${region}`);
    return host;
  }

  process(name: string, region: Region): Process {
    const clock = this.settings.clocks.get(region) ?? { skewMs: 0, driftPpm: 0 };
    return new Process(this.machine, name, region, clock);
  }

  /** Whether the seed wants this fault of a single message now; it counts when it happens. */
  drawn(kind: Mishap): boolean {
    return this.#mishaps.get(kind)?.chance(this.settings.mishaps[kind]) === true && !this.network.healed;
  }

  /** Whether this fault of a single message happens now. */
  readonly mishap = (kind: Mishap): boolean => {
    const happens = this.drawn(kind);
    if (happens) this.fired.add(kind);
    return happens;
  };

  /** A reader of that server was handed something false. */
  spoiled({ process, server }: Connection): void {
    this.#spoiledMs.set(`${server.region}>${process.region}`, this.machine.nowMs);
  }

  spoiledMs(from: Region, to: Region): number {
    return this.#spoiledMs.get(`${from}>${to}`) ?? Number.NEGATIVE_INFINITY;
  }

  appended(region: Region, position: Position, bytes: Uint8Array): void {
    this.machine.trace(() => `LOG_${region} ${position} (${bytes.length} bytes)`);
  }

  /** A copy is the origin's log, frame by frame, from where it begins to where it ends (invariant 1, and the fence). */
  copied(region: Region, origin: Region, copy: Stream, entry: Entry): void {
    const sequence = copy.last;
    this.machine.trace(() => `COPY_${origin} in ${region} ${sequence}: ${entry.position}`);
    const original = this.server(origin).log.held(entry.position);
    if (copy.sequenceOf(entry.position) !== sequence) {
      this.machine.fail(
        `invariant 1: COPY_${origin} in ${region} has position ${entry.position} at ${sequence}, out of order`,
      );
    } else if (original === undefined || Buffer.compare(original.bytes, entry.bytes) !== 0) {
      this.machine.fail(`invariant 5: COPY_${origin} in ${region} differs from the log at ${entry.position}`);
    }
  }
}
