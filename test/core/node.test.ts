/** The duties of a node: accept, drop, watermark, ending of preferences. Each may be repeated, none is forgotten. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { DIGEST_BYTES } from "../../replicator/core/digest.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { Duty } from "../../replicator/core/node-events.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { Bench } from "./node-bench.ts";
import { REGIONS, accept, close, drop, forward, frame, frameAt, open, prefer, sessionOf } from "./samples.ts";

const FROM_US: Duty = { kind: "accept", from: "us" };
const OPEN = open("ann", "s1", "us");

describe("accepting", () => {
  it("a forward to this region is accepted as soon as it is folded, tagged with its log and ordinal", () => {
    const bench = new Bench().fold("us", forward("cn", OPEN));
    expect(bench.take("accept")).toEqual([[accept("us", 0, 1, OPEN)]]);
  });

  it("a forward to another region is not accepted", () => {
    expect(new Bench().fold("us", forward("eu", OPEN)).tick(60_000).take("accept")).toEqual([]);
  });

  it("nothing is accepted by a replica that was found wrong, until another takes its place", () => {
    const bench = new Bench().fold("us", OPEN);
    const held = bench.node.replica.fold("us")?.table.get("ann");
    bench.tick();
    if (held !== undefined) held.preferredUntilMs = 7;
    bench.fold("us", { kind: "release", user: "ann", to: "cn" });
    expect(bench.told).toContainEqual({ kind: "corrupt", region: "us", user: "ann" });
    expect(bench.tick(60_000).take("accept")).toEqual([]);
    const sound = new Replica(REGIONS.toSorted());
    sound.apply("us", 1, frame("us", OPEN));
    sound.apply("us", 2, frame("us", { kind: "release", user: "ann", to: "cn" }));
    const accepted = bench.give({ kind: "adopt", replica: sound }).take("accept");
    expect(accepted).toMatchObject([[{ kind: "accept", command: { kind: "claim", untilMs: 0 } }]]);
  });

  it("a record that changed by itself is found before a command writes it, after which nothing would show it", () => {
    const bench = new Bench().fold("us", OPEN).tick();
    const held = bench.node.replica.fold("us")?.table.get("ann");
    if (held !== undefined) held.preferredUntilMs = 7;
    bench.fold("us", open("ann", "s2", "us"));
    expect(bench.told).toContainEqual({ kind: "corrupt", region: "us", user: "ann" });
  });

  it("nothing is accepted while another node's digest says that the replica is wrong", () => {
    const bench = new Bench().fold("us", { kind: "mark" });
    bench.fold("us", { kind: "digest", at: 1, sums: new Uint8Array(DIGEST_BYTES) });
    expect(bench.told).toMatchObject([{ kind: "compared", region: "us" }]);
    expect(bench.fold("us", forward("cn", OPEN)).tick(60_000).take("accept")).toEqual([]);
  });

  it("nothing is accepted before the node has caught up, and everything at once then", () => {
    const bench = new Bench(false).fold("us", forward("cn", OPEN), forward("cn", close("bob", "x")));
    expect(bench.tick(60_000).take("accept")).toEqual([]);
    bench.give({ kind: "caught-up" });
    expect(bench.take("accept")).toEqual([[accept("us", 0, 1, OPEN), accept("us", 1, 2, close("bob", "x"))]]);
  });

  it("one append per peer is under way at a time; what comes meanwhile goes with the next", () => {
    const bench = new Bench().fold("us", forward("cn", OPEN));
    bench.take("accept");
    const second = open("bob", "s2", "us");
    expect(bench.fold("us", forward("cn", second)).tick(250).take("accept")).toEqual([]);
    expect(bench.settle(FROM_US, true).take("accept")).toEqual([[accept("us", 1, 2, second)]]);
  });

  it("one that failed is accepted again with the next tick", () => {
    const bench = new Bench().fold("us", forward("cn", OPEN));
    bench.take("accept");
    bench.settle(FROM_US, false);
    expect(bench.tick(50).take("accept")).toEqual([[accept("us", 0, 1, OPEN)]]);
  });

  it("one that was acknowledged and never folded is accepted again after 5 s", () => {
    const bench = new Bench().fold("us", forward("cn", OPEN));
    bench.take("accept");
    bench.settle(FROM_US, true);
    expect(bench.tick(5_000).take("accept")).toEqual([]);
    expect(bench.tick(1).take("accept")).toEqual([[accept("us", 0, 1, OPEN)]]);
  });

  it("what another node of the region accepted is not accepted again", () => {
    const bench = new Bench(false).fold("us", forward("cn", OPEN)).fold("cn", accept("us", 0, 1, OPEN));
    expect(bench.give({ kind: "caught-up" }).tick(60_000).take("accept")).toEqual([]);
  });

  it("a superseded forward is left out, and the accept spans it", () => {
    const bench = new Bench(false);
    const updated: Command[] = (["away", "busy"] as const).map((status) =>
      forward("cn", { kind: "update", user: "ann", session: "s1", status, state: "" }),
    );
    bench.fold("us", forward("cn", OPEN), ...updated).give({ kind: "caught-up" });
    expect(bench.take("accept")[0]?.map((one) => one.kind === "accept" && [one.after, one.at])).toEqual([
      [0, 1],
      [1, 3],
    ]);
  });

  it("at most 1,000 go in one append, and the next follow it", () => {
    const many = Array.from({ length: 1_500 }, (_, n) => forward("cn", open(`user-${n}`, `s${n}`, "us")));
    const bench = new Bench().fold("us", ...many);
    expect(bench.take("accept").map(({ length }) => length)).toEqual([1_000]);
    expect(
      bench
        .settle(FROM_US, true)
        .take("accept")
        .map(({ length }) => length),
    ).toEqual([500]);
  });
});

/** Two logs claim the user; the winner is whoever ranks higher. */
function contested(): { bench: Bench; loser: string; winner: string } {
  for (let n = 0; n < 1_000; n++) {
    const user = `user-${n}`;
    const bench = new Bench().fold("cn", open(user, "s1")).fold("us", open(user, "s2", "us"));
    const winner = bench.node.replica.winner(user);
    if (winner === "us") return { bench, loser: user, winner };
  }
  throw new Error("us wins nobody of a thousand");
}

