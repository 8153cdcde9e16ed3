/**
 * The world put together: three regions, each with its NATS, a node that serves clients, a node that only does duties, and two
 * replicators; all shipped code, but for the logs and the wires. Rule: what it is told by the seed happens, and nothing else.
 *
 * Why only one of a region's nodes serves clients: leases are not shared between nodes yet, so a second serving node would give every
 * session of the first a lease of its own, hear none of its heartbeats, and end it.
 */
import pino from "pino";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Entry } from "../../replicator/log/port.ts";
import { startReplicator } from "../../replicator/replicator.ts";
import { createLogger } from "../../replicator/runtime/logger.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { parseLabel, positionIn } from "../../replicator/runtime/snapshot-label.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import { NO_BUGS } from "./bugs.ts";
import type { Bugs } from "./bugs.ts";
import { History, placeText } from "./history.ts";
import type { Place, Strand } from "./history.ts";
import { Machine, Process } from "./machine.ts";
import { Network } from "./network.ts";
import type { Connection } from "./network.ts";
import { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import type { StreamReader } from "./reader.ts";
import { Server } from "./servers.ts";
import type { Stored, Stream } from "./servers.ts";
import { Fired, MISHAPS, REGIONS } from "./settings.ts";
import type { Mishap, Settings } from "./settings.ts";
import { SimStore } from "./store.ts";

// The caches of a node are made for millions of sessions; a run has hundreds, and makes several nodes.
Object.assign(LIMITS, { endedSessionsMax: 1_000, travellersMax: 1_000, requestSendersMax: 1_000 });

const REPLICATORS = 2;
const SNAPSHOTS_KEPT = 2;
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
        logger: world.logger(this.name),
        clock: process.clock,
      });
    });
  }
}

/** What the checkers are told. */
export interface Observer {
  /** The host has folded the frame at that place. */
  folded(host: NodeHost, place: Place): void;
  /** The host has another replica. */
  adopted(host: NodeHost): void;
  restarted(host: NodeHost): void;
  /** A log begins, or other frames are stored in a log that lost its end: what is not behind where the strand goes on from is lost. */
  begun(strand: Strand): void;
}

