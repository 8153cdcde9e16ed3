/** How reads are met, mode by mode: satisfied only by what is here, and else with what is missing and who could not be asked. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { StoodFor } from "../../../replicator/core/succession.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { ConsistencyCheck } from "../../../services/presence/consistency.ts";
import type { Heads, Lack } from "../../../services/presence/consistency.ts";
import type { ReadOptions } from "../../../services/presence/service.ts";
import { Waiters } from "../../../services/presence/waiters.ts";

function at(entries: Record<string, [string, number]>): Token {
  return new Map(Object.entries(entries).map(([region, [logId, position]]) => [region, { logId, position }]));
}

const ofUs = (position: number, logId = "b"): Token => at({ us: [logId, position] });

let applied = at({});
let ages: Record<string, number> = {};
let ms = 0;
let waiters = new Waiters(() => applied);
/** What the regions say, and after how long. */
let heads: { readonly said: Heads; readonly afterMs: number } = {
  said: { heads: at({}), unheard: [] },
  afterMs: 0,
};

/** What of the read the replica cannot tell yet. */
let unsure: readonly string[] = [];

const US = { region: "us", heir: "cn" };
/** Of which an heir says how they went on. */
let stoodFor: readonly StoodFor[] = [];

const check = (): ConsistencyCheck =>
  new ConsistencyCheck({
    region: "cn",
    regions: ["cn", "us"],
    clock: () => ({ monoMs: ms, wallMs: ms }),
    waiters,
    applied: () => applied,
    ageMs: (region) => ages[region] ?? 0,
    stoodFor: () => stoodFor,
    heads: (waitMs) =>
      new Promise((resolve) => {
        setTimeout(() => resolve(heads.said), Math.min(waitMs, heads.afterMs));
      }),
  });

async function pass(byMs: number): Promise<void> {
  ms += byMs;
  await vi.advanceTimersByTimeAsync(byMs);
}

/** Past the answer of the regions, and then the rest of a wait of 150 ms. */
async function inVain(): Promise<void> {
  await pass(100);
  await pass(50);
}

async function met(
  options: ReadOptions,
  during: () => Promise<void> = () => Promise.resolve(),
): Promise<unknown> {
  const answer = check().meet(options, () => unsure);
  await during();
  const outcome = await answer;
  return outcome.ok ? outcome.value : outcome.problem;
}

/** What the latest asks of whom, when the heads are known; nothing where nobody is asked. */
async function sought(said: Heads, token?: Token): Promise<unknown> {
  heads = { said, afterMs: 10 };
  const lacks = vi.fn<(lack: Lack) => void>();
  const also = token === undefined ? {} : { token };
  const answer = check().meet({ mode: "latest", ...also, waitMs: 30 }, () => unsure, lacks);
  await pass(10);
  const [first] = lacks.mock.calls;
  await pass(20);
  await answer;
  return first?.[0];
}

const soughtBy = (token: Token): unknown => ({ mode: "token", token, waitMs: 20 });

beforeEach(() => {
  stoodFor = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  applied = at({ cn: ["a", 10], us: ["b", 5] });
  ages = {};
  ms = 0;
  waiters = new Waiters(() => applied);
  heads = { said: { heads: at({ cn: ["a", 10], us: ["b", 5] }), unheard: [] }, afterMs: 100 };
});
afterEach(() => {
  vi.useRealTimers();
});

describe("any", () => {
  it("is satisfied at once by what is here", async () => {
    const value = { mode: "any", satisfied: true, waitedMs: 0, servedBy: "cn", applied: { cn: 10, us: 5 } };
    expect(await met({ mode: "any" })).toEqual(value);
  });
});

describe("token", () => {
  it("says how long it waited and what is missing", async () => {
    expect(await met({ mode: "token", token: ofUs(8), waitMs: 300 }, () => pass(300))).toMatchObject({
      mode: "token",
      satisfied: false,
      waitedMs: 300,
      missing: { us: 3 },
    });
  });

  it("that is satisfied has nothing missing", async () => {
    const answer = await met({ mode: "token", token: ofUs(5), waitMs: 0 });
    expect(answer).toMatchObject({ satisfied: true });
    expect(answer).not.toHaveProperty("missing");
  });

  it("of a replaced log is a problem that names the region", async () => {
    const problem = { name: "token-log-replaced", members: { region: "us" } };
    expect(await met({ mode: "token", token: ofUs(1, "z"), waitMs: 0 })).toMatchObject(problem);
  });

  it("too many that wait are a problem that says when to try again", async () => {
    for (let n = 0; n < LIMITS.waitersMax; n++) void waiters.wait(ofUs(6), 1_000);
    const problem = { name: "overloaded", retryAfterSeconds: 1 };
    expect(await met({ mode: "token", token: ofUs(6), waitMs: 1 })).toMatchObject(problem);
    expect(await met({ mode: "bounded", maxStalenessMs: -1, waitMs: 1 })).toMatchObject(problem);
  });
});

