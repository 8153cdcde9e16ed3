/** Evacuation of a region that is lost, as operators ask for it at its heir: what is planned, refused and decided, and the way back. */
import { afterEach, describe, expect, it } from "vitest";
import type { Command, LinkState, Region } from "../../../replicator/core/commands.ts";
import type { EvacuationAnswer } from "../../../services/presence/evacuation-view.ts";
import type { Outcome } from "../../../services/presence/service.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { REGIONS, open, progress } from "../../core/samples.ts";
import { Regions, until, untilHolds } from "./regions.ts";

/** The heir is cn, the region of the bench's node. */
const ASKED = { region: "us", to: "cn", by: "operator", reason: "quake", dryRun: false, force: false };

/** The region's replicator says how its link from there is. */
function link(one: Bench, origin: Region, state: LinkState): Bench {
  const report = { origin, state, reason: "", sinceMs: 0, head: 1, copied: 1 };
  const counted = { framesCopied: 0, bytesCopied: 0, errors: {} };
  one.presence.step({ kind: "link", report: { ...report, ...counted } });
  return one;
}

/** What eu says: it hears cn, and has folded us up to `position`. */
function heard(one: Bench, position = 1): Bench {
  const peers = REGIONS.map((region) =>
    progress(region, { state: "live", position: region === "us" ? position : 1 }),
  );
  return link(one.peer("eu", { kind: "watermark", peers }), "eu", "live");
}

/** A node of cn that knows one user of us, last heard 5 s ago; eu is in touch. */
async function bench(position = 1): Promise<Bench> {
  const one = new Bench().caughtUp().peer("us", open("ann", "s1", "us"));
  await one.settle();
  await one.pass(5_000);
  one.asked.length = 0;
  return heard(one, position);
}

async function reasons(one: Bench, more: Partial<typeof ASKED> & { untilMs?: number } = {}) {
  const { plan } = valueOf(await one.presence.evacuate({ ...ASKED, ...more, dryRun: true }));
  return plan.refusals.map(({ reason, canForce }) => (canForce ? `${reason}, unless forced` : reason));
}

function say(value: string, key = "succession.us"): Command {
  return { kind: "set", key, value, by: "operator", reason: "quake" };
}

/** What was appended for it, and the answer. */
async function decided(one: Bench, asked: Promise<Outcome<EvacuationAnswer>>) {
  const commands = await one.settle();
  one.fold();
  commands.push(...(await one.settle()));
  one.fold();
  return { commands: commands.filter(({ kind }) => kind === "set"), answer: await asked };
}

describe("a region that is lost", () => {
  it("has a plan: who is homed and connected there, how far its log is known, and since when it is silent", async () => {
    const one = await bench(3);
    const { plan } = valueOf(await one.presence.evacuate({ ...ASKED, dryRun: true }));
    expect(plan).toMatchObject({ users: 1, sessions: 1, positions: { us: 1 } });
    expect(plan.lost).toEqual({ position: 1, folded: { eu: 3 }, watermarkAgeMs: null });
    expect(plan.refusals[0]?.detail).toBe("cn is behind: eu has 2 more frames of us, evacuate to eu");
    expect(await one.settle()).toEqual([]);
  });

  it("is fenced in the heir's log, with the operator's reason, and that is shown and audited", async () => {
    const one = await bench();
    const { commands, answer } = await decided(one, one.presence.evacuate(ASKED));
    expect(commands).toEqual([say("fence 1")]);
    const fenced = { heir: "cn", generation: 1, phase: "fence", reason: "quake" };
    expect(valueOf(answer)).toMatchObject({ evacuation: { succession: fenced }, token: expect.any(Map) });
    expect(one.presence.evacuations().get("us")?.succession).toMatchObject(fenced);
    expect(one.presence.audit().at(-1)).toMatchObject({ key: "succession.us", value: "fence 1" });
  });

  it("is fenced by force in spite of what allows it, and never one that is in touch", async () => {
    const one = await bench(3);
    const forced = await decided(one, one.presence.evacuate({ ...ASKED, force: true }));
    expect(forced.commands).toEqual([say("fence 1"), say("1", "forced.us")]);
    for (const state of ["catching-up", "snapshotting"] as const) {
      const touched = link(await bench(), "us", state);
      expect(await touched.presence.evacuate({ ...ASKED, force: true })).toMatchObject({
        problem: { name: "evacuation-refused", members: { reasons: [{ reason: "in-touch" }] } },
      });
      expect(await touched.settle()).toEqual([]);
    }
  });

  it("is refused, with reasons, what speaks against it", async () => {
    expect(await reasons(await bench())).toEqual([]);
    expect(await reasons(await bench(), { untilMs: 9 })).toEqual(["no-end"]);
    expect(await reasons(await bench(2))).toEqual(["heir-behind, unless forced"]);
    const one = await bench();
    one.peer("us", { kind: "watermark", peers: [] });
    expect(await reasons(one)).toEqual(["in-touch"]);
    const anew = await bench();
    anew.presence.step({ kind: "adopt", replica: anew.presence.node.replica });
    expect(await reasons(anew)).toEqual(["in-touch"]);
    await anew.pass(2_001);
    expect(await reasons(heard(anew))).toEqual([]);
    const alone = new Bench().caughtUp();
    await alone.settle();
    expect(await reasons(alone)).toEqual(["no-quorum, unless forced"]);
    const taken = heard((await bench()).peer("eu", say("fence 4")));
    expect(await reasons(taken)).toEqual(["succeeded"]);
    const free = heard(taken.peer("eu", say("yield 4")));
    expect(await reasons(free)).toEqual([]);
    expect((await decided(free, free.presence.evacuate(ASKED))).commands).toEqual([say("fence 5")]);
    const chain = await bench();
    chain.peer("us", say("fence 1", "succession.eu"));
    chain.peer("us", say("succeed 1 of log-eu at 1 sum 0", "succession.eu"));
    await chain.pass(5_000);
    expect(await reasons(heard(chain))).toContain("stands-in");
  });

  it("is not for a node that is still folding, nor for one of another region than the heir", async () => {
    const folding = new Bench().presence.evacuate(ASKED);
    expect(await folding).toMatchObject({ problem: { name: "not-ready" } });
    const other = (await bench()).presence.evacuate({ ...ASKED, to: "eu" });
    expect(await other).toMatchObject({ problem: { name: "other-region", members: { region: "us" } } });
  });

  it("whose fence the log does not take is not fenced", async () => {
    const one = await bench();
    const asked = one.presence.evacuate(ASKED);
    await one.settle("lost");
    expect(await asked).toMatchObject({ problem: { name: "log-unavailable" } });
  });
});

