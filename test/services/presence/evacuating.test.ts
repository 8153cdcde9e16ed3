/** Evacuation of a living region and its return, as operators ask for it: what is planned, refused, decided, and what becomes of users. */
import { describe, expect, it } from "vitest";
import type { Command, Region } from "../../../replicator/core/commands.ts";
import type { EvacuationAnswer } from "../../../services/presence/evacuation-view.ts";
import type { Outcome } from "../../../services/presence/service.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { REGIONS, forward, frame, open, prefer, progress } from "../../core/samples.ts";
import { Regions, until } from "./regions.ts";

const ASKED = { region: "cn", by: "operator", reason: "drill", dryRun: false, force: true };
const PLAN = { ...ASKED, dryRun: true };

/** A node of cn whose users are ann and bob; us and eu have folded all, and no replicator says how the links are. */
async function bench(): Promise<Bench> {
  const one = new Bench().caughtUp();
  await one.settle();
  await one.open("ann", "phone");
  await one.open("bob");
  return heard(one);
}

function heard(one: Bench): Bench {
  const peers = REGIONS.map((region) => progress(region, { position: 99 }));
  return one.peer("us", { kind: "watermark", peers }).peer("eu", { kind: "watermark", peers });
}

/** What was appended for it, and the answer. */
async function decided(one: Bench, asked: Promise<Outcome<EvacuationAnswer>>) {
  const commands = await one.settle();
  one.fold();
  return { commands, answer: await asked };
}

function set(value: string, key = "evacuation"): Command {
  return { kind: "set", key, value, by: "operator", reason: "drill" };
}

describe("the plan", () => {
  it("says who would move and who stays connected, where the logs are and what is late; and decides nothing", async () => {
    const one = await bench();
    const { plan, evacuation, token } = valueOf(await one.presence.evacuate({ ...PLAN, to: "us" }));
    expect(plan).toMatchObject({ users: 2, sessions: 2, positions: { cn: 4, eu: 1, us: 1 } });
    expect(plan.late).toContainEqual({
      origin: "us",
      replica: "cn",
      state: "disconnected",
      reason: "no replicator has reported yet",
      eventsBehind: null,
    });
    expect([evacuation, token]).toEqual([{ state: "home", homes: 2, nodes: ["cn-1"] }, undefined]);
    expect(await one.settle()).toEqual([]);
  });

  it("says what speaks against it, and what of that can be forced", async () => {
    const one = await bench();
    const reasons = async (to: Region): Promise<string[]> => {
      const { plan } = valueOf(await one.presence.evacuate({ ...PLAN, to }));
      return plan.refusals.map(({ reason, canForce }) => (canForce ? `${reason}, unless forced` : reason));
    };
    const silent = ["heir-behind, unless forced", "no-quorum, unless forced"];
    expect(await reasons("us")).toEqual(silent);
    expect(await reasons("cn")).toEqual(["same-region", "no-quorum, unless forced"]);
    one.peer("us", set("to eu since 0"));
    expect(await reasons("us")).toEqual(["heir-evacuated", ...silent]);
    one.log.push([set("to eu since 3")]);
    expect(await (one.fold(), reasons("us"))).toEqual(["under-way", "heir-evacuated", ...silent]);
    expect(await reasons("eu")).toEqual(silent);
    one.log.push([set("ending eu since 3")]);
    expect(await (one.fold(), reasons("eu"))).toEqual(["under-way", ...silent]);
  });

  it("is refused while another region asks to go on with its log, by force too", async () => {
    const one = await bench();
    one.peer("us", set("fence 1", "succession.cn"));
    const detail = "us has succeeded cn, or asks to: that has to end first";
    const succeeded = { reason: "succeeded", detail, canForce: false };
    expect(await one.presence.evacuate({ ...ASKED, to: "eu" })).toMatchObject({
      problem: { name: "evacuation-refused", members: { reasons: [succeeded] } },
    });
    expect(await one.settle()).toEqual([]);
    one.peer("us", set("yield 1", "succession.cn"));
    const { plan } = valueOf(await one.presence.evacuate({ ...PLAN, to: "eu" }));
    expect(plan.refusals.map(({ reason }) => reason)).not.toContain("succeeded");
  });

  it.each(["to cn since 0", "ending cn since 0", "from cn since 0 to 1"])(
    "is refused for the heir of a region that says '%s', by force too",
    async (value) => {
      const one = await bench();
      one.peer("us", set(value));
      const { plan } = valueOf(await one.presence.evacuate({ ...PLAN, to: "eu" }));
      const isHeir = {
        reason: "is-heir",
        detail: "cn is the heir of us: that has to end first",
        canForce: false,
      };
      expect(plan.refusals).toContainEqual(isHeir);
      expect(await one.presence.evacuate({ ...ASKED, to: "eu" })).toMatchObject({
        problem: { name: "evacuation-refused", members: { reasons: [isHeir] } },
      });
      expect(await one.settle()).toEqual([]);
    },
  );
});