describe("what the replica has and cannot tell yet", () => {
  const ASKED: readonly Exclude<ReadOptions, { readonly mode: "any" }>[] = [
    { mode: "token", token: ofUs(5), waitMs: 300 },
    { mode: "bounded", maxStalenessMs: 1_000, waitMs: 300 },
    { mode: "latest", waitMs: 300 },
  ];

  beforeEach(() => {
    unsure = ["us"];
    heads = { said: { heads: at({ cn: ["a", 10], us: ["b", 5] }), unheard: [] }, afterMs: 0 };
  });
  afterEach(() => {
    unsure = [];
  });

  it.each(ASKED)("$mode waits for it", async (options) => {
    const told = met(options, async () => {
      await pass(50);
      waiters.advanced();
      await pass(50);
      unsure = [];
      waiters.advanced();
      await pass(0);
    });
    expect(await told).toMatchObject({ satisfied: true, waitedMs: 100 });
    expect(await told).not.toHaveProperty("unheard");
    expect(waiters.size).toBe(0);
  });

  it.each(ASKED)("$mode is not satisfied where it does not come in time", async (options) => {
    const told = { satisfied: false, waitedMs: 300, unheard: ["us"] };
    expect(await met(options, () => pass(300))).toMatchObject(told);
    const atOnce = { satisfied: false, waitedMs: 0, unheard: ["us"] };
    expect(await met({ ...options, waitMs: 0 }, () => pass(0))).toMatchObject(atOnce);
  });

  it.each(ASKED)("$mode asks for it elsewhere, with the time that is left", async (options) => {
    const lacks = vi.fn<(lack: Lack) => void>();
    const answer = check().meet(options, () => unsure, lacks);
    await pass(0);
    await pass(300);
    await answer;
    expect(lacks.mock.calls).toContainEqual([{ options: { ...options, waitMs: 300 }, regions: ["us"] }]);
  });

  it("is not all that counts: what grew too old meanwhile does not satisfy a bound", async () => {
    const told = met({ mode: "bounded", maxStalenessMs: 500, waitMs: 300 }, async () => {
      await pass(0);
      ages = { us: 600 };
      unsure = [];
      waiters.advanced();
      await pass(300);
    });
    expect(await told).toMatchObject({ satisfied: false, waitedMs: 300, unheard: ["us"] });
  });

  it("is not waited for in vain, nor named, where a position is missing too", async () => {
    const answer = await met({ mode: "token", token: ofUs(8), waitMs: 300 }, () => pass(300));
    expect(answer).toMatchObject({ satisfied: false, waitedMs: 300, missing: { us: 3 } });
    expect(answer).not.toHaveProperty("unheard");
  });

  it("is nothing to a read of any", async () => {
    expect(await met({ mode: "any" })).toMatchObject({ satisfied: true, waitedMs: 0 });
  });

  it("is a problem where too many wait", async () => {
    for (let n = 0; n < LIMITS.waitersMax; n++) void waiters.wait(ofUs(6), 1_000);
    expect(await met({ mode: "token", token: ofUs(5), waitMs: 1 })).toMatchObject({ name: "overloaded" });
  });
});

describe("bounded", () => {
  it("is satisfied at once where every region was heard of lately", async () => {
    ages = { us: 400 };
    expect(await met({ mode: "bounded", maxStalenessMs: 400, waitMs: 1_000 })).toMatchObject({
      mode: "bounded",
      satisfied: true,
      waitedMs: 0,
    });
  });

  it("waits for the stale region's next frame, and looks again", async () => {
    ages = { us: 900 };
    const during = async (): Promise<void> => {
      await pass(50);
      applied = at({ cn: ["a", 10], us: ["b", 6] });
      ages = { us: 100 };
      waiters.advanced();
      await pass(0);
    };
    const answer = await met({ mode: "bounded", maxStalenessMs: 500, waitMs: 1_000 }, during);
    expect(answer).toMatchObject({ satisfied: true, waitedMs: 50, applied: { us: 6 } });
    expect(answer).not.toHaveProperty("unheard");
  });

  it.each([
    [true, true, false],
    [true, false, false],
    [false, false, false],
    [false, true, true],
  ])("of a region that another stands for: %s, gone over: %s", async (stands, isFollowed, satisfied) => {
    stoodFor = [{ ...US, stands, isFollowed, isAstray: false }];
    expect(await met({ mode: "bounded", maxStalenessMs: 500, waitMs: 0 })).toMatchObject({
      satisfied,
      ...(!satisfied && { unheard: ["us"] }),
    });
  });

  it("names the regions that are too stale when the time is over", async () => {
    ages = { us: Infinity };
    const options = { mode: "bounded", maxStalenessMs: 500, waitMs: 200 } as const;
    expect(await met(options, () => pass(200))).toMatchObject({
      satisfied: false,
      waitedMs: 200,
      unheard: ["us"],
    });
    expect(await met({ ...options, waitMs: 0 })).toMatchObject({ satisfied: false, unheard: ["us"] });
  });
});

