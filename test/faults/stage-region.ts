/**
 * What the processes of a stage's regions are started with. Rule: every port, folder, name and address is settled here, before the
 * first start.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RegionApi } from "../../infra/demo/api.ts";
import type { HttpClient } from "../../infra/demo/http.ts";
import { freePorts } from "../../infra/demo/ports.ts";
import type { PidListener } from "../../infra/demo/process.ts";
import { natsSilence } from "../../infra/demo/region-processes.ts";
import { readInfraEnv } from "../../infra/env.ts";
import { findNatsServer } from "../../infra/nats-server.ts";
import { WanLink } from "../../infra/wan.ts";
import type { StageOptions } from "./stage.ts";
import { NatsProcess, NodeProcess, StageProcess } from "./stage-process.ts";

const HOST = "127.0.0.1";

export interface StageRegion {
  readonly name: string;
  /** HTTP base of the first node. */
  readonly url: string;
  /** The API of the first node. */
  readonly api: RegionApi;
  readonly nats: NatsProcess;
  readonly nodes: readonly NodeProcess[];
  readonly replicators: readonly StageProcess[];
  /** Between each node and the nats-server, in the order of the nodes; empty unless the stage was asked for it. */
  readonly locals: readonly WanLink[];
}

export interface StagePlan {
  readonly options: StageOptions;
  readonly names: readonly string[];
  /** Exists. */
  readonly folder: string;
  readonly pids: PidListener;
  readonly http: HttpClient;
  readonly signal: AbortSignal;
}

type Between = (a: string, b: string) => WanLink;

/** All regions, none of them started; the WAN listens already. */
export async function planRegion(plan: StagePlan, between: Between): Promise<StageRegion[]> {
  const natsPorts = await freePorts(plan.names.length);
  const nats = new Map(plan.names.map((name, i) => [name, natsProcess(plan, name, natsPorts[i] ?? 0)]));
  return Promise.all(
    plan.names.map(async (name) => {
      const own = nats.get(name);
      if (own === undefined) throw new Error(`no nats-server for ${name}`);
      const peers = await Promise.all(
        [...nats]
          .filter(([peer]) => peer !== name)
          .map(async ([peer, { url }]) => `${peer}=${await across(between(name, peer), name, url)}`),
      );
      const locals = localLinks(plan, name);
      const nodes = await nodesOf(
        plan,
        name,
        locals.length === 0
          ? own.url
          : await Promise.all(locals.map((local) => across(local, name, own.url))),
      );
      const [first] = nodes;
      if (first === undefined) throw new Error("a region has a node at least");
      const replicators = peers.length === 0 ? [] : replicatorsOf(plan, name, own.url, peers);
      return { name, url: first.url, api: first.api, nats: own, nodes, replicators, locals };
    }),
  );
}

/** The address of a nats-server as region `from` reaches it across a link. */
async function across(link: WanLink, from: string, url: string): Promise<string> {
  const listener = await link.listen(from, { host: HOST, port: Number(new URL(url).port) });
  return `nats://${listener.host}:${listener.port}`;
}

function localLinks({ options }: StagePlan, region: string): WanLink[] {
  const { localRttMs: rttMs, nodes = 1 } = options;
  if (rttMs === undefined) return [];
  return Array.from({ length: nodes }, () => new WanLink(region, natsEnd(region), { rttMs }));
}

/** What the far end of a region's local links is called. */
export function natsEnd(region: string): string {
  return `${region}-nats`;
}

function natsProcess(plan: StagePlan, region: string, port: number): NatsProcess {
  const found = findNatsServer();
  if (!found.ok) throw new Error(found.detail);
  const { options, folder, pids, signal } = plan;
  const disk = options.disk?.(region);
  const storeDir = disk?.folder ?? join(folder, `${region}-store`);
  mkdirSync(storeDir, { recursive: true });
  const config = join(folder, `${region}-nats.conf`);
  writeFileSync(config, options.natsConfig?.(region) ?? "");
  const server = ["--addr", HOST, "--port", String(port), "--name", `rollcall-${region}`];
  const line = [found.server.path, "--config", config, ...server, "--jetstream", "--store_dir", storeDir];
  const [command = "", ...args] = [...(disk?.prefix ?? []), ...line];
  const spec = {
    name: `${region} nats-server`,
    command,
    args,
    env: shellEnv(),
    logFile: join(folder, `${region}-nats.log`),
    exitsWithParent: false,
  };
  const unready = (): Promise<string | undefined> => natsSilence(port);
  return new NatsProcess({ spec, pids, signal, unready }, `nats://${HOST}:${port}`, storeDir);
}

