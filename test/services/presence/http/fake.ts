/**
 * A PresenceService that answers from a script and records every call, so that a test can say that there was none.
 */
import type { FastifyInstance } from "fastify";

import type { Token } from "../../../../replicator/core/token.ts";
import { type AppDeps, buildApp } from "../../../../services/presence/app.ts";
import { noCounts } from "../../../../services/presence/returned.ts";
import type { ReturnedReport } from "../../../../services/presence/returned.ts";
import type { NodeOperations } from "../../../../services/presence/operations.ts";
import { buildGates, type Gates, type Load } from "../../../../services/presence/gates.ts";
import type { EvacuationPlan, RegionView } from "../../../../services/presence/evacuation-view.ts";
import type {
  Bounds,
  Counters,
  NodeStatus,
  PresenceService,
  PresenceView,
  ReplicationLink,
} from "../../../../services/presence/service.ts";

export const AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
export const AT = "2026-01-02T03:04:05.678Z";
export const TOKEN: Token = new Map([["cn", { logId: "logA", position: 812 }]]);
export const TOKEN_TEXT = "1.cn:logA:812";
export const APPLIED: Token = new Map([
  ["cn", { logId: "logA", position: 900 }],
  ["us", { logId: "logB", position: 40 }],
]);
export const APPLIED_TEXT = "1.cn:logA:900,us:logB:40";

export const OFFLINE: PresenceView = {
  user: "nobody",
  status: "offline",
  epoch: { generation: 0, count: 0 },
  version: 0,
  sessions: [],
  asOfMs: AT_MS,
  stalenessMs: 120,
  freshness: "live",
};

export const ONLINE: PresenceView = {
  user: "ann",
  status: "away",
  home: "cn",
  epoch: { generation: 1, count: 2 },
  version: 812,
  sessions: [
    {
      session: "s1",
      region: "cn",
      device: "phone",
      platform: "ios",
      status: "away",
      sinceMs: AT_MS,
      state: '{"room":7}',
      provisional: false,
      freshness: "live",
    },
    {
      session: "s2",
      region: "us",
      device: "",
      platform: "",
      status: "online",
      sinceMs: AT_MS,
      state: "",
      provisional: true,
      freshness: "stale",
    },
  ],
  lastSeenMs: AT_MS,
  asOfMs: AT_MS,
  stalenessMs: 120,
  freshness: "stale",
};

export const LINK: ReplicationLink = {
  origin: "us",
  replica: "cn",
  state: "stalled",
  reason: "no frame for 800 ms",
  sinceMs: AT_MS,
  eventsBehind: 3,
  watermarkAgeMs: 1_500,
  loopLagMs: 250,
  visibleMs: { p50: 10, p99: 20, p999: 30 },
  clockOffsetMs: -4,
  clockErrorMs: 2,
  reportAgeMs: 0,
  verifiedMs: AT_MS,
  secondsToOverrun: null,
};
export const SILENT_LINK: ReplicationLink = {
  origin: "cn",
  replica: "us",
  state: "unknown",
  reason: "no report",
  sinceMs: null,
  eventsBehind: null,
  watermarkAgeMs: null,
  loopLagMs: null,
  visibleMs: null,
  clockOffsetMs: null,
  clockErrorMs: null,
  reportAgeMs: null,
  verifiedMs: null,
  secondsToOverrun: 3_600,
};

export const COUNTERS: Counters = {
  liveSessions: 5,
  heartbeats: 77,
  sessionsOpened: 9,
  sessionsEnded: { expired: 1, logout: 2, kicked: 0, replaced: 1, forced: 0 },
  appendedFrames: 11,
  appendedCommands: 22,
  appendFailures: { timeout: 1 },
  appendQueueBytes: 4_096,
  foldedFrames: { cn: 11, us: 12 },
  foldedCommands: { cn: 22, us: 24 },
  refusedCommands: { "unknown-session": 2 },
  refusedFrames: { checksum: 1 },
  pendingForwards: 1,
  reconciled: { reopened: 1, orphaned: 2 },
  integrity: { compared: 9, mismatches: 1, corrupt: 2, resyncs: 1 },
  snapshots: { taken: 3, failed: 1, bytes: 4_000 },
  rehomed: 6,
  reads: { atOnce: 40, waited: 4, home: 2, unsatisfied: 1 },
  relayed: { asked: 5, served: 2, full: 1, strange: 0, answered: 3, declined: 1, malformed: 0 },
};

export const BOUNDS: Bounds = {
  sessionsMax: 1_000,
  heapShare: 0.25,
  refused: { sessions: 3, heap: 4 },
  stalls: 2,
  stalledMs: 1_500,
};

export const PLAN: EvacuationPlan = {
  users: 7,
  sessions: 3,
  positions: { cn: 900, us: 40 },
  late: [{ origin: "us", replica: "cn", state: "stalled", reason: "no frame", eventsBehind: null }],
  refusals: [{ reason: "heir-behind", detail: "us does not hear", canForce: true }],
};
export const EVACUATING: RegionView = {
  state: "evacuating",
  homes: 5,
  nodes: ["cn-1"],
  usersLeft: 5,
  holds: [{ reason: "heir-evacuated", detail: "us is evacuated itself" }],
  to: "us",
  decision: { key: "evacuation", value: "to us since 4", by: "operator", reason: "drill", atMs: AT_MS },
  untilMs: AT_MS,
};

export const OPERATIONS: NodeOperations = {
  confirm: async () => ({ ok: true, value: undefined }),
  verify: async ({ repair }) => ({
    ok: true,
    value: { compared: 3, differences: [{ region: "us", bucket: 7, user: "ann" }], repaired: repair },
  }),
  snapshot: async () => ({ ok: true, value: { name: "cn-1", bytes: 4_000, token: TOKEN } }),
  returned: async () => ({ ok: true, value: RETURNED }),
};

