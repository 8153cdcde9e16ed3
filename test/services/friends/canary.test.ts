/** The canary: what it says of regions that have its request, lag, cannot be reached or lie, and that nobody else sees or uses its users. */
import { afterEach, describe, expect, it } from "vitest";
import { Canary } from "../../../services/friends/canary.ts";
import type { CanaryFigures } from "../../../services/friends/canary.ts";
import { requestId } from "../../../services/friends/names.ts";
import { FriendRequests } from "../../../services/friends/requests.ts";
import type { Elsewhere } from "../../../services/presence/reads.ts";
import { Bench } from "../../core/presence-bench.ts";
import { node } from "../presence/http/fake.ts";
import { Regions, until } from "../presence/regions.ts";
import { sendTo } from "./calls.ts";

const FROM = "rollcall.canary.cn.to.us";
const TO = "rollcall.canary.us.from.cn";
const EVERY_MS = 150;

let regions = new Regions([]);
afterEach(() => regions.stop());

async function begin(): Promise<void> {
  regions = new Regions(["cn", "us"], {}, { canaryMs: EVERY_MS });
  await regions.start("cn", "us");
}

/** What a region's canary has counted, as `read result`. */
async function counted(region: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${regions.node(region).url}/metrics`)).text();
  const lines = text.matchAll(
    /^rollcall_canary_reads_total\{origin="\w+",replica="\w+",read="(\S+)",result="(\S+)"\} (\d+)$/gm,
  );
  return new Map([...lines].map(([, read, result, n]) => [`${read} ${result}`, Number(n)]));
}

/** What it has counted when one of these is there. */
async function countedOne(region: string, ...of: string[]): Promise<ReadonlyMap<string, number>> {
  for (;;) {
    const seen = await counted(region);
    if (of.some((what) => (seen.get(what) ?? 0) > 0)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function page(round: number) {
  return {
    requests: [{ from: FROM, to: TO, round, message: "", atMs: 1, unread: true }],
    unread: 1,
    offset: "1.",
    readOffset: "",
  };
}

/** Two runs of a canary of cn, whose relay answers so. */
async function figuresAfter(elsewhere: Elsewhere): Promise<readonly CanaryFigures[]> {
  const bench = new Bench().caughtUp();
  const { presence } = bench;
  const clock = () => ({ monoMs: bench.ms, wallMs: bench.ms });
  const requests = new FriendRequests({
    region: "cn",
    replica: () => presence.node.replica,
    homeward: presence.homeward,
    meet: (options) => presence.reads.meet(options),
    clock,
  });
  const parts = { region: "cn", peers: ["us"], requests, elsewhere, clock, isOurs: () => true };
  const canary = new Canary({ ...parts, everyMs: 1_000_000 });
  for (let run = 0; run < 2; run++) {
    const checked = canary.check("us").then(() => "done");
    const goOn = async (): Promise<undefined> => {
      await bench.settle();
      bench.fold();
    };
    while ((await Promise.race([checked, goOn()])) === undefined);
  }
  canary.stop();
  expect(canary.failed).toBe(0);
  return canary.figures;
}

function answering(answer: unknown, waitedMs: number): Elsewhere {
  return async () => ({
    answer: { ask: "x", region: "us", token: new Map(), waitedMs, presences: [], answer },
    transitMs: 1,
  });
}

const all = { "at-once": 0, waited: 0, unsatisfied: 0, false: 0 };

describe("over whole regions", { timeout: 60_000 }, () => {
  it("each region finds its request in the other, by the token and by the latest, and leaves nothing pending", async () => {
    await begin();
    for (const region of ["cn", "us"]) {
      await countedOne(region, "token waited", "token at-once");
      const seen = await countedOne(region, "latest waited", "latest at-once");
      expect([seen.get("token false"), seen.get("latest false")]).toEqual([0, 0]);
    }
    const { presence } = regions.node("cn");
    await until(
      "the question is taken back",
      () => presence.node.replica.friends.pairOf(FROM, TO).state === "cancelled",
    );
    expect([presence.occupancy().users, presence.presence(FROM).home]).toEqual([0, undefined]);
    const metrics = await (await fetch(`${regions.node("cn").url}/metrics`)).text();
    expect(metrics).toMatch(/^rollcall_canary_seconds\{origin="cn",replica="us",read="token"\} 0\.\d+$/m);
    expect(metrics).toContain("rollcall_canary_failures_total 0");
    expect(metrics).toContain('rollcall_friend_writes_total{result="asked"} 0');
  });

  it("a region that copies nothing any more is unsatisfied, never false", async () => {
    await begin();
    await regions.onlyAsks("us");
    const seen = await countedOne("cn", "token unsatisfied");
    expect([seen.get("token false"), seen.get("latest false")]).toEqual([0, 0]);
  });

  it("its users are refused to everybody, by name, and nothing is written", async () => {
    await begin();
    const send = sendTo(regions.node("cn").url);
    const id = requestId({ from: FROM, to: TO, round: 1 });
    const refused = await Promise.all([
      send("POST", "/v1/sessions", { user: FROM }),
      send("PUT", `/v1/users/${FROM}/heartbeat`),
      send("POST", "/v1/friend-requests", { from: "ann", to: TO }),
      send("POST", "/v1/presence", { users: ["ann", FROM] }),
      send("GET", `/v1/users/${TO}/friend-requests`),
      send("POST", `/v1/friend-requests/${id}/accept`),
    ]);
    expect(refused.map(({ status, body }) => [status, body.type])).toEqual(
      refused.map(() => [400, "/problems/invalid-request"]),
    );
    for (const { body } of refused) expect(JSON.stringify(body)).toContain("reserved");
    expect(regions.node("cn").presence.occupancy().users).toBe(0);
  });
});

describe("what the other region answers", () => {
  it.each([
    ["the request of an earlier run", answering(page(1), 0), { "at-once": 1, false: 1 }],
    ["an empty page", answering({ ...page(1), requests: [] }, 5), { false: 2 }],
    ["what is no page", answering("yes", 5), { false: 2 }],
    ["nothing", async () => undefined, { unsatisfied: 2 }],
  ] as const)("%s", async (_what, elsewhere, expected) => {
    for (const { results, lastMs } of await figuresAfter(elsewhere)) {
      expect(results).toEqual({ ...all, ...expected });
      expect(lastMs === undefined).toBe("unsatisfied" in expected);
    }
  });
});

it("a node without a canary has no such metrics", async () => {
  expect((await node().app.inject("/metrics")).body).not.toContain("rollcall_canary");
});
