/** A log that goes on where another ended: who may follow it, and that nothing of the one is taken for something of the other. */
import { describe, expect, it } from "vitest";
import type { Command, Frame } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { canonical, digestOf, imported, observed, partsOf } from "./observed.ts";
import { recorded } from "./recorded.ts";
import { REGIONS, USERS, accept, close, forward, frame, open, prefer } from "./samples.ts";

const RENEWAL_STEP = 2 ** 32;

/** A frame of the log that goes on. */
function later(region: string, ...commands: Command[]): Frame {
  return { ...frame(region, ...commands), logId: `log-${region}-2` };
}

function renewal(region: string, position: number, logId = `log-${region}`, checksum = 0): Frame {
  return later(region, { kind: "renewed", logId, position, checksum });
}

describe("a renewed log", () => {
  it("is followed by a fold that stands exactly where it goes on", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    give(open("ann", "s2"));
    expect(fold.apply(1, renewal("cn", 2))).toBe("applied");
    expect(fold).toMatchObject({ logId: "log-cn-2", lineage: "log-cn", position: 1 });
    expect(fold.homed("ann")?.sessions).toHaveLength(2);
    expect(fold.apply(2, later("cn", close("ann", "s1")))).toBe("applied");
  });

  const misfits: [string, number, Frame][] = [
    ["that goes on from an earlier position", 1, renewal("cn", 1)],
    ["that goes on from a later position", 1, renewal("cn", 3)],
    ["that goes on from another log", 1, renewal("cn", 2, "another")],
    ["that does not go on from any", 1, later("cn", open("ann", "s3"))],
    ["from its second frame on", 2, later("cn", open("ann", "s3"))],
    ["whose first frame is empty", 1, later("cn")],
  ];
  it.each(misfits)("%s is refused and changes nothing", (_what, position, given) => {
    const { fold, told, give } = recorded();
    give(open("ann", "s1"));
    give(open("ann", "s2"));
    told.length = 0;
    const before = canonical(fold);
    expect(fold.apply(position, given)).toBe("identity");
    expect([canonical(fold), told]).toEqual([before, []]);
  });

  it("is refused by a fold that has heard of nothing, and taken once that was made of a snapshot", () => {
    const there = new Replica(REGIONS);
    there.apply("cn", 1, frame("cn", open("ann", "s1")));
    there.apply("cn", 1, renewal("cn", 1));
    const fresh = new Replica(REGIONS);
    expect(fresh.apply("cn", 1, renewal("cn", 1))).toBe("identity");
    const other = imported(partsOf(there), REGIONS);
    for (const replica of [there, other]) replica.apply("cn", 2, later("cn", open("ann", "s2")));
    expect(observed(other, USERS)).toBe(observed(there, USERS));
  });

  it("is not followed by a fold that stands at another frame of that position: the log lost its end and went on", () => {
    const { fold } = recorded();
    fold.apply(1, { ...frame("cn", open("ann", "s1")), checksum: 7 });
    const before = canonical(fold);
    expect(fold.apply(1, renewal("cn", 1, "log-cn", 8))).toBe("identity");
    expect(canonical(fold)).toEqual(before);
    expect(fold.apply(1, renewal("cn", 1, "log-cn", 7))).toBe("applied");
  });

  it("refuses the frames of the one that ended", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    fold.apply(1, renewal("cn", 1));
    expect(fold.apply(2, frame("cn", close("ann", "s1")))).toBe("identity");
  });

  it("keeps its lineage through any number of renewals, and versions only grow", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    const versions = [fold.version];
    for (const n of [2, 3, 4]) {
      const [logId, before] = [`log-cn-${n}`, n === 2 ? "log-cn" : `log-cn-${n - 1}`];
      const first: Command = { kind: "renewed", logId: before, position: fold.position, checksum: 0 };
      expect(fold.apply(1, { ...frame("cn", first, prefer("ann", "away")), logId })).toBe("applied");
      versions.push(fold.version);
      expect(fold.homed("ann")?.version).toBe(fold.version);
    }
    expect(versions).toEqual([1, RENEWAL_STEP + 1, 2 * RENEWAL_STEP + 1, 3 * RENEWAL_STEP + 1]);
    expect(fold.lineage).toBe("log-cn");
  });

  it("a renewal anywhere but at the beginning is refused", () => {
    const again: Command = { kind: "renewed", logId: "log-cn", position: 1, checksum: 0 };
    const { give } = recorded();
    expect(give(open("ann", "s1"), again)).toEqual([
      "appeared ann",
      "applied open",
      "refused renewed: misplaced",
    ]);
    expect(give(again)).toEqual(["refused renewed: misplaced"]);
  });

  it("gives its forwards ordinals that its lost end cannot have given, to old targets and to new", () => {
    const { fold, told, give } = recorded();
    give(forward("us", open("ann", "s1")), forward("us", open("bob", "s2")));
    fold.apply(1, renewal("cn", 1));
    told.length = 0;
    fold.apply(2, later("cn", forward("us", close("ann", "s1")), forward("eu", close("bob", "s2"))));
    fold.apply(3, later("cn", forward("us", close("bob", "s2"))));
    expect(told).toEqual([
      `forward ${RENEWAL_STEP + 1} to us: close s1`,
      `forward ${RENEWAL_STEP + 1} to eu: close s2`,
      `forward ${RENEWAL_STEP + 2} to us: close s2`,
    ]);
  });

  it("compares a digest of the log that ended with its mark, and with none of its own at the same position", () => {
    const { fold, told, give } = recorded();
    give(open("ann", "s1"));
    give({ kind: "mark" });
    const sums = fold.sums();
    fold.apply(1, renewal("cn", 2));
    fold.apply(2, later("cn", open("bob", "s2"), { kind: "mark" }));
    told.length = 0;
    fold.apply(3, later("cn", { kind: "digest", at: 2, sums }));
    expect(told).toEqual(["compared at 2: "]);
  });
});

