/**
 * The running demo: three regions and the WAN links between them.
 * Rule: it begins whole or not at all, and ends whole: whatever it started is gone when `stop` resolves.
 */
import { WanLink } from "../wan.ts";
import { RegionApi } from "./api.ts";
import type { HttpClient } from "./http.ts";
import type { Links, RegionRuntime, StartRegions } from "./runtime.ts";
import { DIRECTIONS, LINKS, REGIONS, directionName, type DemoRegion } from "./topology.ts";
import { waitFor, type Look } from "./wait.ts";

const LINKS_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 50;

export class World {
  readonly links: Links;
  readonly regions: ReadonlyMap<DemoRegion, RegionRuntime>;
  readonly apis: Readonly<Record<DemoRegion, RegionApi>>;

  private constructor(links: Links, regions: readonly RegionRuntime[], http: HttpClient) {
    this.links = links;
    this.regions = new Map(regions.map((runtime) => [runtime.region, runtime]));
    const api = (region: DemoRegion): RegionApi => new RegionApi(this.region(region).addresses.http, http);
    this.apis = { cn: api("cn"), us: api("us"), eu: api("eu") };
  }

  static async start(startRegions: StartRegions, http: HttpClient, signal: AbortSignal): Promise<World> {
    const links = new Map(LINKS.map(({ name, a, b, rttMs }) => [name, new WanLink(a, b, { rttMs })]));
    try {
      return new World(links, await startRegions(links, signal), http);
    } catch (error) {
      await Promise.all([...links.values()].map((link) => link.close()));
      throw error;
    }
  }

  region(region: DemoRegion): RegionRuntime {
    const runtime = this.regions.get(region);
    if (runtime === undefined) throw new Error(`no region ${region}`);
    return runtime;
  }

  link(name: string): WanLink {
    const link = this.links.get(name);
    if (link === undefined) throw new Error(`no link ${name}`);
    return link;
  }

  /** Resolves when each replica says of each origin that the link is live. */
  async linksLive(signal?: AbortSignal, timeoutMs: number = LINKS_TIMEOUT_MS): Promise<void> {
    const waiting = { what: "all links to be live", timeoutMs, everyMs: LOOK_EVERY_MS };
    await waitFor(
      signal === undefined ? waiting : { ...waiting, signal },
      async (): Promise<Look<undefined>> => {
        const states = await this.linkStates();
        const others = [...states].filter(([, state]) => state !== "live");
        if (others.length === 0) return { done: true, value: undefined };
        return { done: false, seen: others.map((each) => each.join(" ")).join(", ") };
      },
    );
  }

  /** State of each of the six links as its replica tells it, by direction; a replica that does not answer says why. */
  async linkStates(): Promise<Map<string, string>> {
    const answers = await Promise.all(
      REGIONS.map(async (region) => [region, await this.apis[region].links()] as const),
    );
    const byReplica = new Map(answers);
    return new Map(
      DIRECTIONS.map((direction) => {
        const answer = byReplica.get(direction.replica);
        if (answer === undefined || !answer.ok)
          return [directionName(direction), answer?.reason ?? "no answer"];
        const link = answer.value.find(
          ({ origin, replica }) => origin === direction.origin && replica === direction.replica,
        );
        return [directionName(direction), link?.state ?? "not reported"];
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all([...this.regions.values()].map((region) => region.stop()));
    await Promise.all([...this.links.values()].map((link) => link.close()));
  }
}
