/** `rollcall check friends` over whole regions: what it says, and how it ends. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { addressesIn, parseAddresses } from "../../../services/cli/addresses.ts";
import { apiAt } from "../../../services/cli/api.ts";
import { checkFriends, inWords, verdictOf } from "../../../services/cli/check-friends.ts";
import type { Check, Look, Place } from "../../../services/cli/check-friends.ts";
import { Regions } from "../presence/regions.ts";

let regions = new Regions([]);
afterEach(() => regions.stop());

const place = (region: string): Place => ({ region, api: apiAt(region, regions.node(region).url, "") });

async function begin(): Promise<void> {
  regions = new Regions(["cn", "us"]);
  await regions.start("cn", "us");
}

describe("over whole regions", { timeout: 60_000 }, () => {
  it("sees the request, says when, and leaves nothing pending, also after a check that was cut off", async () => {
    await begin();
    const left = { from: "rollcall.check.cn.to.us", to: "rollcall.check.us", ack: "local" };
    await place("cn").api("POST", "/v1/friend-requests", left);
    const checked = await checkFriends(place("cn"), place("us"));
    expect(verdictOf(checked)).toBe("seen");
    expect(inWords(checked).join("\n")).toMatch(
      /^cn acknowledged .*\nus, by a read .*\nus, by the token: shows it after \d+ ms; answered by us\.\nus, by consistency=latest: shows it .*\nA request made in cn is seen in us\.$/,
    );
    const { friends } = regions.node("cn").presence.node.replica;
    expect(friends.pairOf(left.from, left.to).state).toBe("cancelled");
  });

  it("says what the region lacks where nothing reaches it", async () => {
    await begin();
    await regions.stopReplicator("us");
    const checked = await checkFriends(place("cn"), place("us"));
    expect(verdictOf(checked)).toBe("incomplete");
    expect(inWords(checked)[2]).toMatch(
      /does not show it after \d+ ms, and says that it lacks \d+ frames of cn;/,
    );
  });

  it("says who cannot be reached, and what is refused", async () => {
    await begin();
    const nowhere: Place = { region: "us", api: apiAt("us", "http://127.0.0.1:1", "") };
    await expect(checkFriends(place("cn"), nowhere)).rejects.toThrow(
      "us cannot be reached at http://127.0.0.1:1",
    );
    await expect(place("cn").api("POST", "/v1/friend-requests", { from: "a", to: "a" })).rejects.toThrow(
      "cn refuses POST /v1/friend-requests: The request does not match the schema. body/to must be another user",
    );
  });
});

function of(...looks: Look[]): Check {
  return { from: "cn", to: "us", acknowledgedMs: 1, looks };
}

it("calls a claim without the request false, whatever the other reads say", () => {
  const look: Look = { by: "token", shown: true, satisfied: true, ms: 1, servedBy: "us", lacks: "" };
  expect(verdictOf(of(look, { ...look, by: "nothing", shown: false }))).toBe("seen");
  expect(verdictOf(of(look, { ...look, by: "latest", shown: false }))).toBe("false");
  expect(verdictOf(of({ ...look, shown: false }, { ...look, by: "latest", satisfied: false }))).toBe("false");
  expect(inWords(of({ ...look, shown: false })).at(-1)).toContain("CLAIMS");
});

describe("addresses", () => {
  it("are read from a list, or from a file as the demo writes it", () => {
    const known = new Map([
      ["cn", "http://127.0.0.1:1"],
      ["us", "https://us.example"],
    ]);
    expect(parseAddresses("cn=http://127.0.0.1:1,us=https://us.example")).toEqual(known);
    const folder = mkdtempSync(join(tmpdir(), "rollcall-cli-"));
    const file = join(folder, "addresses.json");
    const entries = [...known].map(([region, http]) => [region, { http }]);
    writeFileSync(file, JSON.stringify({ control: "http://x", regions: Object.fromEntries(entries) }));
    expect(addressesIn(file)).toEqual(known);
    writeFileSync(file, "{}");
    expect(() => addressesIn(file)).toThrow("no addresses");
    rmSync(folder, { recursive: true });
  });

  it.each(["cn", "cn=", "cn=ftp://x", "CN=http://x"])("%s is no address", (text) => {
    expect(() => parseAddresses(text)).toThrow(text);
  });
});
