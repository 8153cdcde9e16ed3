/** Whom a read asks that this replica cannot satisfy, with what, and which of the answers counts. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Region } from "../../../replicator/core/commands.ts";
import type { StoodFor } from "../../../replicator/core/succession.ts";
import type { Token } from "../../../replicator/core/token.ts";
import type { Heads } from "../../../services/presence/consistency.ts";
import type { Asked, Served } from "../../../services/presence/relay.ts";
import { Reads } from "../../../services/presence/reads.ts";
import type { PresenceView, ReadOptions } from "../../../services/presence/service.ts";
import { Tally } from "../../../services/presence/tally.ts";
import { Waiters } from "../../../services/presence/waiters.ts";
import { OFFLINE, ONLINE } from "./http/fake.ts";

function at(entries: Record<string, [string, number]>): Token {
  return new Map(Object.entries(entries).map(([region, [logId, position]]) => [region, { logId, position }]));
}

const APPLIED = at({ cn: ["a", 10], us: ["b", 5], eu: ["e", 7] });
const AHEAD = at({ cn: ["a", 12], us: ["b", 5], eu: ["e", 7] });

let ms = 0;
let applied = APPLIED;
let homes: Record<string, Region> = {};
let asked: { readonly asked: Asked; readonly regions: readonly Region[] }[] = [];
/** What answers, after how long. */
let answer: { readonly token: Token; readonly afterMs: number; readonly region: Region } | undefined;
let ageMs = 0;
let stoodFor: readonly StoodFor[] = [];
/** What the regions say, all at the end of the read's time where one of them is not heard. */
/** What cannot be told of uma yet. */
let unsure: readonly Region[] = [];
let heads: Heads = { heads: at({}), unheard: [] };
let tally = new Tally();
let waiters = new Waiters(() => applied);

function view(user: string): PresenceView {
  const home = homes[user];
  return home === undefined ? { ...OFFLINE, user } : { ...ONLINE, user, home };
}

function elsewhere(what: Asked, regions: readonly Region[]): Promise<Served | undefined> {
  asked.push({ asked: what, regions });
  return new Promise((resolve) => {
    const { token = APPLIED, afterMs = Infinity, region = "cn" } = answer ?? {};
    const presences = what.users.map((user) => ({ ...view(user), stalenessMs: 100, asOfMs: 0 }));
    const served: Served = {
      answer: { ask: "x", region, token, waitedMs: 0, ageMs: 0, presences },
      transitMs: 40,
    };
    if (afterMs < what.waitMs) setTimeout(() => resolve(served), afterMs);
    else setTimeout(() => resolve(undefined), what.waitMs);
  });
}

function reads(): Reads {
  return new Reads({
    region: "us",
    regions: ["cn", "eu", "us"],
    clock: () => ({ monoMs: ms, wallMs: 1_000_000 + ms }),
    waiters,
    applied: () => applied,
    ageMs: (region) => (region === "us" ? 0 : ageMs),
    stoodFor: () => stoodFor,
    heads: (waitMs) =>
      new Promise((resolve) => {
        setTimeout(() => resolve(heads), heads.unheard.length > 0 ? waitMs : 0);
      }),
    presence: view,
    unsure: (user) => (user === "uma" ? unsure : []),
    unsureOfAny: () => unsure,
    elsewhere,
    tally,
  });
}

async function pass(byMs: number): Promise<void> {
  ms += byMs;
  await vi.advanceTimersByTimeAsync(byMs);
}

async function met(users: readonly string[], options: ReadOptions, ...passes: number[]): Promise<unknown> {
  const reading = reads().read(users, options);
  for (const byMs of passes) await pass(byMs);
  const outcome = await reading;
  return outcome.ok ? outcome.value : outcome.problem;
}

const byToken = (token: Token, waitMs = 1_000): ReadOptions => ({ mode: "token", token, waitMs });
const whom = (): unknown => asked.map(({ regions }) => regions.toSorted());

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  ms = 0;
  applied = APPLIED;
  homes = { ann: "cn", bob: "eu", cleo: "us" };
  asked = [];
  answer = { token: AHEAD, afterMs: 200, region: "cn" };
  ageMs = 0;
  stoodFor = [];
  heads = { heads: at({ cn: ["a", 12], us: ["b", 5] }), unheard: ["eu"] };
  tally = new Tally();
  waiters = new Waiters(() => applied);
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a user of whom this replica cannot tell yet", () => {
  beforeEach(() => {
    unsure = ["eu"];
    homes = { ...homes, uma: "cn" };
  });
  afterEach(() => {
    unsure = [];
  });

  it("is asked about at the home and at the regions whose logs will tell, and their answer is given", async () => {
    answer = { token: AHEAD, afterMs: 200, region: "eu" };
    const value = await met(["ann", "uma"], byToken(APPLIED), 200);
    expect(whom()).toEqual([["cn", "eu"]]);
    expect(value).toMatchObject({ consistency: { satisfied: true, servedBy: "eu" } });
  });

  it("leaves other reads as they are, but those of all users", async () => {
    expect(await met(["ann"], byToken(APPLIED))).toMatchObject({ consistency: { satisfied: true } });
    const listed = await reads().consistency(byToken(APPLIED, 0));
    expect(listed).toMatchObject({ ok: true, value: { satisfied: false, unheard: ["eu"] } });
  });

  it("is told to no other region's node", async () => {
    const options = byToken(APPLIED, 0);
    expect(await reads().meet(options, ["ann"])).toMatchObject({ value: { satisfied: true } });
    expect(await reads().meet(options, ["ann", "uma"])).toMatchObject({ value: { satisfied: false } });
  });
});

