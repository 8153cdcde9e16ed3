/** Regions in one process, each with its in-memory NATS, a node and a replicator: shipped code but for the logs. */
import pino from "pino";
import type { Region } from "../../../replicator/core/commands.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import { openHeadDesk } from "../../../replicator/head-desk.ts";
import { openReadDesk } from "../../../replicator/read-desk.ts";
import type { ReadDesk } from "../../../replicator/read-desk.ts";
import { startReplicator } from "../../../replicator/replicator.ts";
import type { RunningReplicator } from "../../../replicator/replicator.ts";
import { startNode } from "../../../services/presence/node.ts";
import type { NodeOptions, RunningNode } from "../../../services/presence/node.ts";

export interface Event extends Record<string, unknown> {
  readonly event: string;
}

export class Regions {
  readonly names: readonly Region[];
  /** What was logged, in order. */
  readonly events: Event[] = [];
  readonly #servers: ReadonlyMap<Region, MemoryServer>;
  readonly #nodes = new Map<Region, RunningNode>();
  readonly #replicators = new Map<Region, RunningReplicator>();
  readonly #more: Partial<NodeOptions>;
  readonly #closing: (() => void)[] = [];

  /** `more` is for each node. */
  constructor(names: readonly Region[], keep: NodeOptions["keep"] = {}, more: Partial<NodeOptions> = {}) {
    this.names = names;
    this.#more = { ...more, keep };
    this.#servers = new Map(names.map((name) => [name, new MemoryServer()]));
  }

  server(region: Region): MemoryServer {
    return found(this.#servers.get(region));
  }

  node(region: Region): RunningNode {
    return found(this.#nodes.get(region));
  }

  async start(...regions: Region[]): Promise<void> {
    for (const region of regions) {
      await this.startNode(region);
      this.startReplicator(region);
    }
    for (const region of regions) await until(`${region} is ready`, () => this.node(region).presence.ready());
  }

  async startNode(region: Region): Promise<void> {
    const node = await startNode({
      region,
      peers: this.names.filter((name) => name !== region),
      name: `node-${region}`,
      store: new MemoryLogStore(this.server(region)),
      logger: this.#logger(region),
      keys: [],
      http: { host: "127.0.0.1", port: 0 },
      ...this.#more,
    });
    this.#nodes.set(region, node);
  }

  async stopNode(region: Region): Promise<void> {
    await this.#nodes.get(region)?.stop();
    this.#nodes.delete(region);
  }

  startReplicator(region: Region): void {
    const peers = this.names.filter((name) => name !== region);
    const replicator = startReplicator({
      region,
      local: new MemoryLogStore(this.server(region)),
      peers: new Map(peers.map((peer) => [peer, new MemoryLogStore(this.server(peer))])),
      logger: this.#logger(region),
    });
    this.#replicators.set(region, replicator);
  }

  async stopReplicator(region: Region): Promise<void> {
    await this.#replicators.get(region)?.stop();
    this.#replicators.delete(region);
  }

  /** From now on the region's replicator answers and carries what nodes ask, but copies nothing: its nodes lag. */
  async onlyAsks(region: Region): Promise<ReadDesk> {
    await this.stopReplicator(region);
    const local = new MemoryLogStore(this.server(region));
    const others = this.names.filter((name) => name !== region);
    const peers = new Map(others.map((peer) => [peer, new MemoryLogStore(this.server(peer))]));
    const desk = openReadDesk({ region, local, peers });
    this.#closing.push(openHeadDesk({ region, local, peers }), () => desk.close());
    return desk;
  }

  async stop(): Promise<void> {
    for (const close of this.#closing.splice(0)) close();
    for (const region of this.names) await this.stopReplicator(region);
    for (const region of this.names) await this.stopNode(region);
  }

  /** Opens a session of each user there. */
  async open(region: Region, ...users: string[]): Promise<void> {
    for (const user of users) {
      const opened = await this.node(region).presence.openSession({ user });
      if (!opened.ok) throw new Error(`open of ${user}: ${opened.problem.detail}`);
    }
  }

  online(region: Region): number {
    return this.node(region).presence.occupancy().users;
  }

  identity(at: Region, log: Region): string {
    return this.node(at).presence.applied().get(log)?.logId ?? "";
  }

  logged(event: string): Event[] {
    return this.events.filter((one) => one.event === event);
  }

  #logger(region: Region): pino.Logger {
    const write = (line: string): void => {
      this.events.push({ event: "", at: region, ...JSON.parse(line) });
    };
    return pino({ level: "info" }, { write });
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not started");
  return value;
}

export function until(what: string, holds: () => boolean): Promise<void> {
  return untilHolds(what, async () => holds());
}

export async function untilHolds(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const startedMs = performance.now(); !(await holds());) {
    if (performance.now() - startedMs > 45_000) throw new Error(`not within 45 s: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