export class World {
  readonly machine = new Machine();
  readonly fired = new Fired();
  readonly settings: Settings;
  readonly network: Network;
  readonly servers: readonly Server[];
  readonly nodes: NodeHost[] = [];
  readonly replicators: ReplicatorHost[] = [];
  readonly history = new History((strand) => this.#begun(strand));
  readonly readers = new Set<StreamReader>();
  readonly stores = new Set<SimStore>();
  readonly readerRandom: Random;
  readonly nodeRandom: Random;
  readonly bugRandom: Random;
  readonly bugs: Bugs;
  observer: Observer | undefined;
  /** Changes a record of the host's replica without a command; whether there was one to change. */
  flip: (host: NodeHost, random: Random) => boolean = () => false;
  sessionsMinted = 0;
  /** When a reader was last handed something false, by what it reads: it may stand still for a while then. */
  readonly #spoiledMs = new Map<string, number>();
  /** When something befell the region's log, copies or snapshots that takes longer to mend than a cut. */
  readonly #bereftMs = new Map<Region, number>();
  /** What each copy has. */
  readonly #copies = new WeakMap<Stream, Place>();
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
    this.servers = REGIONS.map((region) => new Server(region, bugs.reuseLogIdentity));
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

  /** What a process logs is part of the trace, if there is one. */
  logger(name: string): Logger {
    const { machine } = this;
    if (!machine.tracing) return SILENT;
    return pino(
      { level: "info", base: {}, timestamp: false },
      { write: (line: string) => machine.trace(() => `${name} ${line.trimEnd()}`) },
    );
  }

  /** A reader of that server was handed something false. */
  spoiled({ process, server }: Connection): void {
    this.#spoiledMs.set(`${server.region}>${process.region}`, this.machine.nowMs);
  }

  spoiledMs(from: Region, to: Region): number {
    return this.#spoiledMs.get(`${from}>${to}`) ?? Number.NEGATIVE_INFINITY;
  }

  bereft(region: Region): void {
    this.#bereftMs.set(region, this.machine.nowMs);
  }

  bereftMs(region: Region): number {
    return this.#bereftMs.get(region) ?? Number.NEGATIVE_INFINITY;
  }

  /** Where the region's log ends now; nowhere while it is empty. */
  end(region: Region): Place | undefined {
    const { log } = this.server(region);
    return log.exists ? this.history.end(region, log.logId, log.last) : undefined;
  }

  /** Where that ends which the region has written, also while another stands for it. */
  written(region: Region): Place | undefined {
    const { log } = this.server(region);
    return log.exists ? this.history.written(region, log.logId, log.last) : undefined;
  }

  /** Whether the host knows that another region stands for its own. */
  isDeposed(host: NodeHost): boolean {
    const decided = this.history.succeeded(host.region);
    return decided !== undefined && host.has(decided);
  }

  /** Whether the host has folded what no longer counts, of a region for which another stands, and knows it: its replica is made anew. */
  isAstray(host: NodeHost): boolean {
    return REGIONS.some((region) => {
      const decided = this.history.succeeded(region);
      const place = host.places.get(region);
      if (decided === undefined || place === undefined || !host.has(decided)) return false;
      return !this.history.has(this.end(region), place);
    });
  }

  /** Whether the host has another log than that, or of that one what does not count any more. */
  hasAnother({ places }: NodeHost, { region, logId }: Strand): boolean {
    const here = places.get(region);
    return here?.strand.logId !== logId || !this.history.has(this.end(region), here);
  }

  /** The oldest frame that the region's log has and the host has not folded. */
  missing(host: NodeHost, region: Region): Stored | undefined {
    return this.history.missing(host.places.get(region), this.end(region));
  }

  appended(region: Region, entry: Stored): void {
    const { history, machine } = this;
    machine.trace(() => `LOG_${region} ${entry.position} of ${entry.logId} (${entry.bytes.length} bytes)`);
    history.stored(region, entry, () => this.#begunFrom(region, entry));
  }

  #begun(strand: Strand): void {
    const { region, from, logId, number } = strand;
    this.machine.trace(() => `LOG_${region} goes on from ${placeText(from)} as ${logId}/${number}`);
    this.observer?.begun(strand);
  }

  /**
   * A node drops what is before that position: the two newest snapshots that the region took must have it, so that it can be without one.
   * One that was brought from a peer counts for nothing here: it may be of any age.
   */
  truncated({ server, connection }: SimStore, origin: Region, logId: LogId, below: Position): void {
    if (!this.nodes.some(({ process }) => process === connection.process)) return;
    const labels = server.snapshots.list().flatMap(({ label }) => parseLabel(label) ?? []);
    const own = labels.filter(({ region }) => region === server.region).slice(0, SNAPSHOTS_KEPT);
    const held = own.map((label) => positionIn(label, origin, logId) ?? 0);
    if (own.length < SNAPSHOTS_KEPT || Math.min(...held) < below - 1)
      this.machine.fail(
        `invariant 4: ${server.region} drops the log of ${origin} below ${below}, above its snapshots`,
      );
  }

  /** Where the author of a log's first frame stood. */
  #begunFrom(region: Region, entry: Stored): Place | undefined {
    const decoded = decodeFrame(entry.bytes);
    if (!decoded.ok) return undefined;
    const { node, commands } = decoded.frame;
    const [first] = commands;
    if (first?.kind !== "renewed") return undefined;
    const author = this.nodes.find(({ name }) => name === node)?.places.get(region);
    const meant = this.history.places(region, first.logId, first.position);
    const place = meant.find((one) => this.history.has(author, one));
    if (place === undefined) this.machine.fail(`${node} began ${entry.logId} where it did not stand`);
    return place;
  }

  /** A copy is the origin's log, frame by frame, from where it begins to where it ends (invariant 1, and the fence). */
  copied(region: Region, origin: Region, copy: Stream, entry: Entry): void {
    const { machine, history } = this;
    const sequence = copy.last;
    machine.trace(() => `COPY_${origin} in ${region} ${sequence}: ${entry.position}`);
    const before = copy.oldest?.position === entry.position ? undefined : this.#copies.get(copy);
    const isFirst = before === undefined;
    const next = isFirst
      ? history.places(origin, entry.logId, entry.position).find((place) => isSame(history.at(place), entry))
      : history.nextInCopy(before, entry);
    if (copy.sequenceOf(entry.position) !== sequence) {
      machine.fail(
        `invariant 1: COPY_${origin} in ${region} has position ${entry.position} at ${sequence}, out of order`,
      );
    } else if (next === undefined) {
      machine.fail(
        `invariant 5: COPY_${origin} in ${region} goes from ${placeText(before)} to ${entry.logId} ${entry.position}, and the log does not`,
      );
    } else this.#copies.set(copy, next);
  }

  /** What the region's copy of the origin's log has. */
  copyEnd(region: Region, origin: Region): Place | undefined {
    const copy = this.server(region).copy(origin);
    return copy.newest === undefined ? undefined : this.#copies.get(copy);
  }
}

function isSame(stored: Stored | undefined, { bytes }: Entry): boolean {
  return stored !== undefined && Buffer.compare(stored.bytes, bytes) === 0;
}
