/**
 * What the demo needs of a region, whether it runs as processes around a nats-server or embedded in the demo's own process.
 * Rule: an action answers only when it has taken effect, and says why where it cannot.
 */
import type { WanLink } from "../wan.ts";
import type { ProcessStatus } from "./process.ts";
import type { DemoRegion } from "./topology.ts";

export const ROLES = ["node", "replicator", "nats"] as const;
export type Role = (typeof ROLES)[number];

export const ACTIONS = ["kill", "stop", "continue", "start"] as const;
/** `kill` is SIGKILL, `stop` SIGSTOP, `continue` SIGCONT; `start` only what is down. */
export type Action = (typeof ACTIONS)[number];

export interface RegionAddresses {
  readonly http: string;
  /** Absent when the region has no nats-server. */
  readonly nats?: string;
}

export type ActionResult =
  | { readonly ok: true; readonly status: ProcessStatus }
  | { readonly ok: false; readonly reason: string };

export interface RegionRuntime {
  readonly region: DemoRegion;
  readonly addresses: RegionAddresses;
  /** Where operators look; absent when the region writes none. */
  readonly logFolder?: string;
  processes(): Readonly<Partial<Record<Role, ProcessStatus>>>;
  act(role: Role, action: Action): Promise<ActionResult>;
  /** Ends everything of this region, in order. */
  stop(): Promise<void>;
}

export type Links = ReadonlyMap<string, WanLink>;

/** Starts all regions, connected by `links`; resolves when each answers. */
export type StartRegions = (links: Links, signal: AbortSignal) => Promise<readonly RegionRuntime[]>;

export interface RegionSettings {
  readonly logLevel: string;
  /** Overrides of the node's own defaults. */
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
}
