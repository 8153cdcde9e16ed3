/**
 * Who is online on this replica, counted as changes come: totals in O(regions), and a walk over all users whose cursor stays
 * good while users come and go. Rule: a user online during a whole walk appears in it exactly once.
 */
import { defined } from "./assert.ts";
import type { Region, UserId } from "./commands.ts";
import { hash32 } from "./homing.ts";

/** Sessions of one user per region; shared between all users with the same counts. */
interface Placement {
  readonly sessions: number;
  readonly byRegion: ReadonlyMap<Region, number>;
}

export interface Totals {
  users: number;
  sessions: number;
}

/** Buckets make a page O(page + bucket): 4,096 of them hold 2,400 users each at 10 million. */
const BUCKETS = 4096;

export class OnlineIndex {
  readonly #buckets: Map<UserId, Placement>[] = Array.from({ length: BUCKETS }, () => new Map());
  readonly #placements = new Map<string, Placement>();
  readonly totals: Totals = { users: 0, sessions: 0 };
  readonly byRegion = new Map<Region, Totals>();

  get buckets(): number {
    return BUCKETS;
  }

  /** Users of one bucket with a session in `region`. */
  *usersOf(bucket: number, region: Region): Generator<UserId> {
    for (const [user, placement] of this.#buckets[bucket] ?? [])
      if (placement.byRegion.has(region)) yield user;
  }

  has(user: UserId): boolean {
    return this.#bucket(user).has(user);
  }

  /** States where the user's sessions are now; none is offline. Returns whether the user came online or went offline. */
  place(user: UserId, regions: readonly Region[]): "came" | "left" | "same" {
    const bucket = this.#bucket(user);
    const before = bucket.get(user);
    const after = regions.length === 0 ? undefined : this.#placement(regions);
    if (before === after) return "same";
    if (before !== undefined) this.#count(before, -1);
    if (after === undefined) bucket.delete(user);
    else {
      this.#count(after, 1);
      bucket.set(user, after);
    }
    if (before === undefined) return "came";
    return after === undefined ? "left" : "same";
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
      if (bucket === undefined || bucket.size === 0) continue;
      for (const user of [...bucket.keys()].toSorted()) {
        if (cursor !== undefined && index === start && user <= cursor) continue;
        if (!accept(user)) continue;
        users.push(user);
        if (users.length === limit) break;
      }
    }
    return users;
  }

  #bucket(user: UserId): Map<UserId, Placement> {
    return defined(this.#buckets[bucketOf(user)], "every user has a bucket");
  }

  #placement(regions: readonly Region[]): Placement {
    const key = regions.toSorted().join(",");
    let placement = this.#placements.get(key);
    if (placement === undefined) {
      const byRegion = new Map<Region, number>();
      for (const region of regions) byRegion.set(region, (byRegion.get(region) ?? 0) + 1);
      placement = { sessions: regions.length, byRegion };
      this.#placements.set(key, placement);
    }
    return placement;
  }

  #count(placement: Placement, sign: 1 | -1): void {
    this.totals.users += sign;
    this.totals.sessions += sign * placement.sessions;
    for (const [region, sessions] of placement.byRegion) {
      const totals = this.byRegion.get(region) ?? { users: 0, sessions: 0 };
      this.byRegion.set(region, totals);
      totals.users += sign;
      totals.sessions += sign * sessions;
    }
  }
}

function bucketOf(user: UserId): number {
  return hash32(user) & (BUCKETS - 1);
}
