/**
 * A stage: regions made of real processes - each a nats-server with a store of its own, presence nodes and replicators - whose
 * replicators reach the other regions' nats-servers through simulated WAN links. All on free ports of 127.0.0.1.
 *
 *   const stage = await context.stage({ ttlMs: 6_000, heartbeatMs: 1_000, rttMs: 80 });
 *   const cn = stage.region("cn");            // cn.url, cn.api, cn.nats, cn.nodes[i], cn.replicators[i]
 *   await cn.nats.kill9();
 *   stage.wan("cn", "us").cut();
 *
 * Rule: a stage begins whole, with every link live, or not at all, and ends whole: whatever it started is gone when `stop` resolves;
 * a watchdog sees to that after a SIGKILL.
 */
import type { RegionApi } from "../../infra/demo/api.ts";
import { Guard } from "../../infra/demo/guard.ts";
import { HttpClient } from "../../infra/demo/http.ts";
import { waitFor, type Look } from "../../infra/demo/wait.ts";
import { WanLink } from "../../infra/wan.ts";
import { planRegion, type StagePlan, type StageRegion } from "./stage-region.ts";

type Env = Readonly<Record<string, string>>;

export interface StageOptions {
  /** Default cn, eu, us. One region has no replicators. */
  readonly regions?: readonly string[];
  /** Presence nodes per region; default 1. */
  readonly nodes?: number;
  /** Replicators per region; default 1. */
  readonly replicators?: number;
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
  /** More variables, e.g. `{ node: { ROLLCALL_LOG_LEVEL: "debug" } }`. */
  readonly env?: { readonly node?: Env; readonly replicator?: Env };
  /** And more for the processes of one region, on top of those. */
  readonly envOf?: (region: string) => Env;
  /** Arguments of the `node` program itself, e.g. `{ node: ["--max-old-space-size=256"] }`. */
  readonly nodeArgs?: { readonly node?: readonly string[]; readonly replicator?: readonly string[] };
  /** Of every link, there and back; default 0. */
  readonly rttMs?: number;
  /** Between each node of a region and its nats-server, by way of `region.locals`; without it they connect directly. */
  readonly localRttMs?: number;
  /** Line rate of every link and direction; unlimited when absent. */
  readonly bytesPerSecond?: number;
  /** Lines of nats-server configuration, by region; the store directory is set already. */
  readonly natsConfig?: (region: string) => string;
  /** Where a region's nats-server keeps its store, instead of a folder of the stage. */
  readonly disk?: (region: string) => Disk | undefined;
}

/** A place for a nats-server's store. */
export interface Disk {
  /** Exists. */
  readonly folder: string;
  /** Goes before the command of whoever is to see it. */
  readonly prefix: readonly string[];
}

/** One WAN link, seen from one end. */
export interface Wan {
  readonly link: WanLink;
  /** Cuts both directions. */
  cut(): void;
  /** Holds what travels from `from` to `to`; the other direction goes on. */
  cutOneWay(): void;
  heal(): void;
  setRtt(rttMs: number): void;
  /** Share of the packets that are lost and sent again, in both directions. */
  setLoss(ratio: number): void;
  /** Flips a bit of what travels from `from` to `to`, `behind` bytes after the next `marker`; resolves when it is done. */
  flipOnce(marker: Uint8Array, behind: number): Promise<void>;
}

const REGIONS = ["cn", "eu", "us"];
const HTTP = { timeoutMs: 10_000, socketsMax: 256 };
const LIVE_TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 50;
/** A watermark comes several times a second. */
const FLIP_MS = 10_000;

export class Stage {
  readonly regions: readonly StageRegion[];
  /** For calls to the nodes; 10 s each at most. */
  readonly http: HttpClient;
  /** Aborted when the harness must end. */
  readonly signal: AbortSignal;
  readonly #guard: Guard;
  readonly #links: ReadonlyMap<string, WanLink>;
  readonly #ends: (() => Promise<void>)[] = [];

  private constructor(
    plan: StagePlan,
    links: ReadonlyMap<string, WanLink>,
    regions: readonly StageRegion[],
    guard: Guard,
  ) {
    this.http = plan.http;
    this.signal = plan.signal;
    this.regions = regions;
    this.#links = links;
    this.#guard = guard;
  }

