/**
 * From the core's view to what a reader is told: one status out of many sessions, and how sure we are.
 * Rule: freshness is that of the least fresh region the answer rests on; a region we have lost is `unknown`, its users are never
 * declared offline by our guess.
 *
 *   preferred  | sessions               | status
 *   -----------+------------------------+-------------------------------------------------------------------------
 *   invisible  | any                    | as with none, and no sessions are told
 *   any        | none                   | offline; unknown if the user was ever seen online and the home is unknown, or if this replica
 *              |                        | knows a session of which it cannot tell whether it is over
 *   any        | all in unknown regions | unknown
 *   away, busy | some                   | as preferred
 *   automatic  | some                   | online before busy before away
 */
import type { PreferredStatus, Region, Session } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { View } from "../../replicator/core/view.ts";
import type { Freshness, PresenceStatus, PresenceView, SessionView } from "./service.ts";
import { unsureSessions } from "./unsure.ts";

/** What is known of the regions at the moment of the answer. */
export interface RegionTimes {
  readonly wallMs: number;
  readonly regions: readonly Region[];
  /** Age of the region's newest watermark, infinite before the first; of this region 0, as long as its own log is all that counts of it. */
  ageMs(region: Region): number;
}

export function freshnessOf(ageMs: number): Freshness {
  if (ageMs <= LIMITS.staleAfterMs) return "live";
  return ageMs <= LIMITS.unknownAfterMs ? "stale" : "unknown";
}

/** `unlogged` are live sessions of this region that no log has yet. */
export function describePresence(
  user: string,
  view: View | undefined,
  unlogged: readonly Session[],
  lastSeenMs: number | undefined,
  times: RegionTimes,
): PresenceView {
  const shown = view?.preferred === "invisible" ? [] : sessionViews(view, unlogged, times);
  // That a user has no session rests on every region: any may have one that is not known here.
  const restsOn =
    view === undefined || shown.length === 0 ? times.regions : [view.home, ...shown.map((one) => one.region)];
  const stalenessMs = Math.max(0, ...restsOn.map((region) => times.ageMs(region)));
  const freshness = freshnessOf(stalenessMs);
  // Who was never seen to be online must read as one of whom no log has heard: that there is a home would tell the invisible.
  const wasSeen = view !== undefined && lastSeenMs !== undefined;
  const homeUnknown = wasSeen && freshnessOf(times.ageMs(view.home)) === "unknown";
  const status = statusOf(
    view?.preferred ?? "automatic",
    shown,
    homeUnknown || unsureSessions(view).length > 0,
  );
  return {
    user,
    status,
    ...recordOf(shown.length === 0 ? undefined : view),
    sessions: shown,
    ...(status === "offline" && lastSeenMs !== undefined ? { lastSeenMs } : {}),
    asOfMs: Number.isFinite(stalenessMs) ? Math.round(times.wallMs - stalenessMs) : null,
    stalenessMs: Number.isFinite(stalenessMs) ? Math.round(stalenessMs) : null,
    freshness,
  };
}

/** Of who shows no session nothing is told of the record: it would tell the invisible, who change it, from the offline, who do not. */
function recordOf(view: View | undefined): Pick<PresenceView, "home" | "epoch" | "version"> {
  if (view === undefined) return { epoch: { generation: 0, count: 0 }, version: 0 };
  const { home, epoch, version } = view;
  return { home, epoch, version };
}

function sessionViews(
  view: View | undefined,
  unlogged: readonly Session[],
  times: RegionTimes,
): SessionView[] {
  const shown: SessionView[] = [];
  for (const { session, provisional } of view?.sessions ?? [])
    shown.push(describe(session, provisional, times));
  for (const session of unlogged) {
    if (!shown.some((one) => one.session === session.session)) shown.push(describe(session, true, times));
  }
  return shown;
}

function describe(session: Session, provisional: boolean, times: RegionTimes): SessionView {
  return { ...session, provisional, freshness: freshnessOf(times.ageMs(session.region)) };
}

function statusOf(
  preferred: PreferredStatus,
  sessions: readonly SessionView[],
  isUnknown: boolean,
): PresenceStatus {
  if (sessions.length === 0) return isUnknown ? "unknown" : "offline";
  if (sessions.every((one) => one.freshness === "unknown")) return "unknown";
  if (preferred === "away" || preferred === "busy") return preferred;
  const statuses = sessions.map((one) => one.status);
  return statuses.find((one) => one === "online") ?? statuses.find((one) => one === "busy") ?? "away";
}
