/** Reads that the home answers, over whole regions: us copies nothing any more, but its replicator still reaches cn's NATS. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mergeTokens } from "../../../replicator/core/token.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { readAnsweredTopic, readAskedTopic } from "../../../replicator/runtime/relay.ts";
import { MemoryLogStore } from "../../../replicator/log/memory.ts";
import type { Reading, ReadOptions } from "../../../services/presence/service.ts";
import { valueOf } from "../../core/presence-bench.ts";
import { Regions, until } from "./regions.ts";

let regions = new Regions([]);
let token: Token = new Map();

/** ann and bob are known everywhere; then us lags, and cleo logs in at cn. */
beforeEach(async () => {
  regions = new Regions(["cn", "us"]);
  await regions.start("cn", "us");
  await regions.open("cn", "ann");
  await regions.open("us", "bob");
  await until("both know both", () => regions.online("cn") === 2 && regions.online("us") === 2);
  await regions.onlyAsks("us");
  await regions.open("cn", "cleo");
  token = await acknowledged("cn");
});
afterEach(() => regions.stop());

/** Something is written there, and this is its token. */
async function acknowledged(region: string): Promise<Token> {
  const opened = await regions.node(region).presence.openSession({ user: "writer" });
  return valueOf(opened).token;
}

async function readAtUs(users: readonly string[], options: ReadOptions): Promise<Reading> {
  return valueOf(await regions.node("us").presence.read(users, options));
}

async function byToken(waitMs: number, ...users: string[]): Promise<Reading> {
  return readAtUs(users, { mode: "token", token, waitMs });
}

/** What is told of a user, but for the name and the moment. */
function told({ presences }: Reading): unknown {
  const { user, asOfMs, stalenessMs, ...rest } = presences[0] ?? { user: "" };
  expect([user, asOfMs, stalenessMs]).not.toContain(undefined);
  return rest;
}

const metAtUs = () => regions.node("us").presence.tally.reads;

describe("a replica that lags", { timeout: 60_000 }, () => {
  it("lets the home answer for a token, with what the home has applied", async () => {
    const { presences, consistency, applied } = await byToken(5_000, "cleo");
    expect(presences).toMatchObject([{ user: "cleo", status: "online", home: "cn", freshness: "live" }]);
    expect(consistency).toMatchObject({ mode: "token", satisfied: true, servedBy: "home:cn" });
    expect(consistency.waitedMs).toBeLessThan(4_000);
    const at = token.get("cn")?.position ?? Infinity;
    expect(consistency.applied["cn"]).toBeGreaterThanOrEqual(at);
    expect(applied.get("cn")?.position).toBe(consistency.applied["cn"]);
    expect(consistency).not.toHaveProperty("missing");
    expect(metAtUs()).toMatchObject({ home: 1, unsatisfied: 0 });
    expect(regions.node("us").presence.presence("cleo").status).toBe("offline");
  });

  it("lets it answer for the latest, and for a bound that its own view is beyond", async () => {
    const latest = await readAtUs(["cleo"], { mode: "latest", waitMs: 5_000 });
    expect(latest.consistency).toMatchObject({ mode: "latest", satisfied: true, servedBy: "home:cn" });
    await until("cn is stale at us", () => regions.node("us").presence.reads.oldestMs() > 1_500);
    const bounded = await readAtUs(["ann"], { mode: "bounded", maxStalenessMs: 1_500, waitMs: 5_000 });
    expect(bounded.consistency).toMatchObject({ mode: "bounded", satisfied: true, servedBy: "home:cn" });
    expect(bounded.presences[0]?.stalenessMs).toBeLessThan(1_500);
  });

  it("lets one region answer for a list of several homes", async () => {
    const { presences, consistency } = await byToken(5_000, "bob", "nobody", "cleo");
    expect(presences.map(({ user, status }) => [user, status])).toEqual([
      ["bob", "online"],
      ["nobody", "offline"],
      ["cleo", "online"],
    ]);
    expect(consistency).toMatchObject({ satisfied: true, servedBy: "home:cn" });
  });

  it("names the region that answered alone where it is not shown as a home", async () => {
    expect((await byToken(5_000, "nobody")).consistency).toMatchObject({ satisfied: true, servedBy: "cn" });
  });

  it("answers at once, and says what is missing, where the read has no time", async () => {
    const { consistency } = await byToken(0, "cleo");
    expect(consistency).toMatchObject({ satisfied: false, servedBy: "us", waitedMs: 0 });
    expect(consistency.missing?.["cn"]).toBeGreaterThan(0);
    expect(metAtUs()).toMatchObject({ home: 0, unsatisfied: 1 });
  });

  it("asks nobody where it has what is asked for", async () => {
    const have = regions.node("us").presence.applied();
    const { consistency } = await readAtUs(["ann"], { mode: "token", token: have, waitMs: 5_000 });
    expect(consistency).toMatchObject({ satisfied: true, servedBy: "us" });
    // A busy machine may round what the answer took up to a millisecond.
    const { atOnce, waited, home } = metAtUs();
    expect({ here: atOnce + waited, home }).toEqual({ here: 1, home: 0 });
  });

  it("tells nothing more of the invisible than of those nobody has seen", async () => {
    const { presence } = regions.node("cn");
    for (const user of ["ghost", "ann"]) {
      token = mergeTokens(token, valueOf(await presence.prefer(user, "invisible", 0)).token);
      await presence.openSession({ user });
    }
    const [ghost, nobody] = [await byToken(5_000, "ghost"), await byToken(5_000, "nobody")];
    expect(told(ghost)).toEqual(told(nobody));
    expect(ghost.consistency.servedBy).toBe(nobody.consistency.servedBy);
    expect(told(await byToken(5_000, "ann"))).toMatchObject({ status: "offline", sessions: [], version: 0 });
  });

  it("hides who turned invisible here, though the home has not heard of it", async () => {
    await regions.stopReplicator("cn");
    const { presence } = regions.node("us");
    valueOf(await presence.prefer("ann", "invisible", 0));
    await until("ann is hidden at us", () => presence.presence("ann").status === "offline");
    const { presences, consistency } = await byToken(400, "ann");
    expect(regions.node("cn").presence.presence("ann").status).toBe("online");
    expect(presences).toMatchObject([{ status: "offline", sessions: [] }]);
    expect(consistency).toMatchObject({ satisfied: false, servedBy: "us" });
  });
});

