/** Evacuations decided at the same moment that cross: they stand still or go on with those they may, say why, and all come home. */
import { expect, it } from "vitest";
import type { Region } from "../../../replicator/core/commands.ts";
import { valueOf } from "../../core/presence-bench.ts";
import { Regions, until } from "./regions.ts";

const NAMES: readonly Region[] = ["cn", "eu", "us"];
const USERS = NAMES.flatMap((region) => Array.from({ length: 20 }, (_, number) => `${region}-${number}`));
const ASKED = { by: "operator", reason: "drill", dryRun: false, force: true };

/** Twenty users live in each region, and each may be released. */
async function populated(): Promise<Regions> {
  const regions = new Regions(NAMES);
  await regions.start(...NAMES);
  for (const user of USERS) await regions.open(homeOf(user), user);
  await until("all may be moved", () =>
    USERS.every((user) => regions.node(homeOf(user)).presence.node.mayRelease(user)),
  );
  return regions;
}

function homeOf(user: string): Region {
  return user.slice(0, 2);
}

async function evacuate(regions: Regions, region: Region, to: Region): Promise<void> {
  valueOf(await regions.node(region).presence.evacuate({ ...ASKED, region, to }));
}

/** As every region sees it. */
function reasons(regions: Regions, region: Region): readonly string[][] {
  return NAMES.map((at) => {
    const { holds = [] } = regions.node(at).presence.evacuations().get(region) ?? {};
    return holds.map(({ reason }) => reason).filter((reason) => reason !== "not-in-touch");
  });
}

async function untilReason(regions: Regions, region: Region, reason: string): Promise<void> {
  await until(`${region} says ${reason}`, () =>
    reasons(regions, region).every((said) => said.includes(reason)),
  );
}

/** Where those live, as eu has it, who began in the region. */
function homes(regions: Regions, began: Region): readonly Region[] {
  const users = USERS.filter((user) => homeOf(user) === began);
  return [...new Set(users.map((user) => regions.node("eu").presence.presence(user).home ?? ""))];
}

async function restore(regions: Regions, region: Region): Promise<void> {
  valueOf(await regions.node(region).presence.restore({ ...ASKED, region }));
  await until(`${region} is at home`, () =>
    NAMES.every((at) => regions.node(at).presence.evacuations().get(region)?.state === "home"),
  );
}

it("users who came to a region that is evacuated itself stay there, and come home even if their own is restored first", async () => {
  const regions = await populated();
  await regions.stopReplicator("us");
  await evacuate(regions, "cn", "us");
  const { presence } = regions.node("cn");
  await until("cn is empty", () => presence.evacuations().get("cn")?.state === "evacuated");
  await evacuate(regions, "us", "eu");
  regions.startReplicator("us");
  await until("those of us are in eu", () => homes(regions, "us").join() === "eu");
  await untilReason(regions, "us", "is-heir");
  expect(homes(regions, "cn")).toEqual(["us"]);
  await restore(regions, "cn");
  await restore(regions, "us");
  expect(NAMES.map((region) => homes(regions, region))).toEqual([["cn"], ["eu"], ["us"]]);
  await regions.stop();
}, 180_000);

it("a ring stands still with its reason until one is restored, and then the next goes on", async () => {
  const regions = await populated();
  for (const region of NAMES) await regions.stopReplicator(region);
  // Nobody may be released until the others have said that they know of this; then they have said too that they are evacuated.
  for (const user of USERS) valueOf(await regions.node(homeOf(user)).presence.prefer(user, "busy", 0));
  await evacuate(regions, "cn", "us");
  await evacuate(regions, "us", "eu");
  await evacuate(regions, "eu", "cn");
  for (const region of NAMES) regions.startReplicator(region);
  for (const region of NAMES) await untilReason(regions, region, "heir-evacuated");
  await restore(regions, "cn");
  await until("those of eu are in cn", () => homes(regions, "eu").join() === "cn");
  await restore(regions, "eu");
  await restore(regions, "us");
  expect(NAMES.map((region) => homes(regions, region))).toEqual([["cn"], ["eu"], ["us"]]);
  await regions.stop();
}, 180_000);