describe("asked are", () => {
  it("the home that is shown, and the region of whose log more is wanted", async () => {
    await met(["bob"], byToken(at({ cn: ["a", 12] })), 200);
    expect(whom()).toEqual([["cn", "eu"]]);
  });

  it("the homes of all users of a list, but not this region", async () => {
    await met(["ann", "cleo", "bob", "nobody"], byToken(at({ cn: ["a", 12] })), 200);
    expect(whom()).toEqual([["cn", "eu"]]);
  });

  it("the regions of whose logs more is wanted alone, where no home is shown", async () => {
    await met(["nobody"], byToken(at({ cn: ["a", 12], us: ["b", 4] })), 200);
    expect(whom()).toEqual([["cn"]]);
  });

  it("the stale regions for a bound", async () => {
    ageMs = 900;
    await met(["nobody"], { mode: "bounded", maxStalenessMs: 500, waitMs: 1_000 }, 200);
    expect(whom()).toEqual([["cn", "eu"]]);
    expect(asked[0]?.asked).toMatchObject({ mode: "bounded", maxStalenessMs: 500, waitMs: 1_000 });
  });

  it("all for the latest, where one of them has not said by half of the time how far its log goes", async () => {
    const value = await met(["nobody"], { mode: "latest", waitMs: 1_000 }, 500, 200);
    expect(whom()).toEqual([["cn", "eu"]]);
    expect(asked[0]?.asked).toMatchObject({ mode: "latest", waitMs: 500 });
    expect(value).toMatchObject({ consistency: { mode: "latest", satisfied: true, waitedMs: 700 } });
  });

  it("none when all is here, and none when there is no time", async () => {
    await met(["ann"], byToken(APPLIED));
    await met(["ann"], byToken(AHEAD, 0));
    await met(["ann"], { mode: "any" });
    expect(asked).toEqual([]);
    expect(tally.reads).toEqual({ atOnce: 2, waited: 0, home: 0, unsatisfied: 1 });
  });
});

it("a replica follows the heirs once every fold has gone over", () => {
  expect(reads().followsHeirs()).toBe(true);
  const eu: StoodFor = { region: "eu", heir: "cn", stands: true, isFollowed: true, isAstray: false };
  stoodFor = [eu, { ...eu, region: "us", isFollowed: false, isAstray: false }];
  expect(reads().followsHeirs()).toBe(false);
  stoodFor = [eu, { ...eu, region: "us", stands: false }];
  expect(reads().followsHeirs()).toBe(true);
});

describe("asked for is", () => {
  it("all that is applied here and all that the token wants", async () => {
    await met(["ann"], byToken(at({ cn: ["a", 12], eu: ["e", 3] })), 200);
    expect(asked[0]?.asked.token).toEqual(at({ cn: ["a", 12], us: ["b", 5], eu: ["e", 7] }));
  });

  it("the log that the token names, where this replica follows another one", async () => {
    answer = { token: at({ cn: ["new", 3] }), afterMs: 200, region: "cn" };
    const value = await met(["ann"], byToken(at({ cn: ["new", 2] })), 200);
    expect(asked[0]?.asked.token.get("cn")).toEqual({ logId: "new", position: 2 });
    expect(value).toMatchObject({
      consistency: { satisfied: true, servedBy: "home:cn", applied: { cn: 3 } },
    });
  });
});

describe("the answer is", () => {
  it("another region's, as old as it is by now, with that region's positions", async () => {
    const value = await met(["ann"], byToken(AHEAD), 200);
    expect(value).toMatchObject({
      presences: [{ user: "ann", stalenessMs: 140, asOfMs: 1_000_060 }],
      consistency: { satisfied: true, waitedMs: 200, servedBy: "home:cn", applied: { cn: 12 } },
      applied: AHEAD,
    });
    expect(tally.reads).toMatchObject({ home: 1 });
  });

  it("this replica's where that has it first", async () => {
    const reading = reads().read(["ann"], byToken(AHEAD));
    await pass(150);
    applied = AHEAD;
    waiters.advanced();
    const outcome = await reading;
    expect(outcome).toMatchObject({ value: { consistency: { servedBy: "us", waitedMs: 150 } } });
    expect(tally.reads).toMatchObject({ waited: 1, home: 0 });
  });

  it("unsatisfied and this replica's where nobody had it in time", async () => {
    answer = undefined;
    expect(await met(["ann"], byToken(AHEAD), 1_000)).toMatchObject({
      consistency: { satisfied: false, servedBy: "us", waitedMs: 1_000, missing: { cn: 2 } },
      applied: APPLIED,
    });
    expect(tally.reads).toMatchObject({ unsatisfied: 1 });
  });

  it("another region's as the latest, but not where a log was begun again and is empty still", async () => {
    heads = { heads: at({ cn: ["a", 12], us: ["b", 5], eu: ["e", 7] }), unheard: [] };
    const latest = { mode: "latest", waitMs: 1_000 } as const;
    expect(await met(["nobody"], latest, 0, 200)).toMatchObject({
      consistency: { mode: "latest", satisfied: true, servedBy: "cn" },
    });
    heads = { heads: at({ cn: ["a", 12], us: ["b2", 1], eu: ["e2", 0] }), unheard: [] };
    expect(await met(["nobody"], latest, 0, 200, 800)).toMatchObject({
      consistency: { satisfied: false, servedBy: "us", missing: { cn: 2 }, unheard: ["us", "eu"] },
    });
  });

  it("a refusal of a replaced log's token, after the time in which another might have had it", async () => {
    answer = undefined;
    const problem = { name: "token-log-replaced", members: { region: "cn" } };
    expect(await met(["ann"], byToken(at({ cn: ["old", 2] })), 1_000)).toMatchObject(problem);
    expect(await met(["ann"], byToken(at({ cn: ["old", 2] }), 0))).toMatchObject(problem);
  });
});
