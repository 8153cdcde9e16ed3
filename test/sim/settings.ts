/**
 * What a seed draws before the run: which faults there are and how strong, the clocks, the delays. Rule: every intensity comes from
 * the seed, so the seed alone names the run.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { Random } from "./random.ts";

export const REGIONS: readonly Region[] = ["cn", "eu", "us"];
/** Shorter than in production, so that a run sees many of them. */
export const TTL_MS = 4_000;
export const HEARTBEAT_MS = 1_000;

/** Faults of the course of the world: something happens now and then, and lasts. */
export const INCIDENTS = [
  "cut",
  "one-way-cut",
  "flapping",
  "node-crash",
  "duty-node-crash",
  "replicator-crash",
  "nats-crash",
  "node-pause",
  "replicator-pause",
  "nats-pause",
] as const;
export type Incident = (typeof INCIDENTS)[number];

/** Faults of single messages, by probability. */
export const MISHAPS = [
  "loss",
  "replay",
  "reorder",
  "skip",
  "corruption",
  "ack-lost",
  "request-lost",
  "append-late",
  "message-id-forgotten",
] as const;
export type Mishap = (typeof MISHAPS)[number];

/** Faults the system does not heal yet: only when asked for. */
export const UNHEALED = ["tail-lost", "overrun"] as const;
export type Unhealed = (typeof UNHEALED)[number];

export const CLOCKS = ["clock-skew", "clock-drift"] as const;
export type FaultKind = Incident | Mishap | Unhealed | (typeof CLOCKS)[number];

/** The highest probability a seed can draw for each message, request or read. */
const STRONGEST: Record<Mishap, number> = {
  loss: 0.3,
  replay: 0.5,
  reorder: 0.5,
  skip: 0.01,
  corruption: 0.004,
  "ack-lost": 0.05,
  "request-lost": 0.05,
  "append-late": 0.02,
  "message-id-forgotten": 0.5,
};

export interface Settings {
  readonly seed: number;
  /** Mean virtual milliseconds between incidents of each kind that is on. */
  readonly incidents: ReadonlyMap<Incident | Unhealed, number>;
  readonly mishaps: Readonly<Record<Mishap, number>>;
  readonly clocks: ReadonlyMap<Region, { readonly skewMs: number; readonly driftPpm: number }>;
  /** One-way delay between regions. */
  readonly wanMs: number;
  readonly timerMs: number;
  readonly users: number;
  readonly devices: boolean;
}

/** `unhealed` are the faults asked for that the system does not heal yet. */
export function draw(seed: number, unhealed: readonly Unhealed[] = []): Settings {
  const random = new Random(seed, "settings");
  const incidents = new Map<Incident | Unhealed, number>();
  for (const incident of INCIDENTS) {
    const on = random.chance(0.6);
    const everyMs = random.between(600, 8_000);
    if (on) incidents.set(incident, everyMs);
  }
  for (const kind of unhealed) incidents.set(kind, 3_000);
  const mishap = (kind: Mishap): number => {
    const on = random.chance(0.7);
    const probability = random.unit() * STRONGEST[kind];
    return on ? probability : 0;
  };
  const mishaps: Record<Mishap, number> = {
    loss: mishap("loss"),
    replay: mishap("replay"),
    reorder: mishap("reorder"),
    skip: mishap("skip"),
    corruption: mishap("corruption"),
    "ack-lost": mishap("ack-lost"),
    "request-lost": mishap("request-lost"),
    "append-late": mishap("append-late"),
    "message-id-forgotten": mishap("message-id-forgotten"),
  };
  const skewed = random.chance(0.7);
  const drifting = random.chance(0.7);
  const clocks = new Map(
    REGIONS.map((region) => {
      const skewMs = random.between(-3_600_000, 3_600_000);
      const driftPpm = random.between(-500, 500);
      return [region, { skewMs: skewed ? Math.round(skewMs) : 0, driftPpm: drifting ? driftPpm : 0 }];
    }),
  );
  return {
    seed,
    incidents,
    mishaps,
    clocks,
    wanMs: random.pick([5, 20, 60, 120]),
    timerMs: random.pick([50, 100, 200]),
    users: 50,
    devices: random.chance(0.7),
  };
}

/** How often each fault fired. */
export class Fired {
  readonly counts = new Map<FaultKind, number>();

  add(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}