describe("what is missing is said in time", { timeout: 60_000 }, () => {
  it("when the home's node is dead", async () => {
    await regions.stopNode("cn");
    const { consistency } = await byToken(300, "cleo");
    expect(consistency).toMatchObject({ satisfied: false, servedBy: "us" });
    expect(consistency.missing?.["cn"]).toBeGreaterThan(0);
    expect(consistency.waitedMs).toBeGreaterThanOrEqual(290);
  });

  it("when the home's NATS is down", async () => {
    regions.server("cn").stop();
    expect((await byToken(300, "cleo")).consistency).toMatchObject({ satisfied: false, servedBy: "us" });
    const { consistency } = await readAtUs(["cleo"], { mode: "latest", waitMs: 300 });
    expect(consistency).toMatchObject({ satisfied: false, servedBy: "us", unheard: ["cn"] });
  });

  it("and a token of a log that nobody goes on with is refused, never satisfied", async () => {
    token = new Map([["cn", { logId: "replaced", position: 1 }]]);
    const read = await regions.node("us").presence.read(["cleo"], { mode: "token", token, waitMs: 300 });
    expect(read).toMatchObject({ ok: false, problem: { name: "token-log-replaced" } });
  });
});

it("an answer that comes twice counts once, and noise on the topics is counted and changes nothing", async () => {
  const store = new MemoryLogStore(regions.server("us"));
  const again: Uint8Array[] = [];
  const unlisten = store.listen(readAnsweredTopic("us"), (payload) => again.push(payload));
  expect((await byToken(5_000, "cleo")).consistency.servedBy).toBe("home:cn");
  unlisten();
  expect(again).toHaveLength(1);
  for (const payload of again) store.announce(readAnsweredTopic("us"), payload);
  const noise = ["", "{}", "x 5\nnull", "x 5\n{", "x 5", "\n\n"].map((text) => Buffer.from(text));
  const there = new MemoryLogStore(regions.server("cn"));
  for (const payload of [...noise, new Uint8Array(300_000)]) {
    store.announce(readAnsweredTopic("us"), payload);
    there.announce(readAskedTopic("cn"), payload);
  }
  expect((await byToken(5_000, "cleo")).consistency.servedBy).toBe("home:cn");
  expect(metAtUs()).toMatchObject({ home: 2 });
  const counted = async (region: string): Promise<string> =>
    (await fetch(`${regions.node(region).url}/metrics`)).text();
  const us = await counted("us");
  expect(us).toContain('rollcall_relayed_reads_total{result="served"} 2');
  expect(us).toContain('rollcall_relayed_reads_total{result="strange"} 7');
  expect(us).toContain('rollcall_reads_total{met="home"} 2');
  expect(await counted("cn")).toContain('rollcall_relayed_reads_total{result="malformed"} 7');
});
