/** Who is online, counted and paged: totals equal a recount, and a walk shows everyone who stays online exactly once. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hash32 } from "../../replicator/core/homing.ts";
import { OnlineIndex } from "../../replicator/core/online.ts";
import { holds } from "./property.ts";
import { REGIONS } from "./samples.ts";

const anyone = (): boolean => true;
const isNumbered = (user: string): boolean => user.startsWith("user");

/** Users of which many share a bucket, so that the order within one matters. */
function users(): string[] {
  const crowd: string[] = [];
  for (let n = 0; crowd.length < 8; n++) if ((hash32(`crowd-${n}`) & 4095) === 7) crowd.push(`crowd-${n}`);
  return [...crowd, ...Array.from({ length: 8 }, (_, n) => `user-${n}`)];
}
const USERS = users();

const places = fc.array(fc.constantFrom(...REGIONS), { maxLength: 4 });
const moves = fc.array(fc.tuple(fc.constantFrom(...USERS), places), { maxLength: 40 });

describe("totals", () => {
  it("equal a recount, per region and overall, after any moves", () => {
    holds(
      fc.property(moves, (given) => {
        const index = new OnlineIndex();
        const where = new Map<string, readonly string[]>();
        for (const [user, regions] of given) {
          const before = where.get(user) ?? [];
          const expected =
            before.length === 0
              ? regions.length === 0
                ? "same"
                : "came"
              : regions.length === 0
                ? "left"
                : "same";
          expect(index.place(index.seat(user), regions, 0)).toBe(expected);
          where.set(user, regions);
        }
        const online = [...where.values()].filter((regions) => regions.length > 0);
        expect(index.totals).toEqual({ users: online.length, sessions: online.flat().length });
        for (const region of REGIONS) {
          const here = online.filter((regions) => regions.includes(region));
          const sessions = here.flat().filter((one) => one === region).length;
          expect(index.byRegion.get(region) ?? { users: 0, sessions: 0 }).toEqual({
            users: here.length,
            sessions,
          });
        }
        for (const [user, regions] of where) expect(index.has(user)).toBe(regions.length > 0);
        for (const region of REGIONS) {
          const listed = Array.from({ length: index.buckets }, (_, bucket) => [
            ...index.usersOf(bucket, region),
          ]).flat();
          const here = [...where].flatMap(([user, regions]) => (regions.includes(region) ? [user] : []));
          expect(listed.toSorted()).toEqual(here.toSorted());
        }
      }),
      100,
    );
  });

  it("the order in which sessions are told does not matter", () => {
    const index = new OnlineIndex();
    index.place(index.seat("ann"), ["us", "cn", "us"], 0);
    expect(index.place(index.seat("ann"), ["us", "us", "cn"], 0)).toBe("same");
    expect(index.totals).toEqual({ users: 1, sessions: 3 });
  });
});

describe("a walk by pages", () => {
  it("shows every user who is online during all of it exactly once, whoever comes and goes meanwhile", () => {
    holds(
      fc.property(
        fc.array(moves, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.subarray(USERS),
        (between, limit, steady) => {
          const index = new OnlineIndex();
          for (const user of steady) index.place(index.seat(user), ["cn"], 0);
          const seen: string[] = [];
          let cursor: string | undefined;
          for (let round = 0; ; round++) {
            const page = index.page(cursor, limit, anyone);
            seen.push(...page);
            if (page.length < limit) break;
            cursor = page.at(-1);
            for (const [user, regions] of between[round] ?? []) {
              if (!steady.includes(user) || regions.length > 0) index.place(index.seat(user), regions, 0);
            }
          }
          expect(new Set(seen).size).toBe(seen.length);
          for (const user of steady) expect(seen).toContain(user);
        },
      ),
      300,
    );
  });

  it("a page has at most its limit, counted after the filter", () => {
    const index = new OnlineIndex();
    for (const user of USERS) index.place(index.seat(user), ["cn"], 0);
    const first = index.page(undefined, 5, isNumbered);
    const second = index.page(first.at(-1), 5, isNumbered);
    expect([first.length, second.length]).toEqual([5, 3]);
    expect([...first, ...second].toSorted()).toEqual(USERS.filter(isNumbered).toSorted());
  });

  it("every replica walks in the same order, whatever came first", () => {
    const [one, other] = [new OnlineIndex(), new OnlineIndex()];
    for (const user of USERS) one.place(one.seat(user), ["cn"], 0);
    for (const user of USERS.toReversed()) other.place(other.seat(user), ["us", "cn"], 0);
    expect(one.page(undefined, 100, anyone)).toEqual(other.page(undefined, 100, anyone));
  });

  it("the cursor of a user who left is still good", () => {
    const index = new OnlineIndex();
    for (const user of USERS) index.place(index.seat(user), ["cn"], 0);
    const all = index.page(undefined, 100, anyone);
    const [, , third = ""] = all;
    index.place(index.seat(third), [], 0);
    expect(index.page(third, 100, anyone)).toEqual(all.slice(3));
  });
});

describe("when a user was last seen", () => {
  it("is known of nobody who never went offline", () => {
    const index = new OnlineIndex();
    index.place(index.seat("ann"), ["cn"], 5);
    expect([index.lastSeenMs("ann"), index.lastSeenMs("nobody")]).toEqual([undefined, undefined]);
    index.place(index.seat("ann"), [], 7);
    expect(index.lastSeenMs("ann")).toBe(7);
  });
});
