/** Planned evacuation: what the region's log says, and what the nodes of the region and of its heir append while it says so. */
import { describe, expect, it } from "vitest";
import type { Claim, Command, Region, Release, UserId } from "../../replicator/core/commands.ts";
import {
  EVACUATION_KEY,
  evacuationOf,
  evacuationValue,
  firstHome,
} from "../../replicator/core/evacuation.ts";
import type { Evacuation } from "../../replicator/core/evacuation.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { Bench } from "./node-bench.ts";
import { imported, partsOf } from "./observed.ts";
import { REGIONS, accept, drop, frame, open, progress, sessionOf } from "./samples.ts";

function decided(value: string, by = "operator"): Command {
  return { kind: "set", key: EVACUATION_KEY, value, by, reason: "drill" };
}
const release = (user: UserId, to: Region): Release => ({ kind: "release", user, to });
function claim(user: UserId, count: number): Claim {
  const epoch = { generation: 0, count };
  return {
    kind: "claim",
    user,
    epoch,
    sessions: [sessionOf(`s-${user}`)],
    preferred: "automatic",
    untilMs: 0,
  };
}

/** us and eu have folded everything. */
function heard(bench: Bench): Bench {
  const peers = REGIONS.map((region) => progress(region, { position: 99 }));
  return bench.fold("us", { kind: "watermark", peers }).fold("eu", { kind: "watermark", peers });
}
const moves = (bench: Bench): readonly (readonly Command[])[] => bench.take("evacuate");

const said = (value: string): Evacuation | undefined => {
  const replica = new Replica(REGIONS);
  replica.apply("cn", 1, frame("cn", decided(value)));
  return evacuationOf(replica, "cn");
};
const evacuated = (value = "to us since 0"): Bench => {
  const bench = new Bench().fold("cn", open("ann", "s1"), open("bob", "s2")).fold("us", open("cleo", "s3"));
  return bench.fold("cn", decided(value));
};
/** us gave ann, bob and dan to cn, one after another; dan has gone on to eu since. */
const restored = (value: string): Bench => {
  const bench = new Bench().fold("us", open("ann", "s1", "us"), open("bob", "s2"), open("dan", "s4"));
  for (const user of ["ann", "bob", "dan"]) bench.fold("us", release(user, "cn"));
  bench.fold("cn", accept("us", 0, 1, claim("ann", 2)), accept("us", 1, 2, claim("bob", 2)));
  bench.fold("cn", accept("us", 2, 3, claim("dan", 2)), release("dan", "eu"));
  bench.fold("eu", accept("cn", 0, 1, claim("dan", 3)));
  return heard(bench.fold("us", decided(value)));
};

describe("what the log says", () => {
  it.each<Evacuation>([
    { phase: "to", heir: "us", since: 7, end: undefined },
    { phase: "to", heir: "us", since: 7, end: 1_700_000_000_000 },
    { phase: "ending", heir: "eu", since: 0, end: undefined },
    { phase: "from", heir: "us", since: 7, end: 12 },
  ])("is read as it was written: %j", (evacuation) => {
    expect(said(evacuationValue(evacuation))).toEqual(evacuation);
  });

  it.each(["home", "", "to us", "to mars since 1", "to cn since 1", "off until 5", "to us since x"])(
    "decides nothing with '%s'",
    (value) => expect(said(value)).toBeUndefined(),
  );

  it("sends users that no log has to the heir, but to none that is evacuated itself", () => {
    const replica = new Replica(REGIONS);
    expect(firstHome(replica, "cn")).toBe("cn");
    replica.apply("cn", 1, frame("cn", decided("to us since 0")));
    expect(REGIONS.map((region) => firstHome(replica, region))).toEqual(["us", "eu", "us"]);
    replica.apply("us", 1, frame("us", decided("to eu since 0")));
    expect(REGIONS.map((region) => firstHome(replica, region))).toEqual(["cn", "eu", "eu"]);
    replica.apply("us", 2, frame("us", decided("from eu since 0 to 1")));
    expect(REGIONS.map((region) => firstHome(replica, region))).toEqual(["cn", "eu", "us"]);
  });

  it("and how many users a log holds, is known without counting them", () => {
    const replica = new Replica(REGIONS);
    expect(replica.homed("cn")).toBe(0);
    replica.apply("cn", 1, frame("cn", open("ann", "s1"), open("bob", "s2"), open("ann", "s3")));
    expect(replica.homed("cn")).toBe(2);
    replica.apply("cn", 2, frame("cn", drop("ann", "eu"), release("bob", "us")));
    expect(replica.homed("cn")).toBe(0);
    replica.apply("cn", 3, frame("cn", accept("us", 0, 1, claim("bob", 3))));
    expect(replica.homed("cn")).toBe(1);
    expect(imported(partsOf(replica), REGIONS).homed("cn")).toBe(1);
  });
});