export const RETURNED: ReturnedReport = {
  finished: true,
  generation: 2,
  sinceMs: AT_MS,
  frames: 7,
  users: 1,
  counts: { ...noCounts(), closed: { back: 0, again: 1, superseded: 0, lost: 0 } },
  listed: [{ user: "ann", items: [{ what: "closed", became: "again", why: "" }] }],
};

export type Call = readonly [method: string, ...args: unknown[]];

/** `overrides` replaces single answers; every call is recorded, whoever answers it. */
export function recordingService(overrides: Partial<PresenceService & NodeStatus> = {}): {
  service: PresenceService & NodeStatus;
  calls: Call[];
} {
  const calls: Call[] = [];
  const answers: PresenceService & NodeStatus = {
    region: "cn",
    regions: ["cn", "us", "eu"],
    openSession: async (input) => ({
      ok: true,
      value: {
        session: "s9",
        user: input.user,
        home: input.home ?? "cn",
        region: "cn",
        ttlSeconds: 75,
        heartbeatSeconds: 29.5,
        provisional: false,
        token: TOKEN,
      },
    }),
    heartbeat: (session) => {
      if (session === "gone") return { reason: "replaced", by: "s7" };
      return session === "nowhere" ? { reason: "unknown", by: "" } : undefined;
    },
    abreast: async () => ({ ok: true, value: undefined }),
    touch: () => undefined,
    updateSession: async () => ({ ok: true, value: { token: TOKEN } }),
    closeSession: async () => ({ ok: true, value: { token: TOKEN } }),
    forceLogout: async () => ({ ok: true, value: { ended: 2, token: TOKEN } }),
    prefer: async () => ({ ok: true, value: { token: TOKEN } }),
    rehome: async () => ({ ok: true, value: { token: TOKEN } }),
    presence: (user) => (user === "ann" ? ONLINE : { ...OFFLINE, user }),
    online: ({ cursor }) =>
      cursor === "bad" ? { invalidCursor: true } : { users: [ONLINE], cursor: "next" },
    occupancy: () => ({
      users: 3,
      sessions: 5,
      byRegion: {
        cn: { users: 2, sessions: 3, freshness: "live" },
        us: { users: 1, sessions: 2, freshness: "stale" },
      },
    }),
    consistency: async ({ mode }) => ({
      ok: true,
      value: {
        mode,
        satisfied: true,
        waitedMs: 0,
        servedBy: "cn",
        applied: { cn: 900, us: 40 },
      },
    }),
    read: async (users, options) => {
      const met = await service.consistency(options);
      if (!met.ok) return met;
      const presences = users.map((user) => service.presence(user));
      return { ok: true, value: { presences, consistency: met.value, applied: service.applied() } };
    },
    replication: () => ({
      region: "cn",
      applied: { cn: { logId: "logA", position: 900 }, us: { logId: "logB", position: 40 } },
      links: [LINK, SILENT_LINK],
    }),
    applied: () => APPLIED,
    ready: () => true,
    startingWith: () => "",
    holds: () => true,
    hearing: () => undefined,
    settings: () => new Map(),
    audit: () => [],
    decide: async () => ({ ok: true, value: { token: TOKEN } }),
    evacuate: async ({ dryRun }) => ({
      ok: true,
      value: { plan: PLAN, evacuation: EVACUATING, ...(dryRun ? {} : { token: TOKEN }) },
    }),
    restore: async () => ({
      ok: true,
      value: { plan: PLAN, evacuation: { ...EVACUATING, state: "restoring" }, token: TOKEN },
    }),
    evacuations: () =>
      new Map<string, RegionView>([
        ["cn", EVACUATING],
        ["us", { state: "home", homes: 2, nodes: [] }],
      ]),
    bounds: () => BOUNDS,
    health: () => [
      { name: "log", ok: true, detail: "appending" },
      { name: "fold", ok: true, detail: "caught up" },
    ],
    counters: () => COUNTERS,
    ...overrides,
  };
  const service = new Proxy(answers, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      // Being asked whether it is ready is no call: it answers nothing about users. A read is the calls that it is made of.
      if (typeof value !== "function" || name === "ready" || name === "startingWith" || name === "read")
        return value;
      return (...args: unknown[]): unknown => {
        calls.push([String(name), ...args]);
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { service, calls };
}

export interface Node {
  readonly app: FastifyInstance;
  readonly calls: Call[];
}

/** Gates that have judged one load. */
export function gatesUnder(load: Partial<Load>): Gates {
  const gates = buildGates();
  for (const gate of Object.values(gates)) gate.judge({ delayMs: 0, queueShare: 0, ...load });
  return gates;
}

/** An app over a recording fake. Every gate is open unless the test closes it; nobody is told to wait longer than the base. */
export function node(
  overrides: Partial<PresenceService & NodeStatus> = {},
  deps: Partial<AppDeps> = {},
): Node {
  const { service, calls } = recordingService(overrides);
  const app = buildApp({
    operations: OPERATIONS,
    service,
    status: service,
    keys: [],
    logger: false,
    version: "1.2.3",
    now: () => AT_MS,
    gates: buildGates(),
    random: () => 0,
    ...deps,
  });
  return { app, calls };
}

let shared: Node | undefined;

/** The plain app, built once for the file and with its record of calls emptied: building one takes tens of milliseconds. */
export function plainNode(): Node {
  shared ??= node();
  shared.calls.length = 0;
  return shared;
}