it("is satisfied by nothing that a region took and its heir has not gone on from", async () => {
  const token = { mode: "token", token: ofUs(5), waitMs: 0 } as const;
  stoodFor = [{ ...US, stands: true, isFollowed: false, isAstray: false }];
  expect(await met(token)).toMatchObject({ satisfied: true });
  stoodFor = [{ ...US, stands: true, isFollowed: false, isAstray: true }];
  expect(await met(token)).toMatchObject({ name: "token-log-replaced" });
  expect(await met({ ...token, token: at({ cn: ["a", 10] }) })).toMatchObject({ satisfied: true });
});

describe("latest", () => {
  it("asks all regions and is satisfied when what they have is here", async () => {
    expect(await met({ mode: "latest", waitMs: 1_000 }, () => pass(100))).toEqual({
      mode: "latest",
      satisfied: true,
      waitedMs: 100,
      servedBy: "cn",
      applied: { cn: 10, us: 5 },
    });
  });

  it("waits for what they have beyond that, for the rest of its time", async () => {
    heads = { said: { heads: at({ us: ["b", 7] }), unheard: [] }, afterMs: 100 };
    const late = { mode: "latest", waitMs: 150 } as const;
    expect(await met(late, inVain)).toMatchObject({ satisfied: false, waitedMs: 150, missing: { us: 2 } });
    const inTime = async (): Promise<void> => {
      await pass(100);
      applied = at({ cn: ["a", 10], us: ["b", 7] });
      waiters.advanced();
      await pass(0);
    };
    expect(await met(late, inTime)).toMatchObject({ satisfied: true, waitedMs: 100 });
  });

  it("is not satisfied where a region could not be asked, and says which", async () => {
    heads = { said: { heads: at({ cn: ["a", 10] }), unheard: ["us"] }, afterMs: 5_000 };
    const answer = await met({ mode: "latest", waitMs: 200 }, () => pass(200));
    expect(answer).toMatchObject({ satisfied: false, waitedMs: 200, unheard: ["us"] });
    expect(answer).not.toHaveProperty("missing");
  });

  it.each([2, 0])("is not satisfied by a log that goes on as another one, %i frames long", async (head) => {
    heads = { said: { heads: at({ cn: ["a", 10], us: ["c", head] }), unheard: [] }, afterMs: 10 };
    expect(await met({ mode: "latest", waitMs: 20 }, () => pass(10))).toMatchObject({
      satisfied: false,
      unheard: ["us"],
    });
  });

  it("is not satisfied by an empty log of which nothing is known here", async () => {
    applied = at({ cn: ["a", 10], us: ["", 0] });
    heads = { said: { heads: at({ cn: ["a", 10], us: ["c", 0] }), unheard: [] }, afterMs: 10 };
    expect(await met({ mode: "latest", waitMs: 1_000 }, () => pass(10))).toMatchObject({
      satisfied: false,
      unheard: ["us"],
    });
  });

  it.each<[string, StoodFor, [string, number], boolean]>([
    [
      "followed to the heir's head",
      { ...US, stands: true, isFollowed: true, isAstray: false },
      ["a", 10],
      true,
    ],
    [
      "followed, behind the heir's head",
      { ...US, stands: true, isFollowed: true, isAstray: false },
      ["a", 9],
      false,
    ],
    ["not followed yet", { ...US, stands: true, isFollowed: false, isAstray: false }, ["b", 6], false],
    ["not followed, and over", { ...US, stands: false, isFollowed: false, isAstray: false }, ["b", 6], false],
    ["followed, and over", { ...US, stands: false, isFollowed: true, isAstray: false }, ["b", 6], true],
  ])("of a region that cn stands for, %s", async (_what, one, here, satisfied) => {
    stoodFor = [one];
    applied = at({ cn: ["a", 10], us: here });
    heads = { said: { heads: at({ cn: ["a", 10], us: ["b", 6] }), unheard: [] }, afterMs: 10 };
    const answer = await met({ mode: "latest", waitMs: 30 }, async () => {
      await pass(10);
      await pass(20);
    });
    expect(answer).toMatchObject(satisfied ? { satisfied } : { satisfied, unheard: ["us"] });
    heads = { said: { heads: at({ us: ["b", 6] }), unheard: ["cn"] }, afterMs: 10 };
    expect(await met({ mode: "latest", waitMs: 30 }, () => pass(30))).toMatchObject({ satisfied: false });
  });

  it("is not satisfied by one that goes on while it waits, nor refused but for a token that speaks of it", async () => {
    heads = { said: { heads: at({ cn: ["a", 10], us: ["b", 6] }), unheard: [] }, afterMs: 10 };
    const during = async (): Promise<void> => {
      await pass(10);
      applied = at({ cn: ["a", 10], us: ["c", 2] });
      waiters.advanced();
      await pass(0);
    };
    const latest = { mode: "latest", waitMs: 1_000 } as const;
    expect(await met(latest, during)).toMatchObject({ satisfied: false, unheard: ["us"] });
    applied = at({ cn: ["a", 10], us: ["b", 5] });
    expect(await met({ ...latest, token: ofUs(5) }, during)).toMatchObject({ name: "token-log-replaced" });
  });

  it("has what a token speaks of as well", async () => {
    const token = at({ cn: ["a", 12] });
    expect(await met({ mode: "latest", token, waitMs: 150 }, inVain)).toMatchObject({
      satisfied: false,
      missing: { cn: 2 },
    });
  });
});