/** us forwards twice, the second is in the lost end; cn has accepted both. */
function accepted(): Replica {
  const replica = new Replica(REGIONS);
  replica.apply("us", 1, frame("us", forward("cn", open("ann", "s1", "us"))));
  replica.apply("cn", 1, frame("cn", accept("us", 0, 1, open("ann", "s1", "us"))));
  replica.apply("cn", 2, frame("cn", accept("us", 1, 2, open("ann", "lost", "us"))));
  return replica;
}

describe("forwards of a log that is renewed", () => {
  it("a new one is never taken for the lost one of the same rank: it is pending, and takes effect", () => {
    const replica = accepted();
    expect(replica.apply("us", 1, renewal("us", 1))).toBe("applied");
    const command = open("ann", "s3", "us");
    replica.apply("us", 2, later("us", forward("cn", command)));
    expect([...replica.provisional.queue("us", "cn")].map(({ ordinal }) => ordinal)).toEqual([
      RENEWAL_STEP + 1,
    ]);
    replica.apply("cn", 3, frame("cn", accept("us", 2, RENEWAL_STEP + 1, command)));
    expect(replica.provisional.size).toBe(0);
    expect(replica.view("ann")?.sessions.map(({ session }) => session.session)).toEqual(["s1", "lost", "s3"]);
  });

  it("the lost one, accepted after a new one, is already processed", () => {
    const replica = accepted();
    replica.apply("us", 1, renewal("us", 1));
    replica.apply("cn", 3, frame("cn", accept("us", 2, RENEWAL_STEP + 1, open("ann", "s3", "us"))));
    replica.apply("cn", 4, frame("cn", accept("us", 1, 2, open("ann", "lost", "us"))));
    expect(replica.refusals.get("already-processed")).toBe(1);
  });
});

function set(key: string, value: string): Command {
  return { kind: "set", key, value, by: "op", reason: "because" };
}