  /** Resolves when every node is ready and every link live. */
  static async start(options: StageOptions, signal: AbortSignal): Promise<Stage> {
    const names = options.regions ?? REGIONS;
    const { rttMs = 0, bytesPerSecond } = options;
    const wan = { rttMs, ...(bytesPerSecond !== undefined && { bytesPerSecond }) };
    const links = new Map<string, WanLink>();
    names.forEach((a, i) => {
      for (const b of names.slice(i + 1)) links.set(linkName(a, b), new WanLink(a, b, wan));
    });
    const guard = new Guard();
    const plan: StagePlan = {
      options,
      names,
      folder: guard.folder,
      pids: guard,
      http: new HttpClient(HTTP),
      signal,
    };
    let stage: Stage | undefined;
    try {
      const regions = await planRegion(plan, (a, b) => linkOf(links, a, b));
      stage = new Stage(plan, links, regions, guard);
      await Promise.all(regions.map(startRegion));
      await stage.linksLive();
      return stage;
    } catch (error) {
      await (stage?.stop() ?? guard.close());
      throw error;
    }
  }

  region(name: string): StageRegion {
    const region = this.regions.find((one) => one.name === name);
    if (region === undefined) throw new Error(`no region ${name} on this stage`);
    return region;
  }

  /** The link between two regions; its directions as seen from `from`. */
  wan(from: string, to: string): Wan {
    const link = linkOf(this.#links, from, to);
    return {
      link,
      cut: () => link.setCut(true),
      cutOneWay: () => link.setCut(`${from}→${to}`),
      heal: () => link.setCut(false),
      setRtt: (rttMs) => link.setRtt(rttMs),
      setLoss: (ratio) => link.setLoss(ratio),
      flipOnce: async (marker, behind) => {
        const lane = link.lane(from);
        lane.flipOnce(marker, behind);
        const waiting = {
          what: `a bit to flip from ${from} to ${to}`,
          timeoutMs: FLIP_MS,
          everyMs: LOOK_EVERY_MS,
        };
        await waitFor({ ...waiting, signal: this.signal }, () =>
          lane.flipPending ? { done: false, seen: "nothing" } : { done: true, value: undefined },
        );
      },
    };
  }

  /** Exists as long as the stage; for whatever a row needs on disk. */
  get folder(): string {
    return this.#guard.folder;
  }

  /** A client with another patience than {@link http}; the caller closes it. */
  client(timeoutMs: number): HttpClient {
    return new HttpClient({ ...HTTP, timeoutMs });
  }

  /** Runs `end` before anything of the stage is ended: for whatever uses it. */
  onStop(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  /** Resolves when each region says of its link from each other that it is live; rejects with what they say instead. */
  async linksLive(timeoutMs: number = LIVE_TIMEOUT_MS): Promise<void> {
    const waiting = { what: "all links to be live", timeoutMs, everyMs: LOOK_EVERY_MS, signal: this.signal };
    await waitFor(waiting, async (): Promise<Look<undefined>> => {
      const states = await Promise.all(this.regions.map(({ name, api }) => othersOf(name, api)));
      const not = states.flat().filter((text) => text !== "");
      const expected = this.regions.length * (this.regions.length - 1);
      if (not.length === 0 && states.flat().length === expected) return { done: true, value: undefined };
      return { done: false, seen: not.join(", ") };
    });
  }

  /** Ends every process, closes every link, removes the folder. */
  async stop(): Promise<void> {
    for (const end of this.#ends.splice(0).toReversed()) await end();
    await Promise.all(this.regions.map(endRegion));
    const locals = this.regions.flatMap((region) => region.locals);
    await Promise.all([...this.#links.values(), ...locals].map((link) => link.close()));
    this.http.close();
    await this.#guard.close();
  }
}

async function startRegion({ nats, nodes, replicators }: StageRegion): Promise<void> {
  await nats.restart();
  await Promise.all([...nodes, ...replicators].map((process) => process.restart()));
}

/** From the service down to what it stands on. */
async function endRegion({ nats, nodes, replicators }: StageRegion): Promise<void> {
  await Promise.all([...nodes, ...replicators].map((process) => process.end()));
  await nats.end();
}

/** One text per link into this region: empty when it is live, else what is. */
async function othersOf(region: string, api: RegionApi): Promise<string[]> {
  const answer = await api.links();
  if (!answer.ok) return [`${region}: ${answer.reason}`];
  return answer.value
    .filter(({ replica }) => replica === region)
    .map(({ origin, replica, state, reason }) =>
      state === "live" ? "" : `${origin}→${replica} ${state} (${reason})`,
    );
}

function linkName(a: string, b: string): string {
  return [a, b].toSorted().join("-");
}

function linkOf(links: ReadonlyMap<string, WanLink>, a: string, b: string): WanLink {
  const link = links.get(linkName(a, b));
  if (link === undefined) throw new Error(`no link between ${a} and ${b} on this stage`);
  return link;
}
