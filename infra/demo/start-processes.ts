/** Starts the three regions as processes. Rule: either all are up, or none is left and the error says which failed. */
import type { WanListener } from "../wan.ts";
import { freePorts } from "./ports.ts";
import { ProcessRegion, type RegionContext, type RegionPlan } from "./region-processes.ts";
import type { Links, RegionRuntime } from "./runtime.ts";
import { LINKS, REGIONS, type DemoRegion } from "./topology.ts";

export type SharedContext = Omit<RegionContext, "peerListeners">;

export async function startProcessRegions(
  links: Links,
  signal: AbortSignal,
  shared: SharedContext,
): Promise<readonly RegionRuntime[]> {
  const plans = await planRegions();
  const regions = await Promise.all(
    plans.map(
      async (plan) =>
        new ProcessRegion(plan, { ...shared, peerListeners: await listenFrom(plan.region, links, plans) }),
    ),
  );
  const starts = await Promise.allSettled(regions.map((region) => region.start(signal)));
  const failed = starts.find((start) => start.status === "rejected");
  if (failed === undefined) return regions;
  await Promise.all(regions.map((region) => region.stop()));
  throw failed.reason;
}

async function planRegions(): Promise<RegionPlan[]> {
  const ports = await freePorts(2 * REGIONS.length);
  return REGIONS.map((region) => {
    const [httpPort, natsPort] = [ports.pop(), ports.pop()];
    if (httpPort === undefined || natsPort === undefined) throw new Error("too few ports");
    return { region, httpPort, natsPort };
  });
}

/** One listener per link of this region, leading to the nats-server of the region at the other end. */
async function listenFrom(
  region: DemoRegion,
  links: Links,
  plans: readonly RegionPlan[],
): Promise<ReadonlyMap<string, WanListener>> {
  const listeners = new Map<string, WanListener>();
  for (const { name, a, b } of LINKS.filter((each) => each.a === region || each.b === region)) {
    const peer = plans.find((plan) => plan.region === (a === region ? b : a));
    const listener = await links.get(name)?.listen(region, { host: "127.0.0.1", port: peer?.natsPort ?? 0 });
    if (listener !== undefined) listeners.set(name, listener);
  }
  return listeners;
}
