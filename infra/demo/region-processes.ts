/**
 * A region as three processes: nats-server with a store of its own, a presence node, a replicator that reaches each peer's
 * nats-server through the WAN link to that peer.
 * Rule: every port, folder and name is settled before the first start, so that a process that is started again is the same one.
 */
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WanListener } from "../wan.ts";
import type { HttpClient } from "./http.ts";
import { ManagedProcess, type PidListener, type ProcessStatus } from "./process.ts";
import type {
  Action,
  ActionResult,
  RegionAddresses,
  RegionRuntime,
  RegionSettings,
  Role,
} from "./runtime.ts";
import { linkBetween, peersOf, type DemoRegion } from "./topology.ts";
import { waitFor, type Look } from "./wait.ts";

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;
const END_GRACE_MS = 3_000;
/** From the service outwards to what it stands on. */
const END_ORDER: readonly Role[] = ["replicator", "node", "nats"];

export interface RegionPlan {
  readonly region: DemoRegion;
  readonly httpPort: number;
  readonly natsPort: number;
}

export interface RegionContext {
  /** By name of the link; a listener of this region towards the peer at the other end. */
  readonly peerListeners: ReadonlyMap<string, WanListener>;
  readonly natsServerPath: string;
  /** Exists; for store and logs. */
  readonly folder: string;
  /** Of the processes, without Rollcall's own variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly settings: RegionSettings;
  readonly pids: PidListener;
  readonly http: HttpClient;
}

export class ProcessRegion implements RegionRuntime {
  readonly region: DemoRegion;
  readonly addresses: RegionAddresses;
  readonly logFolder: string;
  private readonly plan: RegionPlan;
  private readonly http: HttpClient;
  private readonly all: Readonly<Record<Role, ManagedProcess>>;

  constructor(plan: RegionPlan, context: RegionContext) {
    this.plan = plan;
    this.region = plan.region;
    this.http = context.http;
    this.logFolder = context.folder;
    this.addresses = { http: `http://${HOST}:${plan.httpPort}`, nats: natsUrl(HOST, plan.natsPort) };
    mkdirSync(join(context.folder, plan.region), { recursive: true });
    this.all = {
      nats: new ManagedProcess(natsSpec(plan, context), context.pids),
      node: new ManagedProcess(nodeSpec(plan, context), context.pids),
      replicator: new ManagedProcess(replicatorSpec(plan, context), context.pids),
    };
  }

  /** Resolves when the nats-server speaks and the node is ready. */
  async start(signal: AbortSignal): Promise<void> {
    await this.all.nats.start();
    await this.up("nats", signal);
    await Promise.all([this.all.node.start(), this.all.replicator.start()]);
    await this.up("node", signal);
  }

  processes(): Record<Role, ProcessStatus> {
    const { nats, node, replicator } = this.all;
    return { node: node.status(), replicator: replicator.status(), nats: nats.status() };
  }

  async act(role: Role, action: Action): Promise<ActionResult> {
    const target = this.all[role];
    const { state } = target.status();
    const refuse = (reason: string): ActionResult => ({
      ok: false,
      reason: `${this.region} ${role} ${reason}`,
    });
    if (action === "start") {
      if (state !== "down") return refuse(`is ${state}`);
      await target.start();
    } else if (state === "down") {
      return refuse("is down");
    } else if (action === "kill") {
      await target.kill();
    } else if (action === "stop") {
      target.pause();
    } else {
      target.resume();
    }
    return { ok: true, status: target.status() };
  }

  async stop(): Promise<void> {
    for (const role of END_ORDER) await this.all[role].end(END_GRACE_MS);
  }

  private async up(role: "nats" | "node", signal: AbortSignal): Promise<void> {
    const process = this.all[role];
    const what = `${this.region} ${role} to be ready`;
    const waiting = { what, timeoutMs: START_TIMEOUT_MS, everyMs: LOOK_EVERY_MS, signal };
    await waitFor(waiting, async (): Promise<Look<undefined>> => {
      const { state, ended } = process.status();
      if (state === "down")
        throw new Error(`${this.region} ${role} ended (${ended}):\n${process.lastWords(12)}`);
      const reason = role === "nats" ? await natsSilence(this.plan.natsPort) : await this.nodeUnready();
      return reason === undefined ? { done: true, value: undefined } : { done: false, seen: reason };
    });
  }

  private async nodeUnready(): Promise<string | undefined> {
    const answer = await this.http.send("GET", this.addresses.http, "/readyz");
    if (!answer.ok) return answer.reason;
    return answer.status === 200 ? undefined : `/readyz answers ${answer.status}`;
  }
}

/** `undefined` when a nats-server greets on this port, else why not. */
export function natsSilence(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    const answer = (reason: string | undefined): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(1_000, () => answer("no greeting"));
    socket.once("error", (error) => answer(error.message));
    socket.once("close", () => answer("connection closed"));
    socket.once("data", (data) =>
      answer(data.toString().startsWith("INFO ") ? undefined : "greeting of something else"),
    );
  });
}

function natsUrl(host: string, port: number): string {
  return `nats://${host}:${port}`;
}

function natsSpec({ region, natsPort }: RegionPlan, context: RegionContext) {
  const name = `rollcall-${region}`;
  const store = join(context.folder, region, "jetstream");
  return {
    name: `${region} nats-server`,
    command: context.natsServerPath,
    args: ["--addr", HOST, "--port", String(natsPort), "--name", name, "--jetstream", "--store_dir", store],
    env: context.env,
    logFile: join(context.folder, `${region}-nats.log`),
    exitsWithParent: false,
  };
}

function nodeSpec({ region, httpPort, natsPort }: RegionPlan, context: RegionContext) {
  const { ttlMs, heartbeatMs } = context.settings;
  return {
    ...script(region, "node", "services/presence/main.js", context),
    env: {
      ...common(region, `${region}-1`, natsPort, context),
      ROLLCALL_PEERS: peersOf(region).join(","),
      ROLLCALL_HTTP_HOST: HOST,
      ROLLCALL_HTTP_PORT: String(httpPort),
      ...(ttlMs === undefined ? {} : { ROLLCALL_TTL_MS: String(ttlMs) }),
      ...(heartbeatMs === undefined ? {} : { ROLLCALL_HEARTBEAT_MS: String(heartbeatMs) }),
    },
  };
}

function replicatorSpec({ region, natsPort }: RegionPlan, context: RegionContext) {
  const peers = peersOf(region).map((peer) => {
    const listener = context.peerListeners.get(linkBetween(region, peer).name);
    if (listener === undefined) throw new Error(`no way from ${region} to ${peer}`);
    return `${peer}=${natsUrl(listener.host, listener.port)}`;
  });
  return {
    ...script(region, "replicator", "replicator/main.js", context),
    env: { ...common(region, `${region}-replicator-1`, natsPort, context), ROLLCALL_PEERS: peers.join(",") },
  };
}

function script(region: DemoRegion, role: Role, path: string, context: RegionContext) {
  return {
    name: `${region} ${role}`,
    command: process.execPath,
    args: [fileURLToPath(new URL(`../../${path}`, import.meta.url))],
    logFile: join(context.folder, `${region}-${role}.log`),
    exitsWithParent: true,
  };
}

function common(region: DemoRegion, name: string, natsPort: number, context: RegionContext) {
  return {
    ...context.env,
    ROLLCALL_REGION: region,
    ROLLCALL_NATS_URL: natsUrl(HOST, natsPort),
    ROLLCALL_NODE: name,
    ROLLCALL_LOG_LEVEL: context.settings.logLevel,
    ROLLCALL_EXIT_WITH_PARENT: "1",
  };
}
