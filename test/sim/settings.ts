/**
 * What a seed draws before the run: which faults there are and how strong, the clocks, the delays. Rule: every intensity comes from
 * the seed, so a scenario (a seed, a length, what is switched off or added) names a run.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { Random } from "./random.ts";

export const REGIONS: readonly Region[] = ["cn", "eu", "us"];
/** Shorter than in production, so that a run sees many of them. */
export const TTL_MS = 4_000;
export const HEARTBEAT_MS = 1_000;
export const REHOME_LOGINS = 2;
export const USERS = 50;

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
  "log-full",
  "tail-lost",
  "overrun",
  "log-recreated",
  "copy-recreated",
  "snapshot-torn",
  "memory-flip",
  "region-lost",
] as const;
export type Incident = (typeof INCIDENTS)[number];

/** Only when asked for (`--with`): the system does not always heal them yet, or not together with all others. */
const UNMENDED: readonly Incident[] = ["tail-lost", "log-recreated", "memory-flip", "region-lost"];

/** Tried so many times as often as the others: there is seldom anything that it could befall. */
const TRIES: ReadonlyMap<Incident, number> = new Map([["overrun", 24]]);

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

export const CLOCKS = ["clock-skew", "clock-drift"] as const;
export type Clock = (typeof CLOCKS)[number];
export type FaultKind = Incident | Mishap | Clock;

/** What people do besides living: reads that say how fresh they must be, friend requests through the service, evacuations soon taken back. */
export const DOINGS = ["fresh-reads", "friend-requests", "returns"] as const;
export type Doing = (typeof DOINGS)[number];
/** What can be left out of a run. */
export type Part = FaultKind | Doing;

/** What every run of many seeds must have fired. */
export const FAULTS: readonly FaultKind[] = [
  ...INCIDENTS.filter((kind) => !UNMENDED.includes(kind)),
  ...MISHAPS,
  ...CLOCKS,
];

/** What names a run; equal scenarios give equal traces. */
export interface Scenario {
  readonly seed: number;
  /** Events of the chaos; healing takes what it takes. */
  readonly events: number;
  /** Incidents that happen in any case, often. */
  readonly also?: readonly Incident[];
  /** What the seed draws, or all seeds have, switched off. */
  readonly without?: readonly Part[];
  readonly users?: number;
}

/** The highest probability a seed can draw for each message, request or read. */
const STRONGEST: Record<Mishap, number> = {
  loss: 0.3,
  replay: 0.5,
  reorder: 0.5,
  skip: 0.02,
  corruption: 0.004,
  "ack-lost": 0.05,
  "request-lost": 0.05,
  "append-late": 0.02,
  "message-id-forgotten": 1,
};
/** This share of the seeds is calm: nothing happens but single lost or late messages. */
const CALM = 0.08;
/** How often those happen that were asked for. */
const ALSO_EVERY_MS = 3_000;
/** A region is seldom lost while another is: it is tried often, so that the first is lost early. */
const LOST_EVERY_MS = 500;

export interface Settings {
  readonly seed: number;
  /** Mean virtual milliseconds between incidents of each kind that is on. */
  readonly incidents: ReadonlyMap<Incident, number>;
  readonly mishaps: Readonly<Record<Mishap, number>>;
  readonly clocks: ReadonlyMap<Region, { readonly skewMs: number; readonly driftPpm: number }>;
  /** One-way delay between regions. */
  readonly wanMs: number;
  readonly timerMs: number;
  readonly users: number;
  readonly devices: boolean;
  readonly doings: readonly Doing[];
}

export function draw({ seed, also = [], without = [], users = USERS }: Scenario): Settings {
  const random = new Random(seed, "settings");
  const calm = new Random(seed, "calm").chance(CALM);
  const isOn = (kind: FaultKind): boolean => !without.includes(kind);
  const incidents = new Map<Incident, number>();
  for (const incident of INCIDENTS) {
    const drawn = random.chance(0.6);
    const everyMs = random.between(600, 8_000) / (TRIES.get(incident) ?? 1);
    if (drawn && !calm && isOn(incident) && !UNMENDED.includes(incident)) incidents.set(incident, everyMs);
  }
  for (const kind of also) incidents.set(kind, kind === "region-lost" ? LOST_EVERY_MS : ALSO_EVERY_MS);
  const mishap = (kind: Mishap): number => {
    const drawn = random.chance(0.7);
    const probability = random.unit() * STRONGEST[kind] * (calm ? 0.1 : 1);
    return drawn && isOn(kind) ? probability : 0;
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
  const skewed = random.chance(0.7) && isOn("clock-skew");
  const drifting = random.chance(0.7) && isOn("clock-drift");
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
    users,
    devices: random.chance(0.7),
    doings: DOINGS.filter((doing) => !without.includes(doing)),
  };
}

/** How often each fault fired. */
export class Fired {
  readonly counts = new Map<FaultKind, number>();

  add(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}
