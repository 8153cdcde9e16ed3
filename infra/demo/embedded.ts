/**
 * All regions in the demo's own process, on in-memory logs: for machines without a nats-server. Same nodes, same replicators, same
 * simulated links; no processes to kill.
 * Rule: says that it is embedded wherever a process is asked for. Its logs keep the newest frames only, so a link cut for longer
 * than that is overrun.
 */
import { join } from "node:path";
import pino from "pino";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import { startReplicator, type RunningReplicator } from "../../replicator/replicator.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { startNode, type RunningNode } from "../../services/presence/node.ts";
import type { ActionResult, Links, RegionAddresses, RegionRuntime, RegionSettings } from "./runtime.ts";
import { REGIONS, linkBetween, peersOf, type DemoRegion } from "./topology.ts";
import { waitFor, type Look } from "./wait.ts";
import { WanLogStore } from "./wan-store.ts";

const HOST = "127.0.0.1";
const FRAMES_KEPT = 50_000;
const FORGET_EVERY_MS = 10_000;
const READY_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;

type Servers = Readonly<Record<DemoRegion, MemoryServer>>;

class EmbeddedRegion implements RegionRuntime {
  readonly region: DemoRegion;
  readonly addresses: RegionAddresses;
  readonly logFolder: string;
  readonly node: RunningNode;
  private readonly replicator: RunningReplicator;
  private readonly stores: readonly { close(): Promise<void> }[];
  private readonly forgetting: NodeJS.Timeout;

  constructor(
    region: DemoRegion,
    parts: {
      server: MemoryServer;
      node: RunningNode;
      replicator: RunningReplicator;
      stores: readonly { close(): Promise<void> }[];
      logFolder: string;
    },
  ) {
    this.region = region;
    this.addresses = { http: parts.node.url };
    this.logFolder = parts.logFolder;
    this.node = parts.node;
    this.replicator = parts.replicator;
    this.stores = parts.stores;
    this.forgetting = setInterval(() => forgetOld(parts.server), FORGET_EVERY_MS);
  }

  processes(): ReturnType<RegionRuntime["processes"]> {
    return {};
  }

  act(): Promise<ActionResult> {
    return Promise.resolve({ ok: false, reason: "the demo runs embedded: there are no processes to act on" });
  }

  async stop(): Promise<void> {
    clearInterval(this.forgetting);
    await this.replicator.stop();
    await this.node.stop();
    await Promise.all(this.stores.map((store) => store.close()));
  }
}

export async function startEmbeddedRegions(
  links: Links,
  signal: AbortSignal,
  settings: RegionSettings,
  logFolder: string,
): Promise<readonly RegionRuntime[]> {
  const servers: Servers = { cn: new MemoryServer(), us: new MemoryServer(), eu: new MemoryServer() };
  const regions = await Promise.all(
    REGIONS.map((region) => startRegion(region, links, servers, settings, logFolder)),
  );
  await Promise.all(
    regions.map(({ region, node }) => {
      const waiting = {
        what: `${region} to be ready`,
        timeoutMs: READY_TIMEOUT_MS,
        everyMs: LOOK_EVERY_MS,
        signal,
      };
      return waitFor(waiting, (): Look<undefined> => {
        const missing = node.presence.node.caughtUp ? undefined : "still folding its logs";
        return missing === undefined ? { done: true, value: missing } : { done: false, seen: missing };
      });
    }),
  );
  return regions;
}

async function startRegion(
  region: DemoRegion,
  links: Links,
  servers: Servers,
  settings: RegionSettings,
  logFolder: string,
): Promise<EmbeddedRegion> {
  const server = servers[region];
  const peers = peersOf(region);
  const file = pino.destination({ dest: join(logFolder, `${region}.log`), sync: true });
  const logger: Logger = pino({ level: settings.logLevel, base: { region } }, file);
  const store = new MemoryLogStore(server);
  const { ttlMs, heartbeatMs } = settings;
  const node = await startNode({
    region,
    peers,
    name: `${region}-1`,
    store,
    logger,
    keys: [],
    http: { host: HOST, port: 0 },
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
  });
  const local = new MemoryLogStore(server);
  const stores = new Map(
    peers.map((peer) => [
      peer,
      new WanLogStore(new MemoryLogStore(servers[peer]), lanesBetween(region, peer, links)),
    ]),
  );
  const replicator = startReplicator({ region, local, peers: stores, logger });
  return new EmbeddedRegion(region, {
    server,
    node,
    replicator,
    stores: [...stores.values(), local, store],
    logFolder,
  });
}

function lanesBetween(region: DemoRegion, peer: DemoRegion, links: Links) {
  const link = links.get(linkBetween(region, peer).name);
  if (link === undefined) throw new Error(`no link between ${region} and ${peer}`);
  return { forth: link.lane(region), back: link.lane(peer) };
}

function forgetOld(server: MemoryServer): void {
  for (const [name, stream] of server.streams) {
    if (stream.entries.length > FRAMES_KEPT) server.truncate(name, stream.lastSequence - FRAMES_KEPT + 1);
  }
}
