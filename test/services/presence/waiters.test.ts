/** Waiting for a token: satisfied only when all of it is applied, bounded in time and in number. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { Waiters } from "../../../services/presence/waiters.ts";

function at(entries: Record<string, [string, number]>): Token {
  return new Map(Object.entries(entries).map(([region, [logId, position]]) => [region, { logId, position }]));
}

let applied = at({});
let ms = 0;
let waiters = new Waiters(() => applied);

async function pass(byMs: number): Promise<void> {
  ms += byMs;
  await vi.advanceTimersByTimeAsync(byMs);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  applied = at({ cn: ["a", 10], us: ["b", 5] });
  ms = 0;
  waiters = new Waiters(() => applied);
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a wait", () => {
  it("for what is applied ends at once", async () => {
    expect(await waiters.wait(at({ cn: ["a", 10], us: ["b", 1] }), 1_000)).toEqual({ kind: "satisfied" });
    expect(waiters.size).toBe(0);
  });

  it("of 0 ms tells at once what is missing", async () => {
    const missing = new Map([["us", 2]]);
    expect(await waiters.wait(at({ us: ["b", 7] }), 0)).toEqual({ kind: "missing", missing });
  });

  it("ends with the frame that completes the token, and not before", async () => {
    const settled = vi.fn<(check: unknown) => void>();
    void waiters.wait(at({ cn: ["a", 11], us: ["b", 6] }), 1_000).then(settled);
    applied = at({ cn: ["a", 11], us: ["b", 5] });
    waiters.advanced();
    await pass(0);
    expect(settled).not.toHaveBeenCalled();
    applied = at({ cn: ["a", 11], us: ["b", 6] });
    waiters.advanced();
    await pass(0);
    expect(settled).toHaveBeenCalledWith({ kind: "satisfied" });
    expect([waiters.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it("ends when its time is over, saying exactly what is missing then", async () => {
    const waiting = waiters.wait(at({ cn: ["a", 12], us: ["b", 9] }), 500);
    applied = at({ cn: ["a", 12], us: ["b", 7] });
    await pass(500);
    expect(await waiting).toEqual({ kind: "missing", missing: new Map([["us", 2]]) });
    expect(waiters.size).toBe(0);
  });

  it("ends when the log turns out to have been replaced", async () => {
    const waiting = waiters.wait(at({ us: ["b", 9] }), 500);
    applied = at({ us: ["c", 1] });
    waiters.advanced();
    expect(await waiting).toEqual({ kind: "replaced", region: "us" });
  });

  it("too many at once are refused, those that need no wait are not", async () => {
    const waiting = Array.from({ length: LIMITS.waitersMax }, () =>
      waiters.wait(at({ us: ["b", 6] }), 1_000),
    );
    expect(await waiters.wait(at({ us: ["b", 6] }), 1_000)).toBe("overloaded");
    expect(await waiters.wait(at({ us: ["b", 5] }), 1_000)).toEqual({ kind: "satisfied" });
    expect(await waiters.wait(at({ us: ["b", 6] }), 0)).toMatchObject({ kind: "missing" });
    applied = at({ us: ["b", 6] });
    waiters.advanced();
    expect(new Set((await Promise.all(waiting)).map((one) => one !== "overloaded" && one.kind))).toEqual(
      new Set(["satisfied"]),
    );
    expect(waiters.size).toBe(0);
  });
});