describe("refused, and nothing decided, is what", () => {
  it("speaks of no region, or of another, whose nodes are to be asked", async () => {
    const one = await bench();
    const { presence } = one;
    for (const [asked, problem] of [
      [presence.evacuate({ ...ASKED, to: "mars" }), { name: "unknown-region" }],
      [presence.evacuate({ ...ASKED, region: "mars", to: "us" }), { name: "unknown-region" }],
      [
        presence.evacuate({ ...ASKED, region: "eu", to: "us" }),
        { name: "other-region", members: { region: "eu" } },
      ],
      [presence.restore({ ...ASKED, region: "eu" }), { name: "other-region", members: { region: "eu" } }],
      [new Bench().presence.evacuate({ ...ASKED, to: "us" }), { name: "not-ready" }],
    ] as const)
      expect(await asked).toMatchObject({ ok: false, problem });
    expect(await one.settle()).toEqual([]);
  });

  it("the plan speaks against, unless that may be forced and is", async () => {
    const one = await bench();
    const asked = await one.presence.evacuate({ ...ASKED, to: "us", force: false });
    expect(asked).toMatchObject({
      problem: {
        name: "evacuation-refused",
        members: { reasons: [{ reason: "heir-behind" }, { reason: "no-quorum" }] },
      },
    });
    expect(await one.presence.evacuate({ ...ASKED, to: "cn" })).toMatchObject({
      problem: { name: "evacuation-refused", members: { reasons: [{ reason: "same-region" }] } },
    });
    expect(await one.presence.restore(ASKED)).toMatchObject({
      problem: { name: "evacuation-refused", members: { reasons: [{ reason: "not-evacuated" }] } },
    });
    expect(valueOf(await one.presence.restore(PLAN)).plan).toMatchObject({ users: 0 });
    expect(await one.settle()).toEqual([]);
  });

  it("the log does not take", async () => {
    const one = await bench();
    const asked = one.presence.evacuate({ ...ASKED, to: "us" });
    await one.settle("lost");
    expect(await asked).toMatchObject({ problem: { name: "log-unavailable" } });
  });
});

it("a region's nodes are those that were heard in its log lately, each once", async () => {
  const one = await bench();
  const nodes = (): unknown => one.presence.evacuations().get("us")?.nodes;
  expect(nodes()).toEqual(["us-1"]);
  one.ms += 1_500;
  const { regions } = one.presence;
  for (let node = 0; node < 120; node++) {
    const position = (one.presence.node.replica.fold("us")?.position ?? 0) + 1;
    one.presence.folded("us", position, { ...frame("us"), node: `us-${node}` });
  }
  expect([regions.length, nodes()]).toMatchObject([3, { length: 100 }]);
  one.ms += 1_500;
  heard(one);
  one.ms += 1_500;
  expect(nodes()).toEqual(["us-1"]);
});