describe("giving the log back", () => {
  const RESTORE = { region: "us", by: "operator", reason: "quake", dryRun: false, force: false };

  it("ends a fence at once", async () => {
    const one = await bench();
    one.log.push([say("fence 1")]);
    const { commands, answer } = await decided(one.fold(), one.presence.restore(RESTORE));
    expect(commands).toEqual([say("yield 1")]);
    expect(valueOf(answer).evacuation.succession).toMatchObject({ phase: "given-up", generation: 1 });
  });

  it("waits for the region to be back, unless forced", async () => {
    const one = await bench();
    one.log.push([say("fence 1")], [say("succeed 1 of log-us at 1 sum 0")]);
    one.fold();
    expect(await one.presence.restore(RESTORE)).toMatchObject({
      problem: { name: "evacuation-refused", members: { reasons: [{ reason: "not-back" }] } },
    });
    const { commands } = await decided(one, one.presence.restore({ ...RESTORE, force: true }));
    expect(commands[0]).toMatchObject({ value: expect.stringMatching(/^yield 1 of log-us at 1 sum 0/) });
    expect(one.presence.evacuations().get("us")?.succession).toMatchObject({ phase: "yield" });
    expect(await one.presence.restore(RESTORE)).toMatchObject({ problem: { name: "other-region" } });
  });
});

describe("three regions, one of them gone", { timeout: 120_000 }, () => {
  let regions: Regions;
  afterEach(() => regions.stop());

  const phase = (at: Region): string =>
    regions.node(at).presence.evacuations().get("cn")?.succession?.phase ?? "";

  it("the two others vote, and the heir goes on from where both are; their copies take nothing more", async () => {
    regions = new Regions(REGIONS);
    await regions.start(...REGIONS);
    await regions.open("cn", "ann");
    await until("us and eu know ann", () => regions.online("us") === 1 && regions.online("eu") === 1);
    const us = regions.node("us").presence;
    const asked = { region: "cn", to: "us", by: "operator", reason: "quake", dryRun: false, force: false };
    expect(await us.evacuate(asked)).toMatchObject({ ok: false, problem: { name: "evacuation-refused" } });
    await regions.stopReplicator("cn");
    await regions.stopNode("cn");
    regions.server("cn").stop();
    await untilHolds("cn counts as lost", async () => {
      const { plan } = valueOf(await us.evacuate({ ...asked, dryRun: true }));
      return plan.refusals.length === 0;
    });
    valueOf(await us.evacuate(asked));
    await until("us succeeds cn, and eu knows", () => phase("us") === "succeed" && phase("eu") === "succeed");
    const standing = us.node.replica.fold("us")?.settings.get("succession.cn")?.value ?? "";
    const [, logId = "", position] = /^succeed 1 of (\S+) at (\d+) sum /.exec(standing) ?? [];
    const votes = ["us", "eu"].map((at) => us.node.replica.fold(at)?.settings.get("fenced.cn")?.value ?? "");
    for (const vote of votes) expect(vote).toMatch(new RegExp(`^1 for us of ${logId} at \\d+ sum`));
    expect(Number(position)).toBeGreaterThan(0);
    const seals = ["us", "eu"].map((at) => regions.server(at).seals.get("cn")?.heir);
    expect(seals).toEqual(["us", "us"]);
  });
});