describe("settings", () => {
  it("the newest of a key stands, with who, why and when; all of them are in the audit", () => {
    const { fold, give } = recorded();
    give(set("a", "1"), set("b", "2"));
    give(set("a", "3"));
    const decided = { by: "op", reason: "because", atMs: 1_000_000 };
    expect([...fold.settings.values()]).toEqual([
      { key: "a", value: "3", ...decided },
      { key: "b", value: "2", ...decided },
    ]);
    expect(fold.audit.map(({ key, value }) => key + value)).toEqual(["a1", "b2", "a3"]);
  });

  it("the audit keeps the newest decisions alone", () => {
    const { fold, give } = recorded();
    for (let n = 1; n <= LIMITS.auditMax + 2; n++) give(set("a", `${n}`));
    expect(fold.audit).toHaveLength(LIMITS.auditMax);
    expect(fold.audit[0]?.value).toBe("3");
  });

  it("a key too many is refused, a new value of a key that is there is not", () => {
    const { fold, give } = recorded();
    for (let n = 1; n < LIMITS.settingsMax; n++) give(set(`key-${n}`, "1"));
    expect(give(set("one more", "1"))).toEqual(["refused set: too-many-settings"]);
    expect(give(set("key-1", "2"))).toEqual([]);
    expect([fold.settings.size, fold.settings.get("key-1")?.value]).toEqual([LIMITS.settingsMax - 1, "2"]);
    expect(fold.audit.some(({ key }) => key === "one more")).toBe(false);
  });

  it("change the digest, and come with a snapshot", () => {
    const replica = new Replica(REGIONS);
    replica.apply("cn", 1, frame("cn", set("a", "1")));
    const before = replica.folds.map(digestOf);
    replica.apply("cn", 2, frame("cn", set("a", "2")));
    expect(replica.folds.map(digestOf)).not.toEqual(before);
    expect(imported(partsOf(replica), REGIONS).fold("cn")?.settings.get("a")?.value).toBe("2");
  });
});

const S1 = open("ann", "s1", "us");
/** us has forwarded to cn and cn has not been heard; ann has a record in us already. */
function lagging(...forwards: Parameters<typeof forward>[1][]): Replica {
  const replica = new Replica(REGIONS);
  const own = frame("us", open("ann", "s0", "us"), ...forwards.map((one) => forward("cn", one)));
  replica.apply("us", 1, own);
  return replica;
}

describe("a log that applies a command for itself", () => {
  it("has its forwards about the same thing processed, though that was not heard yet", () => {
    const replica = lagging(S1, open("ann", "s2", "us"));
    replica.apply("us", 2, frame("us", open("ann", { ...S1.session, status: "busy" })));
    expect([...replica.provisional.queue("us", "cn")].map(({ ordinal }) => ordinal)).toEqual([2]);
    replica.apply("us", 3, frame("us", close("ann", "s1")));
    expect(replica.view("ann")?.sessions.map(({ session }) => session.session)).toEqual(["s0", "s2"]);
  });

  it("says nothing of forwards about other things, nor of another log's", () => {
    const replica = lagging(S1);
    replica.apply("eu", 1, frame("eu", forward("cn", prefer("ann", "away"))));
    replica.apply("us", 2, frame("us", prefer("ann", "busy")));
    expect(replica.provisional.size).toBe(2);
  });

  it("does so for itself alone: an accepted command was forwarded by somebody who may lag as much", () => {
    const replica = lagging(S1);
    replica.apply("us", 2, frame("us", accept("eu", 0, 1, open("ann", { ...S1.session, status: "busy" }))));
    expect([...replica.provisional.queue("us", "cn")].map(({ ordinal }) => ordinal)).toEqual([1]);
  });

  it("only where the command takes effect: one that changes nothing overtakes nothing", () => {
    const replica = lagging(S1);
    replica.apply("us", 2, frame("us", close("ann", "s1")));
    expect([...replica.provisional.queue("us", "cn")].map(({ ordinal }) => ordinal)).toEqual([1]);
  });

  it("has processed what it sent elsewhere and accepts from there again, though the session is replaced and its end changes nothing", () => {
    const mine = open("ann", "s1", "us", "phone");
    const replica = new Replica(REGIONS);
    replica.apply("us", 1, frame("us", open("ann", "s0", "us"), forward("cn", mine)));
    replica.apply("us", 2, frame("us", accept("cn", 0, 1, mine)));
    expect(replica.provisional.of("ann")).toEqual([]);
    replica.apply("us", 3, frame("us", open("ann", "s2", "us", "phone"), close("ann", "s1")));
    expect(replica.view("ann")?.sessions.map(({ session }) => session.session)).toEqual(["s0", "s2"]);
  });
});
