/** Reads for the latest, over whole regions: node asks replicators, these ask the origins' servers. */
import { afterEach, describe, expect, it } from "vitest";
import { decodeAsk, decodeHead, encodeAsk, encodeHead } from "../../../replicator/runtime/heads.ts";
import type { Consistency } from "../../../services/presence/service.ts";
import { Regions, until } from "./regions.ts";

let regions = new Regions([]);

afterEach(() => regions.stop());

async function latest(region: string, waitMs: number): Promise<Consistency> {
  const answer = await regions.node(region).presence.consistency({ mode: "latest", waitMs });
  if (!answer.ok) throw new Error(answer.problem.detail);
  return answer.value;
}

describe("the latest", { timeout: 60_000 }, () => {
  it("has what another region acknowledged before the read began, each time", async () => {
    regions = new Regions(["cn", "us"]);
    await regions.start("cn", "us");
    await until("the heads are told", () => regions.identity("us", "cn") !== "");
    for (let count = 1; count <= 25; count++) {
      await regions.open("cn", `user${count}`);
      expect(await latest("us", 5_000)).toMatchObject({ mode: "latest", satisfied: true, servedBy: "us" });
      expect(regions.node("us").presence.presence(`user${count}`).status).toBe("online");
    }
  });

  it("is not satisfied while a region cannot be asked, and says which", async () => {
    regions = new Regions(["cn", "us"]);
    await regions.start("cn", "us");
    await until("us hears cn", () => regions.identity("us", "cn") !== "");
    regions.server("cn").stop();
    const met = await latest("us", 200);
    expect(met).toMatchObject({ satisfied: false, unheard: ["cn"] });
    expect(met.waitedMs).toBeGreaterThanOrEqual(190);
  });

  it("nobody can tell without a replicator", async () => {
    regions = new Regions(["cn", "us"]);
    await regions.start("cn", "us");
    await regions.stopReplicator("us");
    expect(await latest("us", 50)).toMatchObject({ satisfied: false, unheard: ["us", "cn"] });
  });
});

describe("what is said of heads", () => {
  const HEAD = { ask: "n1 7", region: "cn", logId: "a", head: 9 };

  it("is read as it was said", () => {
    expect(decodeHead(encodeHead(HEAD))).toEqual(HEAD);
    expect(decodeAsk(encodeAsk("n1 7"))).toBe("n1 7");
  });

  it.each<unknown>([
    "",
    "{",
    "null",
    "[]",
    JSON.stringify({ ...HEAD, head: -1 }),
    JSON.stringify({ ...HEAD, head: 1.5 }),
    JSON.stringify({ ...HEAD, logId: 3 }),
    JSON.stringify({ ...HEAD, region: undefined }),
    JSON.stringify({ ...HEAD, ask: "" }),
    JSON.stringify({ ...HEAD, ask: "x".repeat(129) }),
  ])("or means nothing: %s", (text) => {
    expect(decodeHead(Buffer.from(String(text)))).toBeUndefined();
  });

  it("is no ask where it has no name", () => {
    for (const text of ["", "{}", '{"ask":7}', '{"ask":""}', "null"])
      expect(decodeAsk(Buffer.from(text))).toBeUndefined();
  });
});