describe("giving up a lost claim", () => {
  it("the loser's region appends a drop to the winner, the winner's region none", () => {
    const { bench, loser, winner } = contested();
    expect(bench.tick().take("drop")).toEqual([[drop(loser, winner)]]);
    const other = new PresenceNode("us", REGIONS);
    other.step({ kind: "caught-up" }, { monoMs: 1, wallMs: 1 });
    for (const log of [frame("cn", open(loser, "s1")), frame("us", open(loser, "s2", "us"))]) {
      other.step({ kind: "frame", region: log.region, position: 1, frame: log }, { monoMs: 1, wallMs: 1 });
    }
    const effects = other.step({ kind: "tick" }, { monoMs: 300, wallMs: 300 });
    expect(effects.filter((one) => one.kind === "append" && one.duty.kind === "drop")).toEqual([]);
  });

  it("one whose outcome was never folded is appended again after 5 s, not before", () => {
    const { bench, loser, winner } = contested();
    bench.tick().take("drop");
    expect(bench.settle({ kind: "drop" }, false).tick(5_000).take("drop")).toEqual([]);
    expect(bench.tick(1).take("drop")).toEqual([[drop(loser, winner)]]);
  });

  it("nothing more is dropped once the drop is folded", () => {
    const { bench, loser, winner } = contested();
    bench.tick().fold("cn", drop(loser, winner)).take("drop");
    expect(bench.tick(60_000).take("drop")).toEqual([]);
    expect(bench.node.replica.contested.size).toBe(0);
  });
});

