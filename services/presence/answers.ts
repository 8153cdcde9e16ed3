/**
 * From the service's values to the API's: wall-clock milliseconds become ISO 8601, JSON text becomes JSON, tokens text.
 * Rule: what is unknown is left out or null, never a made-up value.
 */
import type { Static } from "typebox";

import type { Region } from "../../replicator/core/commands.ts";
import { formatToken } from "../../replicator/core/token.ts";
import type * as evacuation from "./evacuation-schemas.ts";
import type { Gate } from "./gates.ts";
import type { EvacuationAnswer, RegionView } from "./evacuation-view.ts";
import type {
  Consistency,
  Occupancy,
  PresenceView,
  ReplicationLink,
  ReplicationView,
  SessionView,
  SettingView,
} from "./service.ts";
import type * as schemas from "./schemas.ts";
import { switchKey, writeOff } from "./switches.ts";

export const iso = (ms: number): string => new Date(ms).toISOString();

/** A session's state as an object; absent when empty, or when the text of a foreign writer is no JSON object. */
function stateOf(text: string): Record<string, unknown> | undefined {
  if (text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function sessionAnswer(view: SessionView): Static<typeof schemas.Presence>["sessions"][number] {
  const state = stateOf(view.state);
  return {
    session: view.session,
    region: view.region,
    platform: view.platform,
    status: view.status,
    since: iso(view.sinceMs),
    ...(state !== undefined && { state }),
    ...(view.provisional && { provisional: true }),
    freshness: view.freshness,
  };
}

export function presenceAnswer(view: PresenceView): Static<typeof schemas.Presence> {
  return {
    user: view.user,
    status: view.status,
    ...(view.home !== undefined && { home: view.home }),
    epoch: view.epoch,
    version: view.version,
    sessions: view.sessions.map(sessionAnswer),
    ...(view.lastSeenMs !== undefined && { lastSeenAt: iso(view.lastSeenMs) }),
    asOf: view.asOfMs === null ? null : iso(view.asOfMs),
    stalenessMs: view.stalenessMs,
    freshness: view.freshness,
  };
}

export function userSessionsAnswer(
  view: PresenceView,
  consistency: Consistency,
): Static<typeof schemas.UserSessions> {
  return {
    user: view.user,
    sessions: view.sessions.map((s) => ({
      ...sessionAnswer(s),
      ...(s.device !== "" && { device: s.device }),
    })),
    asOf: view.asOfMs === null ? null : iso(view.asOfMs),
    stalenessMs: view.stalenessMs,
    freshness: view.freshness,
    consistency,
  };
}

function linkAnswer({ sinceMs, verifiedMs, ...link }: ReplicationLink): Static<typeof schemas.Link> {
  return {
    ...link,
    since: sinceMs === null ? null : iso(sinceMs),
    lastVerifiedAt: verifiedMs === null ? null : iso(verifiedMs),
  };
}

export function replicationAnswer(view: ReplicationView): Static<typeof schemas.Replication> {
  return { region: view.region, applied: view.applied, links: view.links.map(linkAnswer) };
}

/** Every configured region, also one that nothing is known of. */
export function regionsAnswer(
  { region, regions }: { readonly region: Region; readonly regions: readonly Region[] },
  { byRegion }: Occupancy,
  settings: ReadonlyMap<string, SettingView>,
  evacuations: ReadonlyMap<Region, RegionView>,
): Static<typeof evacuation.Regions> {
  const nothing = { users: null, sessions: null, freshness: "unknown" } as const;
  return {
    region,
    regions: regions.map((name) => {
      const decided = writeOff(settings, name);
      const view = evacuations.get(name) ?? { state: "home", homes: 0, nodes: [] };
      return {
        region: name,
        ...(byRegion[name] ?? nothing),
        homes: view.homes,
        nodes: [...view.nodes],
        evacuation: progressAnswer(view),
        ...successionAnswer(view),
        ...(decided !== undefined && { writtenOff: decisionAnswer(decided) }),
      };
    }),
  };
}

function progressAnswer({
  state,
  usersLeft,
  holds,
  to,
  decision,
  untilMs,
}: RegionView): Static<typeof evacuation.Evacuation>["evacuation"] {
  return {
    state,
    ...(usersLeft !== undefined && { usersLeft }),
    ...(holds !== undefined && { holds: [...holds] }),
    ...(to !== undefined && { to }),
    ...(untilMs !== undefined && { until: iso(untilMs) }),
    ...(decision !== undefined && { decision: decisionAnswer(decision) }),
  };
}

export function evacuationAnswer({
  plan,
  evacuation: view,
  token,
}: EvacuationAnswer): Static<typeof evacuation.Evacuation> {
  return {
    plan: { ...plan, late: [...plan.late], refusals: [...plan.refusals] },
    evacuation: progressAnswer(view),
    ...successionAnswer(view),
    homes: view.homes,
    ...(token !== undefined && { token: formatToken(token) }),
  };
}

function successionAnswer({
  succession,
}: RegionView): Pick<Static<typeof evacuation.Evacuation>, "succession"> {
  if (succession === undefined) return {};
  const { sinceMs, ...rest } = succession;
  return { succession: { ...rest, since: iso(sinceMs) } };
}

function decisionAnswer({ reason, by, atMs }: SettingView): { reason: string; by: string; since: string } {
  return { reason, by, since: iso(atMs) };
}

/** The gates as this node has them; the newest decision about each, also one that has expired or opened it again. */
export function switchesAnswer(
  gates: readonly Gate[],
  settings: ReadonlyMap<string, SettingView>,
): Static<typeof schemas.Switches> {
  return {
    switches: gates.map(({ name, admitted, switchedOff }) => {
      const decided = settings.get(switchKey(name));
      return {
        class: name,
        open: switchedOff === undefined,
        admitted,
        ...(switchedOff?.untilMs !== undefined && { until: iso(switchedOff.untilMs) }),
        ...(decided !== undefined && { decision: decisionAnswer(decided) }),
      };
    }),
  };
}

/** Newest first. */
export function auditAnswer(audit: readonly SettingView[]): Static<typeof schemas.Audit> {
  const entries = audit.toReversed().map((entry) => {
    return { key: entry.key, value: entry.value, ...decisionAnswer(entry) };
  });
  return { entries };
}