/** `natsUrls`: one of each node, or one for all. */
async function nodesOf(
  plan: StagePlan,
  region: string,
  natsUrls: string | readonly string[],
): Promise<NodeProcess[]> {
  const { options, names, pids, http, signal } = plan;
  const ports = await freePorts(options.nodes ?? 1);
  return ports.map((port, i) => {
    const api = new RegionApi(`http://${HOST}:${port}`, http);
    const env = {
      ROLLCALL_PEERS: names.filter((name) => name !== region).join(","),
      ROLLCALL_HTTP_HOST: HOST,
      ROLLCALL_HTTP_PORT: String(port),
      ...(options.ttlMs !== undefined && { ROLLCALL_TTL_MS: String(options.ttlMs) }),
      ...(options.heartbeatMs !== undefined && { ROLLCALL_HEARTBEAT_MS: String(options.heartbeatMs) }),
      ...options.env?.node,
      ...options.envOf?.(region),
    };
    const natsUrl = typeof natsUrls === "string" ? natsUrls : (natsUrls[i] ?? "");
    const script = { region, role: "node", number: i + 1, natsUrl, args: options.nodeArgs?.node ?? [] };
    const spec = scriptSpec(plan, { ...script, path: "services/presence/main.js", env });
    return new NodeProcess({ spec, pids, signal, unready: () => unreadiness(api) }, api);
  });
}

function replicatorsOf(
  plan: StagePlan,
  region: string,
  natsUrl: string,
  peers: readonly string[],
): StageProcess[] {
  const { options, pids, signal } = plan;
  return Array.from({ length: options.replicators ?? 1 }, (_, i) => {
    const env = {
      ROLLCALL_PEERS: peers.join(","),
      ...options.env?.replicator,
      ...options.envOf?.(region),
    };
    const script = {
      region,
      role: "replicator",
      number: i + 1,
      natsUrl,
      args: options.nodeArgs?.replicator ?? [],
    };
    const spec = scriptSpec(plan, { ...script, path: "replicator/main.js", env });
    return new StageProcess({ spec, pids, signal, unready: () => Promise.resolve(undefined) });
  });
}

interface Script {
  readonly region: string;
  readonly role: string;
  readonly number: number;
  readonly natsUrl: string;
  /** Of the `node` program. */
  readonly args: readonly string[];
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

function scriptSpec({ folder }: StagePlan, { region, role, number, natsUrl, args, path, env }: Script) {
  const name = `${region} ${role} ${number}`;
  return {
    name,
    command: process.execPath,
    args: [...args, fileURLToPath(new URL(`../../${path}`, import.meta.url))],
    env: {
      ...shellEnv(),
      ROLLCALL_REGION: region,
      ROLLCALL_NATS_URL: natsUrl,
      ROLLCALL_NODE: `${region}-${role}-${number}`,
      ROLLCALL_LOG_LEVEL: "info",
      ROLLCALL_EXIT_WITH_PARENT: "1",
      ...env,
    },
    logFile: join(folder, `${name.replaceAll(" ", "-")}.log`),
    exitsWithParent: true,
  };
}

async function unreadiness(api: RegionApi): Promise<string | undefined> {
  const answer = await api.send("GET", "/readyz");
  if (!answer.ok) return answer.reason;
  return answer.status === 200 ? undefined : `/readyz answers ${answer.status}`;
}

/** A ROLLCALL_ variable of the shell must not reach the stage. */
function shellEnv(): Record<string, string | undefined> {
  const { all } = readInfraEnv();
  return Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith("ROLLCALL_")));
}