describe("the latest is asked elsewhere", () => {
  const CN_LACKS: [string, number] = ["a", 12];

  it("of those whose logs lack here, by all heads and all of the token", async () => {
    const said = at({ cn: CN_LACKS, us: ["b", 5], eu: ["e", 1] });
    const token = at({ us: ["b", 4], eu: ["e", 2] });
    const whole = at({ cn: CN_LACKS, us: ["b", 5], eu: ["e", 2] });
    expect(await sought({ heads: said, unheard: [] }, token)).toEqual({
      options: soughtBy(whole),
      regions: ["cn", "eu"],
    });
  });

  it("by the head of a log that goes on as another one, beside what another log lacks", async () => {
    const said = at({ cn: CN_LACKS, us: ["c", 2] });
    expect(await sought({ heads: said, unheard: [] })).toEqual({
      options: soughtBy(said),
      regions: ["cn", "us"],
    });
  });

  it("by the heir's head for a region that another stands for", async () => {
    stoodFor = [{ region: "us", heir: "cn", stands: true, isFollowed: false, isAstray: false }];
    expect(await sought({ heads: at({ cn: CN_LACKS, us: ["b", 6] }), unheard: [] })).toEqual({
      options: soughtBy(at({ cn: CN_LACKS, us: CN_LACKS })),
      regions: ["cn", "us"],
    });
    stoodFor = [{ region: "us", heir: "cn", stands: false, isFollowed: true, isAstray: false }];
    expect(await sought({ heads: at({ cn: CN_LACKS, us: ["b", 5] }), unheard: [] })).toMatchObject({
      options: soughtBy(at({ cn: CN_LACKS, us: ["b", 5] })),
      regions: ["cn"],
    });
  });

  const BACK: StoodFor = { region: "us", heir: "cn", stands: false, isFollowed: false, isAstray: false };
  it.each<[string, Token, { token?: Token; one?: StoodFor; unheard?: string[] }]>([
    ["a region was not heard", at({ cn: CN_LACKS }), { unheard: ["us"] }],
    ["a log is empty", at({ cn: CN_LACKS, us: ["c", 0] }), {}],
    ["an empty log is followed here", at({ cn: CN_LACKS, us: ["b", 0] }), {}],
    ["the token speaks of another log", at({ cn: CN_LACKS, us: ["b", 5] }), { token: ofUs(3, "z") }],
    ["the token's log is over", at({ cn: CN_LACKS, us: ["c", 5] }), { token: ofUs(3) }],
    ["a log is on its way back from the heir's", at({ cn: CN_LACKS, us: ["b", 6] }), { one: BACK }],
    ["the heir has no log", at({ us: ["b", 6] }), { one: { ...BACK, stands: true } }],
  ])("of nobody where %s, as no vector says what is wanted", async (_what, said, { token, one, unheard }) => {
    stoodFor = one === undefined ? [] : [one];
    expect(await sought({ heads: said, unheard: unheard ?? [] }, token)).toBeUndefined();
  });
});
