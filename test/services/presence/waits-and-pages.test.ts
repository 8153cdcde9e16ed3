/** The presence service's reads of logs and of everybody: a token is waited for, pages show each user online once. */
import { describe, expect, it } from "vitest";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { logOf, open } from "../../core/samples.ts";

describe("reads", () => {
  it("with a token wait until it is applied", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const token = new Map([["us", { logId: logOf("us"), position: 1 }]]);
    const reading = bench.presence.consistency({ mode: "token", token, waitMs: 60_000 });
    bench.peer("us", open("ann", "x", "us"));
    expect(valueOf(await reading)).toMatchObject({ satisfied: true, applied: { us: 1 } });
    expect(bench.status("ann")).not.toBe("offline");
  });

  it("by pages show everybody online once; a cursor that none gave is refused", async () => {
    const bench = new Bench().caughtUp();
    for (let n = 0; n < 25; n++) await bench.open(`user-${n}`);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = bench.presence.online({ limit: 10, ...(cursor === undefined ? {} : { cursor }) });
      if ("invalidCursor" in page) throw new Error("the cursor is the service's own");
      seen.push(...page.users.map(({ user }) => user));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(Array.from({ length: 25 }, (_, n) => `user-${n}`).toSorted());
    for (const bad of ["", "!!", "YQ==", "AAAA", "YW5u\n"])
      expect(bench.presence.online({ limit: 10, cursor: bad })).toEqual({ invalidCursor: true });
    expect(bench.presence.occupancy()).toMatchObject({
      users: 25,
      sessions: 25,
      byRegion: { cn: { users: 25 }, us: { users: 0, freshness: "unknown" } },
    });
  });
});