describe("watermarks", () => {
  it("are appended each 250 ms, busy or idle", () => {
    const bench = new Bench().settle({ kind: "watermark" }, true);
    let count = 0;
    for (let ms = 0; ms < 10_000; ms += 50) {
      if (ms % 1_000 < 500) bench.fold("us", open(`user-${ms}`, `s${ms}`, "us"));
      const taken = bench.tick(50).take("watermark").length;
      count += taken;
      if (taken > 0) bench.settle({ kind: "watermark" }, true);
    }
    expect(count).toBe(10_000 / LIMITS.watermarkMs);
  });

  it("never more than one is under way, and the next follows a failure too", () => {
    const bench = new Bench();
    expect(bench.tick(60_000).take("watermark")).toEqual([]);
    expect(bench.settle({ kind: "watermark" }, false).tick().take("watermark")).toHaveLength(1);
  });

  it("none is appended while the region is to be silent; its other duties go on", () => {
    const bench = new Bench()
      .settle({ kind: "watermark" }, true)
      .pass(60_000)
      .give({ kind: "tick", silent: true });
    expect(bench.take("watermark")).toEqual([]);
    expect(bench.fold("us", forward("cn", OPEN)).take("accept")).toHaveLength(1);
    expect(bench.tick().take("watermark")).toHaveLength(1);
  });

  it("none is appended with a replica that takes the place of another: the driver has not looked at it", () => {
    const bench = new Bench().settle({ kind: "watermark" }, true).pass(60_000);
    expect(bench.give({ kind: "adopt", replica: new Replica(REGIONS.toSorted()) }).take("watermark")).toEqual(
      [],
    );
    expect(bench.tick().take("watermark")).toHaveLength(1);
  });

  it("none is appended before the node has caught up", () => {
    expect(new Bench(false).tick(60_000).take("watermark")).toEqual([]);
  });

  it("says how far every peer is folded", () => {
    const bench = new Bench().settle({ kind: "watermark" }, true).fold("us", OPEN);
    const [watermark] = bench.tick(250).take("watermark")[0] ?? [];
    expect(watermark).toMatchObject({
      kind: "watermark",
      peers: [
        { region: "eu", position: 0 },
        { region: "us", position: 1 },
      ],
    });
  });
});

describe("a preference with an end", () => {
  const untilMs = 1_000_000 + 12_000;

  it("ends at its time, by the home's clock", () => {
    const bench = new Bench().fold("cn", prefer("ann", "busy", untilMs));
    expect(bench.tick(1_999).take("automatic")).toEqual([]);
    expect(bench.tick(1).take("automatic")).toEqual([[prefer("ann", "automatic")]]);
  });

  it("is ended again after 5 s when that was never folded, and not once it was", () => {
    const bench = new Bench().fold("cn", prefer("ann", "busy", untilMs)).tick(2_000);
    bench.take("automatic");
    expect(bench.tick(4_999).take("automatic")).toEqual([]);
    expect(bench.tick(1).take("automatic")).toHaveLength(1);
    expect(bench.fold("cn", prefer("ann", "automatic")).tick(60_000).take("automatic")).toEqual([]);
  });

  it("is the home's to end, not another region's", () => {
    expect(
      new Bench()
        .fold("us", prefer("ann", "busy", untilMs))
        .tick(60_000)
        .take("automatic"),
    ).toEqual([]);
  });

  it("a newer preference without an end is left alone", () => {
    const bench = new Bench().fold("cn", prefer("ann", "busy", untilMs), prefer("ann", "away"));
    expect(bench.tick(60_000).take("automatic")).toEqual([]);
  });

  it("of a user that was given up is ended by the new home alone", () => {
    const bench = new Bench().fold("cn", prefer("ann", "busy", untilMs), drop("ann", "us"));
    expect(bench.tick(60_000).take("automatic")).toEqual([]);
  });
});

