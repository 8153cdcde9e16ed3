/** Answers about many users at once: who is online, page by page, and how many. Counting is O(regions), a page O(page). */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { OnlineIndex } from "../../replicator/core/online.ts";
import { freshnessOf } from "./describe.ts";
import type { RegionTimes } from "./describe.ts";
import type { Occupancy, OnlinePage, PresenceView } from "./service.ts";

export interface OnlineFilter {
  readonly region?: Region;
  readonly home?: Region;
  readonly limit: number;
  readonly cursor?: string;
}

/** The cursor is the last user of the page before, so it needs no memory here and is good on every replica. */
export function onlinePage(
  index: OnlineIndex,
  filter: OnlineFilter,
  describe: (user: UserId) => PresenceView,
): OnlinePage | { invalidCursor: true } {
  const after = filter.cursor === undefined ? undefined : decodeCursor(filter.cursor);
  if (filter.cursor !== undefined && after === undefined) return { invalidCursor: true };
  const users: PresenceView[] = [];
  index.page(after, filter.limit, (user) => {
    const view = describe(user);
    const wanted =
      (filter.home === undefined || view.home === filter.home) &&
      (filter.region === undefined || view.sessions.some((one) => one.region === filter.region));
    if (wanted) users.push(view);
    return wanted;
  });
  const last = users.length === filter.limit ? users.at(-1)?.user : undefined;
  return last === undefined ? { users } : { users, cursor: encodeCursor(last) };
}

export function occupancyOf(index: OnlineIndex, times: RegionTimes): Occupancy {
  const regions = times.regions.map((region) => {
    const { users, sessions } = index.byRegion.get(region) ?? { users: 0, sessions: 0 };
    return [region, { users, sessions, freshness: freshnessOf(times.ageMs(region)) }] as const;
  });
  return { ...index.totals, byRegion: Object.fromEntries(regions) };
}

function encodeCursor(user: UserId): string {
  return Buffer.from(user).toString("base64url");
}

function decodeCursor(cursor: string): UserId | undefined {
  const user = Buffer.from(cursor, "base64url").toString();
  return /^[A-Za-z0-9._:@-]{1,64}$/.test(user) && encodeCursor(user) === cursor ? user : undefined;
}
