/** Whether a node is abreast of its region's log: questions are shared, and nobody is answered by one sent before they asked. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { LogPosition, Token } from "../../../replicator/core/token.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import { Abreast, GATHER_MS, logEndAt } from "../../../services/presence/abreast.ts";
import type { Outcome } from "../../../services/presence/service.ts";
import { Waiters } from "../../../services/presence/waiters.ts";

type Answer = LogPosition | string;
const OK = { ok: true, value: undefined };

let at: LogPosition;
let waiters: Waiters;
let abreast: Abreast;
/** Questions that wait for the server, oldest first, and how many were sent in all. */
let asked: ((answer: Answer) => void)[];
let sent: number;

function notReady(detail: RegExp): object {
  return {
    ok: false,
    problem: expect.objectContaining({ name: "not-ready", detail: expect.stringMatching(detail) }),
  };
}

function applied(): Token {
  return new Map([["cn", at]]);
}

function fold(position: number, logId = at.logId): void {
  at = { logId, position };
  waiters.advanced();
}

async function answer(end: Answer): Promise<void> {
  asked.shift()?.(end);
  await turn();
}

/** Lets all go on that can, and the next question be sent. */
function turn(): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(GATHER_MS);
}

/** Where each stands of those that asked. */
function watch(...asking: Promise<Outcome<undefined>>[]): (Outcome<undefined> | "waits")[] {
  const seen: (Outcome<undefined> | "waits")[] = asking.map(() => "waits");
  asking.forEach((one, i) => void one.then((outcome) => (seen[i] = outcome)));
  return seen;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  at = { logId: "a", position: 10 };
  asked = [];
  sent = 0;
  waiters = new Waiters(applied);
  const logEnd = (): Promise<Answer> => {
    sent += 1;
    return new Promise((resolve) => asked.push(resolve));
  };
  abreast = new Abreast({ region: "cn", waiters, applied, logEnd });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("one question", () => {
  it("is answered at once where all that the log holds is folded", async () => {
    const seen = watch(abreast.reached());
    await turn();
    expect(seen).toEqual(["waits"]);
    await answer({ logId: "a", position: 10 });
    expect(seen).toEqual([OK]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for the frame that the log held, and for no later one", async () => {
    const seen = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 12 });
    fold(11);
    await turn();
    expect(seen).toEqual(["waits"]);
    fold(12);
    await turn();
    expect(seen).toEqual([OK]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends in time where nothing is folded, and says how far it came", async () => {
    const seen = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 12 });
    await vi.advanceTimersByTimeAsync(LIMITS.appendTimeoutMs);
    expect(seen).toEqual([notReady(/in time|up to 10 of 12/)]);
  });

  it("ends in time where the server is silent; whoever asks then is not left to wait for longer", async () => {
    const first = watch(abreast.reached());
    await vi.advanceTimersByTimeAsync(LIMITS.appendTimeoutMs);
    expect(first).toEqual([notReady(/in time/)]);
    const second = watch(abreast.reached());
    await vi.advanceTimersByTimeAsync(LIMITS.appendTimeoutMs);
    expect([...second, sent]).toEqual([notReady(/in time/), 1]);
  });

  it.each([
    ["the server cannot be asked", "not connected", /not connected/],
    ["the log is another one", { logId: "b", position: 3 }, /another one/],
    ["the log is another one, and empty", { logId: "b", position: 0 }, /another one/],
    ["the log lost its end", { logId: "a", position: 9 }, /ends at 9, and had 10/],
  ] as const)("is not answered with ok where %s", async (_, end, detail) => {
    const seen = watch(abreast.reached());
    await turn();
    await answer(end);
    expect(seen).toEqual([notReady(detail)]);
  });

  it("is of a log that goes on while it is asked about", async () => {
    const seen = watch(abreast.reached());
    await turn();
    fold(15);
    await answer({ logId: "a", position: 12 });
    expect(seen).toEqual([OK]);
  });

  it("of a log of which nothing was ever folded needs its frames, if there are any", async () => {
    fold(0, "");
    const seen = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 0 });
    expect(seen).toEqual([OK]);
    const later = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 1 });
    expect(later).toEqual(["waits"]);
    fold(1, "a");
    await turn();
    expect(later).toEqual([OK]);
  });
});

describe("many questions", () => {
  it("that come together are sent as one", async () => {
    const seen = watch(...Array.from({ length: 1_000 }, () => abreast.reached()));
    await turn();
    await answer({ logId: "a", position: 10 });
    expect(seen).toEqual(seen.map(() => OK));
    expect(sent).toBe(1);
  });

  it("are not answered by one sent before they came: all of those wait for a second", async () => {
    const first = watch(abreast.reached());
    await turn();
    const later = watch(...Array.from({ length: 1_000 }, () => abreast.reached()));
    await turn();
    expect(sent).toBe(1);
    await answer({ logId: "a", position: 10 });
    expect(first).toEqual([OK]);
    expect(new Set(later)).toEqual(new Set(["waits"]));
    expect(sent).toBe(2);
    await answer({ logId: "a", position: 11 });
    expect(new Set(later)).toEqual(new Set(["waits"]));
    fold(11);
    await turn();
    expect(later).toEqual(later.map(() => OK));
    expect(sent).toBe(2);
  });

  it("that come while frames are awaited ask again: the log may hold more by now", async () => {
    const first = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 11 });
    const later = watch(abreast.reached());
    fold(11);
    await turn();
    expect([...first, ...later, sent]).toEqual([OK, "waits", 2]);
    await answer({ logId: "a", position: 12 });
    fold(12);
    await turn();
    expect(later).toEqual([OK]);
  });

  it("are refused beyond the bound, and taken again when the others are answered", async () => {
    const seen = watch(...Array.from({ length: LIMITS.waitersMax }, () => abreast.reached()));
    expect(await abreast.reached()).toMatchObject({ ok: false, problem: { name: "overloaded" } });
    await turn();
    await answer({ logId: "a", position: 10 });
    expect(seen).toEqual(seen.map(() => OK));
    const next = watch(abreast.reached());
    await turn();
    await answer({ logId: "a", position: 10 });
    expect(next).toEqual([OK]);
  });
});

describe("the end of a region's log", () => {
  it("is what its server says, also of a log made anew", async () => {
    const server = new MemoryServer();
    const store = new MemoryLogStore(server);
    const end = logEndAt(store, "cn");
    expect(await end()).toMatch(/does not exist/);
    const opened = await store.openLog("cn", { create: true });
    if (!opened.ok) throw new Error(opened.detail);
    const { log } = opened;
    await log.append(new Uint8Array([1]), "m");
    expect(await end()).toEqual({ logId: log.logId, position: 1 });
    const renewed = await store.renewLog("cn", log.logId);
    if (!renewed.ok) throw new Error(renewed.detail);
    expect(await end()).toMatch(/begun again/);
    expect(await end()).toEqual({ logId: renewed.log.logId, position: 0 });
    server.stop();
    expect(await end()).toMatch(/stopped/);
    server.start();
    expect(await end()).toMatch(/what the log of cn may have lost/);
    await store.close();
  });
});