describe("what the service is told", () => {
  it("of its own region's sessions: opened in a log, by whichever log they come", () => {
    const here = sessionOf("s1", "cn");
    const bench = new Bench().fold("us", open("ann", here), open("bob", "s2", "us"));
    expect(bench.told).toEqual([{ kind: "opened", user: "ann", session: here }]);
  });

  it("of a session's end, by its home only: a forwarded close is no end yet", () => {
    const bench = new Bench()
      .fold("us", open("ann", "s1", "cn"))
      .fold("eu", forward("us", close("ann", "s1")));
    expect(bench.told.filter(({ kind }) => kind === "ended")).toEqual([]);
    bench.fold("us", accept("eu", 0, 1, close("ann", "s1")));
    expect(bench.told.find(({ kind }) => kind === "ended")).toMatchObject({
      user: "ann",
      ended: { reason: "logout" },
    });
  });

  it("of the close of a session that its home does not have, as its opening was left out on the way", () => {
    const first = close("ann", "s1", "forced", "operator");
    const second = close("ann", "s2", "forced", "operator");
    const bench = new Bench()
      .fold("us", forward("eu", open("ann", "s1")), forward("eu", first))
      .fold("us", forward("eu", open("ann", "s2")), forward("eu", second));
    expect(bench.told.filter(({ kind }) => kind === "closed")).toEqual([]);
    bench.fold("eu", accept("us", 0, 2, first), open("ann", "s3", "eu"), accept("us", 2, 4, second));
    expect(bench.told.filter(({ kind }) => kind === "closed")).toEqual(
      [first, second].map((one) => ({ kind: "closed", close: one, unsaid: true })),
    );
  });

  it("whether this region's log has sent the close that ended a session, as far as it is folded", () => {
    const expiry = close("ann", "s1", "expired");
    const opened = new Bench().fold("us", open("ann", "s1", "cn"));
    expect(opened.fold("us", accept("cn", 0, 1, expiry)).told.at(-1)).toMatchObject({
      kind: "ended",
      unsaid: true,
    });
    const sent = new Bench().fold("us", open("ann", "s1", "cn")).fold("cn", forward("us", expiry));
    expect(sent.fold("us", accept("cn", 0, 1, expiry)).told.at(-1)).toMatchObject({
      kind: "ended",
      unsaid: false,
    });
    const own = new Bench().fold("cn", open("ann", "s1", "cn"), expiry);
    expect(own.told.at(-1)).toMatchObject({ kind: "ended", unsaid: false });
    const other = new Bench().fold("us", open("ann", "s1", "cn"), open("ann", "s2", "cn"));
    other.fold("cn", forward("us", close("ann", "s2"))).fold("us", accept("cn", 0, 1, expiry));
    expect(other.told.at(-1)).toMatchObject({ kind: "ended", unsaid: true });
    const gone = new Bench().fold("us", open("ann", "s2", "us")).fold("cn", forward("us", expiry), expiry);
    expect(gone.told.filter(({ kind }) => kind === "closed")).toMatchObject([{ unsaid: false }]);
    expect(gone.fold("us", accept("cn", 0, 1, expiry)).told.at(-1)).toMatchObject({
      kind: "closed",
      unsaid: false,
    });
  });

  it("of a user's last session going, with the commit time of the frame that ended it", () => {
    const bench = new Bench().fold("us", open("ann", "s1", "us"));
    bench.frame(frameAt(4_711, "us", close("ann", "s1")));
    expect(bench.node.replica.online.lastSeenMs("ann")).toBe(4_711);
  });

  it("nothing is opened while the logs are folded at the start; the live sessions are told once caught up", () => {
    const bench = new Bench(false);
    bench.fold("cn", open("ann", "s1"), open("ann", "s2"), close("ann", "s1"));
    bench.fold("us", forward("eu", open("bob", "s3", "cn")), open("cleo", "s4", "us"));
    expect(bench.told.filter(({ kind }) => kind === "opened")).toEqual([]);
    bench.give({ kind: "caught-up" });
    const opened = bench.told.flatMap((one) => (one.kind === "opened" ? [one.session.session] : []));
    expect(new Set(opened)).toEqual(new Set(["s2", "s3"]));
  });

  it("of a refused frame, but not of a duplicate", () => {
    const bench = new Bench().fold("us", OPEN);
    bench.give({ kind: "frame", region: "us", position: 1, frame: frame("us", OPEN) });
    expect(bench.told).toEqual([]);
    bench.give({ kind: "frame", region: "us", position: 9, frame: frame("us", OPEN) });
    bench.give({ kind: "frame", region: "nowhere", position: 1, frame: frame("nowhere") });
    expect(bench.told).toEqual([
      { kind: "refused", region: "us", position: 9, reason: "gap" },
      { kind: "refused", region: "nowhere", position: 1, reason: "authority" },
    ]);
  });
});

describe("catching up", () => {
  it("tells nothing of a user who was given up with nothing, and has not been heard of elsewhere", () => {
    const bench = new Bench(false).fold("cn", open("ann", "s1"), close("ann", "s1"), drop("ann", "us"));
    bench.give({ kind: "caught-up" });
    expect(bench.node.replica.view("ann")).toBeUndefined();
    expect(bench.told.filter(({ kind }) => kind === "opened")).toEqual([]);
  });

  it("to more than a thousand lost claims, they are given up a thousand at a time", () => {
    const users = Array.from({ length: 3_000 }, (_, n) => `user-${n}`);
    const bench = new Bench(false);
    bench.fold("cn", ...users.map((user) => open(user, `c-${user}`)));
    bench.fold("us", ...users.map((user) => open(user, `u-${user}`, "us")));
    const lost = users.filter((user) => bench.node.replica.winner(user) === "us").length;
    expect(lost).toBeGreaterThan(1_000);
    bench.give({ kind: "caught-up" }).tick(50).tick(50);
    expect(bench.take("drop").map(({ length }) => length)).toEqual([1_000, lost - 1_000]);
  });
});