describe("the nodes of an evacuated region", () => {
  it("release every user who lives there, once each", () => {
    const bench = heard(evacuated()).tick();
    const [released = []] = moves(bench);
    expect(released).toEqual([release("ann", "us"), release("bob", "us")]);
    expect(moves(bench.tick())).toEqual([]);
    expect(bench.node.evacuations.left("cn")).toBe(2);
    bench.fold("cn", ...released).settle({ kind: "evacuate" }, true);
    expect(moves(bench.tick(6_000))).toEqual([]);
    expect(bench.node.evacuations.left("cn")).toBe(0);
  });

  it("ask again when the log did not take it, and not before it may still come", () => {
    const bench = heard(evacuated()).tick();
    expect(moves(bench)).toHaveLength(1);
    bench.settle({ kind: "evacuate" }, false);
    expect(moves(bench.tick(4_000))).toEqual([]);
    expect(moves(bench.tick(2_000))).toEqual([[release("ann", "us"), release("bob", "us")]]);
  });

  it("release whom they may, and the others in a later round", () => {
    const bench = evacuated().tick();
    expect(moves(bench)).toEqual([]);
    expect(moves(heard(bench).tick())).toHaveLength(1);
  });

  it("release a hundred at a time", () => {
    const bench = new Bench();
    for (let user = 0; user < 250; user++) bench.fold("cn", open(`u${user}`, `s${user}`));
    bench.fold("cn", decided("to us since 0"));
    const peers = [progress("cn", { position: 999 })];
    bench.fold("us", { kind: "watermark", peers }).fold("eu", { kind: "watermark", peers });
    const sizes: number[] = [];
    for (let tick = 0; tick < 4; tick++) {
      bench.tick(50).settle({ kind: "evacuate" }, true);
      const [released = []] = moves(bench);
      sizes.push(released.length);
    }
    expect(sizes).toEqual([100, 100, 50, 0]);
  });

  it("keep everybody while the heir is evacuated itself", () => {
    const bench = heard(evacuated().fold("us", decided("to cn since 0")));
    expect(moves(bench.tick())).toEqual([]);
  });

  it.each(["to cn since 1", "ending cn since 1", "from cn since 1 to 3"])(
    "keep guests, whom another evacuation gave them, while it says '%s'",
    (value) => {
      const bench = new Bench().fold("us", open("ann", "s1"));
      bench.fold("us", decided("to cn since 1")).fold("us", release("ann", "cn"));
      bench.fold("cn", accept("us", 0, 1, claim("ann", 2)), open("bob", "s2"), decided("to eu since 0"));
      heard(bench.fold("us", decided(value))).tick();
      const toEu = moves(bench).flatMap((commands) =>
        commands.filter((one) => one.kind === "release" && one.to === "eu"),
      );
      expect(toEu).toEqual([release("bob", "eu")]);
      bench.fold("cn", ...toEu).settle({ kind: "evacuate" }, true);
      bench.fold("us", decided("home"));
      expect(moves(heard(bench).tick(6_000))).toEqual([[release("ann", "eu")]]);
    },
  );

  it("release whom no record of the other region tells to be guests", () => {
    const bench = evacuated("to eu since 0").fold("us", decided("to cn since 0"));
    expect(moves(heard(bench).tick())).toEqual([[release("ann", "eu"), release("bob", "eu")]]);
  });

  it("release nobody whose record was found wrong", () => {
    const bench = evacuated().tick();
    Object.assign(bench.node.replica.fold("cn")?.homed("ann") ?? {}, { preferredUntilMs: 7 });
    heard(bench).tick();
    expect(bench.told).toContainEqual({ kind: "corrupt", region: "cn", user: "ann" });
    expect(moves(bench.tick())).toEqual([]);
  });

  it("begin anew with another replica", () => {
    const bench = heard(evacuated()).tick();
    expect(moves(bench)).toHaveLength(1);
    const replica = new Replica(REGIONS);
    replica.apply("cn", 1, frame("cn", open("ann", "s1"), decided("to us since 0")));
    bench.settle({ kind: "evacuate" }, true).give({ kind: "adopt", replica });
    expect(moves(bench)).toEqual([[release("ann", "us")]]);
  });

  it("end it at its time, and have it end only when no release is under way", () => {
    const bench = evacuated("to us since 0 until 1015000");
    expect(moves(bench.tick(4_999))).toEqual([]);
    const ending = decided("ending us since 0", "node");
    expect(moves(bench.tick(1))).toEqual([[ending]]);
    bench.fold("cn", ending).settle({ kind: "evacuate" }, true).tick();
    expect(bench.node.evacuations.left("cn")).toBeUndefined();
    expect(moves(bench.tick(4_999))).toEqual([]);
    bench.fold("cn", release("ann", "us"));
    const from = decided("from us since 0 to 4", "node");
    expect(moves(bench.tick(1))).toEqual([[from]]);
  });

  it("say so again while the log has not taken it", () => {
    const bench = evacuated("to us since 0 until 1").tick();
    expect(moves(bench)).toHaveLength(1);
    expect(moves(bench.settle({ kind: "evacuate" }, false).tick(4_999))).toEqual([]);
    expect(moves(bench.tick(1))).toHaveLength(1);
  });

  it("say that all are home when the heir has nobody of them any more", () => {
    const bench = evacuated().fold("cn", release("ann", "us"), decided("from us since 2 to 3"));
    expect(moves(bench.tick())).toEqual([]);
    expect(bench.node.evacuations.left("cn")).toBe(1);
    bench.fold("us", accept("cn", 0, 1, claim("ann", 2)));
    expect(moves(bench.tick())).toEqual([]);
    bench.fold("us", release("ann", "cn"));
    const home = decided("home", "node");
    expect(moves(bench.tick())).toEqual([[home]]);
    bench.settle({ kind: "evacuate" }, true).fold("cn", home).tick();
    expect(bench.node.evacuations.left("cn")).toBeUndefined();
  });
});

describe("the nodes of the heir", () => {
  it("give back whom they got in that time and still have", () => {
    const bench = restored("from cn since 1 to 4").tick();
    expect(moves(bench)).toEqual([[release("ann", "us"), release("bob", "us")]]);
    expect(bench.node.evacuations.left("us")).toBe(2);
  });

  it.each([
    ["from cn since 2 to 4", ["bob"]],
    ["from cn since 1 to 2", ["ann"]],
  ])("%s: %j", (value, users) => {
    expect(moves(restored(value).tick())).toEqual([users.map((user) => release(user, "us"))]);
  });

  it("give back nobody before it is known up to where", () => {
    expect(moves(restored("ending cn since 1").tick(6_000))).toEqual([]);
  });

  it("only count where they are of a third region", () => {
    const bench = restored("from eu since 1 to 4").tick();
    expect([moves(bench), bench.node.evacuations.left("us")]).toEqual([[], 0]);
  });
});