describe("a decision", () => {
  it("is in the log, in the audit trail, and answered with the progress", async () => {
    const one = await bench();
    const { commands, answer } = await decided(
      one,
      one.presence.evacuate({ ...ASKED, to: "us", untilMs: 2_000_000 }),
    );
    expect(commands).toEqual([set("to us since 4 until 2000000")]);
    expect(valueOf(answer).token?.get("cn")?.position).toBe(5);
    expect(valueOf(answer).evacuation).toMatchObject({
      state: "evacuating",
      homes: 2,
      usersLeft: 2,
      to: "us",
      decision: { by: "operator", reason: "drill" },
      untilMs: 2_000_000,
    });
    expect(one.presence.audit()).toMatchObject([{ key: "evacuation", reason: "drill" }]);
  });

  it("is carried out by the node: the users live with the heir, and what follows goes there", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us" }));
    heard(one);
    const released = await one.pass(100);
    expect(released).toEqual(["ann", "bob"].map((user) => ({ kind: "release", user, to: "us" })));
    expect(one.presence.presence("ann")).toMatchObject({ home: "us", status: "online" });
    expect(one.presence.evacuations().get("cn")).toMatchObject({ state: "evacuated", usersLeft: 0 });
    const busy = one.presence.prefer("ann", "busy", 0);
    expect(await one.settle()).toEqual([forward("us", prefer("ann", "busy"))]);
    valueOf(await busy);
  });

  it("sends who is new to the heir, whatever home the frontend names", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us" }));
    for (const [user, home] of [
      ["cleo", undefined],
      ["dan", "cn"],
    ] as const) {
      const opened = await one.open(user, "", home);
      expect([opened.home, one.presence.presence(user).home]).toEqual(["us", "us"]);
    }
    const preferred = one.presence.prefer("eve", "away", 0);
    expect(await one.settle()).toEqual([forward("us", prefer("eve", "away"))]);
    valueOf(await preferred);
    expect((await one.open("finn", "", "eu")).home).toBe("eu");
  });

  it("for the same heir again changes its end alone", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us" }));
    for (const untilMs of [2_000_009, 2_000_007]) {
      const { commands } = await decided(one, one.presence.evacuate({ ...ASKED, to: "us", untilMs }));
      expect(commands).toEqual([set(`to us since 4 until ${untilMs}`)]);
    }
  });

  it("for the same heir again, with no end named, keeps and answers what stands", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us", untilMs: 2_000_000 }));
    const again = valueOf(await one.presence.evacuate({ ...ASKED, to: "us", force: false }));
    expect(again).toMatchObject({ evacuation: { state: "evacuating", to: "us", untilMs: 2_000_000 } });
    expect([again.token, await one.settle()]).toEqual([undefined, []]);
  });

  it("says why users stay: the heir is evacuated, they are another's, or a region is not in touch", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us" }));
    const reasons = (region: Region): unknown => {
      const holds = one.presence.evacuations().get(region)?.holds;
      return holds && [...new Set(holds.map(({ reason }) => reason))];
    };
    const links = ["not-in-touch"];
    expect(reasons("cn")).toEqual(links);
    one.peer("us", set("to eu since 0"), open("cleo", "tab"));
    expect([reasons("cn"), reasons("us")]).toEqual([
      ["heir-evacuated", ...links],
      ["is-heir", ...links],
    ]);
    one.peer("us", set("from eu since 0 to 1"));
    expect([reasons("cn"), reasons("us")]).toEqual([["heir-evacuated", ...links], links]);
    one.peer("us", set("home"));
    heard(one);
    await one.pass(100);
    expect([reasons("cn"), reasons("us")]).toEqual([undefined, undefined]);
  });

  it("to restore is the end of it, says how many come back, and needs no second", async () => {
    const one = await bench();
    await decided(one, one.presence.evacuate({ ...ASKED, to: "us" }));
    heard(one);
    await one.pass(100);
    const { commands, answer } = await decided(one, one.presence.restore(ASKED));
    expect(commands).toEqual([set("ending us since 4")]);
    expect(valueOf(answer)).toMatchObject({
      plan: { users: 2 },
      evacuation: { state: "restoring", usersLeft: null },
    });
    const again = await one.presence.restore(ASKED);
    expect(valueOf(again)).toMatchObject({ evacuation: { state: "restoring" } });
    expect(await one.settle()).toEqual([]);
  });
});

it("a thousand users under traffic leave their region and come back, and nobody sees any of them offline", async () => {
  const regions = new Regions(["cn", "eu", "us"]);
  await regions.start("cn", "eu", "us");
  const users = Array.from({ length: 1_000 }, (_, number) => `user${number}`);
  await Promise.all(users.map((user, index) => regions.open(regions.names[index % 3] ?? "cn", user)));
  const { presence } = regions.node("cn");
  // Half of those whose home is cn are connected to eu too.
  for (const [index, user] of users.entries())
    if (index % 6 === 0) await regions.node("eu").presence.touch(user, "web");
  const everywhere = (holds: (name: Region) => boolean): boolean => regions.names.every(holds);
  await until("all know all", () => everywhere((name) => regions.online(name) === 1_000));

  const seen = new Set<number>();
  let failed = 0;
  let writes = 0;
  const traffic = setInterval(() => {
    for (const name of regions.names) seen.add(regions.online(name));
    for (const name of regions.names) {
      writes += 1;
      const user = users[(writes * 7) % users.length] ?? "";
      const status = writes % 2 === 0 ? "busy" : "automatic";
      void regions
        .node(name)
        .presence.prefer(user, status, 0)
        .then(({ ok }) => (failed += ok ? 0 : 1));
    }
  }, 10);
  const state = (name: Region): string | undefined =>
    regions.node(name).presence.evacuations().get("cn")?.state;
  const homes = (): number => presence.evacuations().get("cn")?.homes ?? -1;

  const before = homes();
  expect(before).toBeGreaterThan(300);
  await until("the plan has nothing against it", () => presence.ready());
  const asked = { ...ASKED, force: false };
  await until("the links are live", () =>
    presence.replication().links.every((link) => link.state === "live"),
  );
  const evacuated = valueOf(await presence.evacuate({ ...asked, to: "us" }));
  expect(evacuated.plan).toMatchObject({ users: before, refusals: [] });
  await until("cn is empty", () => everywhere((name) => state(name) === "evacuated"));
  const opened = await presence.openSession({ user: "newcomer" });
  expect(valueOf(opened).home).toBe("us");

  valueOf(await presence.restore(asked));
  await until("all are back", () => everywhere((name) => state(name) === "home"));
  clearInterval(traffic);
  expect(homes()).toBe(before);
  expect(presence.presence("newcomer").home).toBe("us");
  expect({ failed, seen: [...seen].toSorted((a, b) => a - b) }).toEqual({ failed: 0, seen: [1_000, 1_001] });
  expect(presence.audit().map(({ value }) => value.split(" ")[0])).toEqual(["to", "ending", "from", "home"]);
  await regions.stop();
}, 60_000);
