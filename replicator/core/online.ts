/**
 * Who is online on this replica, counted as changes come: totals in O(regions), and a walk over all users whose cursor stays
 * good while users come and go. Rule: a user online during a whole walk appears in it exactly once.
 */
import type { Region, UserId } from "./commands.ts";
import { hash32 } from "./homing.ts";
import { Table } from "./table.ts";

/** Sessions of one user per region; shared between all users with the same counts. */
interface Placement {
  readonly sessions: number;
  readonly byRegion: ReadonlyMap<Region, number>;
  /** The regions' totals, with how many sessions of the user count in each. */
  readonly counts: readonly { readonly totals: Totals; readonly sessions: number }[];
}

/** One user's place in the index. */
export interface Seat {
  readonly user: UserId;
  /** Absent while offline. */
  placement: Placement | undefined;
  /** When the user last went offline; 0 before the first time. */
  lastSeenMs: number;
}

export interface Totals {
  users: number;
  sessions: number;
}

/** Buckets make a page O(page + bucket): 4,096 of them hold 2,400 users each at 10 million. */
const BUCKETS = 4096;
const NOBODY: readonly Seat[] = [];
/** Copied, as a list of so many is made faster so than place by place. */
const NO_BUCKETS: readonly (Seat[] | undefined)[] = Array.from({ length: BUCKETS });

export class OnlineIndex {
  /** Everybody who was ever online here. */
  readonly #seats = new Table<Seat>((seat) => seat.user);
  /** The same by hash, in no order; a bucket is made for its first user. */
  readonly #buckets = NO_BUCKETS.slice();
  readonly #placements = new Map<string, Placement>();
  readonly totals: Totals = { users: 0, sessions: 0 };
  readonly byRegion = new Map<Region, Totals>();

  get buckets(): number {
    return BUCKETS;
  }

  /** Users of one bucket with a session in `region`. */
  *usersOf(bucket: number, region: Region): Generator<UserId> {
    for (const { user, placement } of this.#buckets[bucket]?.slice() ?? NOBODY)
      if (placement?.byRegion.has(region) === true) yield user;
  }

  has(user: UserId): boolean {
    return this.#seats.get(user)?.placement !== undefined;
  }

  /** When the user last went offline; `undefined` for one who never did. */
  lastSeenMs(user: UserId): number | undefined {
    const lastSeenMs = this.#seats.get(user)?.lastSeenMs ?? 0;
    return lastSeenMs === 0 ? undefined : lastSeenMs;
  }

  /** The user's seat, made if need be; it stays the same for good. */
  seat(user: UserId): Seat {
    const held = this.#seats.get(user);
    if (held !== undefined) return held;
    const seat: Seat = { user, placement: undefined, lastSeenMs: 0 };
    this.#seats.set(user, seat);
    const index = bucketOf(user);
    const bucket = this.#buckets[index];
    if (bucket === undefined) this.#buckets[index] = [seat];
    else bucket.push(seat);
    return seat;
  }

  /** States where the user's sessions are from `atMs` on; none is offline. Returns whether the user came online or went offline. */
  place(seat: Seat, regions: readonly Region[], atMs: number): "came" | "left" | "same" {
    const before = seat.placement;
    const after = regions.length === 0 ? undefined : this.#placement(regions);
    if (before === after) return "same";
    if (before !== undefined) this.#count(before, -1);
    if (after !== undefined) this.#count(after, 1);
    seat.placement = after;
    if (before === undefined) return "came";
    if (after !== undefined) return "same";
    seat.lastSeenMs = atMs;
    return "left";
  }

  /**
   * Users after `cursor` (the last user of the page before; any user id is a valid cursor) in an order of its own, at most `limit`,
   * those alone that `accept` takes. Every replica walks in the same order.
   */
  page(cursor: UserId | undefined, limit: number, accept: (user: UserId) => boolean): UserId[] {
    const users: UserId[] = [];
    const start = cursor === undefined ? 0 : bucketOf(cursor);
    for (let index = start; index < BUCKETS && users.length < limit; index++) {
      const bucket = this.#buckets[index];
      if (bucket === undefined) continue;
      const online = bucket.filter(({ placement }) => placement !== undefined);
      for (const user of online.map((seat) => seat.user).toSorted()) {
        if (cursor !== undefined && index === start && user <= cursor) continue;
        if (!accept(user)) continue;
        users.push(user);
        if (users.length === limit) break;
      }
    }
    return users;
  }

  #placement(regions: readonly Region[]): Placement {
    const [only = ""] = regions;
    const key = regions.length === 1 ? only : regions.toSorted().join(",");
    let placement = this.#placements.get(key);
    if (placement === undefined) {
      const byRegion = new Map<Region, number>();
      for (const region of regions) byRegion.set(region, (byRegion.get(region) ?? 0) + 1);
      const counts = [...byRegion].map(([region, sessions]) => ({
        totals: this.#totalsOf(region),
        sessions,
      }));
      placement = { sessions: regions.length, byRegion, counts };
      this.#placements.set(key, placement);
    }
    return placement;
  }

  #totalsOf(region: Region): Totals {
    const totals = this.byRegion.get(region) ?? { users: 0, sessions: 0 };
    this.byRegion.set(region, totals);
    return totals;
  }

  #count(placement: Placement, sign: 1 | -1): void {
    this.totals.users += sign;
    this.totals.sessions += sign * placement.sessions;
    for (const { totals, sessions } of placement.counts) {
      totals.users += sign;
      totals.sessions += sign * sessions;
    }
  }
}

function bucketOf(user: UserId): number {
  return hash32(user) & (BUCKETS - 1);
}
