/** Friends over several logs: one outcome everywhere, at once, across moves, renewals and snapshots. */
import { describe, expect, it } from "vitest";
import type { Command, Frame } from "../../replicator/core/commands.ts";
import { composed } from "../../replicator/core/compose.ts";
import { Replica } from "../../replicator/core/replica.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { ReplicaImport, exportReplica } from "../../replicator/core/transfer.ts";
import { imported, observed, partsOf } from "./observed.ts";
import {
  REGIONS,
  USERS,
  accept,
  bookmark,
  drop,
  forward,
  frame,
  hasRead,
  open,
  says,
  sessionOf,
} from "./samples.ts";

function give(replica: Replica, ...frames: readonly Frame[]): Replica {
  for (const one of frames) {
    const position = (replica.fold(one.region)?.position ?? 0) + 1;
    expect(replica.apply(one.region, position, one)).toBe("applied");
  }
  return replica;
}

function replicaOf(...frames: readonly Frame[]): Replica {
  return give(new Replica(REGIONS), ...frames);
}

const ASK = says("ann", "bob", "asked", 1, { message: "hi" });

it("others are counted who said something of the user, or of whom the user did", () => {
  const { friends } = replicaOf(frame("cn", ASK, says("ann", "eve", "asked")));
  expect(["ann", "bob", "zoe"].map((user) => friends.othersOf(user))).toEqual([2, 1, 0]);
});

describe("two facts of two logs have one outcome", () => {
  const both: [string, Command, Command, object][] = [
    ["crossed requests become friends", ASK, says("bob", "ann", "asked"), { state: "friends" }],
    ["an answer makes friends", ASK, says("bob", "ann", "accepted"), { state: "friends", from: "ann" }],
    [
      "cancel against accept is cancelled",
      says("ann", "bob", "cancelled"),
      says("bob", "ann", "accepted"),
      { state: "cancelled" },
    ],
    [
      "a crossed request outlives the other's cancellation",
      says("ann", "bob", "cancelled"),
      says("bob", "ann", "asked"),
      { state: "requested", from: "bob" },
    ],
    [
      "an answer to an old request is none to the new one",
      says("ann", "bob", "asked", 2),
      says("bob", "ann", "declined", 1),
      { state: "requested", from: "ann", round: 2 },
    ],
  ];
  it.each(both)("%s, whichever comes first, in either region", (_what, ofAnn, ofBob, expected) => {
    for (const [here, there] of [
      ["cn", "us"],
      ["us", "cn"],
    ] as const) {
      const frames = [frame(here, ofAnn), frame(there, ofBob)];
      for (const order of [frames, frames.toReversed()]) {
        const { friends } = replicaOf(...order);
        expect(friends.pairOf("ann", "bob")).toMatchObject(expected);
        expect(friends.pairOf("bob", "ann")).toEqual(friends.pairOf("ann", "bob"));
      }
    }
  });
});

describe("inbox, outbox and friends", () => {
  it("are found from both sides", () => {
    const { friends } = replicaOf(
      frame("cn", ASK, says("cleo", "bob", "asked"), says("dan", "bob", "asked")),
      frame("us", says("bob", "dan", "accepted"), says("bob", "eve", "asked")),
    );
    expect(friends.incomingOf("bob").map(({ other, message }) => [other, message])).toEqual([
      ["ann", "hi"],
      ["cleo", ""],
    ]);
    expect(friends.outgoingOf("bob").map(({ other }) => other)).toEqual(["eve"]);
    expect(friends.friendsOf("bob").map(({ other }) => other)).toEqual(["dan"]);
    expect(friends.outgoingOf("ann").map(({ other }) => other)).toEqual(["bob"]);
    expect(friends.friendsOf("dan").map(({ other }) => other)).toEqual(["bob"]);
    expect([friends.incomingOf("zoe"), friends.inboxOf("zoe")]).toEqual([
      [],
      { requests: [], unread: 0, offset: "", count: 0 },
    ]);
  });

  it("a request is unread until its round was read, and a new one is unread again", () => {
    const replica = replicaOf(
      frame("cn", ASK, says("cleo", "bob", "asked")),
      frame("us", hasRead("bob", "ann", 1)),
    );
    const unread = (): string[] =>
      replica.friends.inboxOf("bob").requests.flatMap((one) => (one.unread ? [one.other] : []));
    expect([unread(), replica.friends.inboxOf("bob").unread]).toEqual([["cleo"], 1]);
    give(
      replica,
      frame("us", bookmark("bob", "here", 2), bookmark("bob", "there", 1), hasRead("bob", "cleo", 1)),
    );
    expect(replica.friends.inboxOf("bob")).toMatchObject({ unread: 0, offset: "here", count: 2 });
    give(replica, frame("cn", says("ann", "bob", "asked", 2)));
    expect(unread()).toEqual(["ann"]);
  });
});

describe("a forward of a fact", () => {
  it("counts at once, and once only when the home has it", () => {
    const replica = replicaOf(frame("cn", open("ann", "s1")), frame("us", forward("cn", ASK)));
    const { friends, provisional } = replica;
    expect(friends.incomingOf("bob")).toHaveLength(1);
    expect([provisional.size, provisional.of("ann"), replica.view("ann")?.sessions]).toEqual([
      1,
      [],
      [{ session: sessionOf("s1"), provisional: false }],
    ]);
    give(replica, frame("cn", accept("us", 0, 1, ASK)));
    expect([provisional.size, friends.pairOf("ann", "bob").state]).toEqual([0, "requested"]);
    give(replica, frame("us", forward("cn", says("ann", "bob", "cancelled"))));
    expect(friends.pairOf("ann", "bob").state).toBe("cancelled");
  });

  it("of which the home was heard first is there already", () => {
    const replica = replicaOf(frame("cn", accept("us", 0, 1, ASK)));
    expect(replica.friends.pairOf("ann", "bob").state).toBe("requested");
    give(replica, frame("us", forward("cn", ASK)));
    expect([replica.provisional.size, replica.friends.pairOf("ann", "bob").state]).toEqual([0, "requested"]);
  });

  it("makes no other redundant, and the home takes each in turn", () => {
    const said = [ASK, says("ann", "bob", "cancelled"), ASK];
    const replica = replicaOf(frame("us", ...said.map((one) => forward("cn", one))));
    expect([...replica.provisional.queue("us", "cn")].map(({ command }) => command)).toEqual(said);
    give(replica, frame("cn", accept("us", 0, 1, ASK)));
    expect(replica.friends.pairOf("ann", "bob").state).toBe("cancelled");
    give(replica, frame("cn", accept("us", 1, 2, said[1] ?? ASK), accept("us", 2, 3, ASK)));
    expect([replica.provisional.size, replica.refusals.get("nothing-new")]).toEqual([0, 1]);
    expect(replica.friends.pairOf("ann", "bob").state).toBe("cancelled");
  });

  it("that is refused for want of room is shown no more", () => {
    const replica = replicaOf(
      frame("cn", ...Array.from({ length: 5_000 }, (_, n) => says("ann", `user-${n}`, "asked"))),
      frame("us", forward("cn", ASK)),
    );
    expect(replica.friends.incomingOf("bob")).toHaveLength(1);
    give(replica, frame("cn", accept("us", 0, 1, ASK)));
    expect([replica.friends.incomingOf("bob"), replica.refusals.get("too-many-facts")]).toEqual([[], 1]);
  });

  it("goes on with the user who has moved, and comes round to where it was sent from", () => {
    const replica = replicaOf(
      frame("cn", open("ann", "s1"), drop("ann", "us")),
      frame("us", forward("cn", ASK)),
      frame("cn", accept("us", 0, 1, ASK)),
    );
    expect([replica.provisional.size, replica.friends.pairOf("ann", "bob").state]).toEqual([2, "requested"]);
    give(replica, frame("us", accept("cn", 0, 1, open("ann", "s1")), accept("cn", 1, 2, ASK)));
    expect([replica.provisional.size, replica.friends.pairOf("ann", "bob").state]).toEqual([0, "requested"]);
  });

  it("is sent to the user's home, or where nobody knows the user, nowhere", () => {
    const replica = replicaOf(frame("cn", open("ann", "s1")));
    expect([replica.route("us", ASK), replica.route("us", says("bob", "ann", "asked"))]).toEqual([
      "cn",
      undefined,
    ]);
  });
});

/** A frame of the log that goes on from that of cn. */
function renewed(...commands: Command[]): Frame {
  return { ...frame("cn", ...commands), logId: "log-cn-2" };
}

/** Something of everything that users say, on both sides of a move, some of it on its way. */
function busy(): Replica {
  return replicaOf(
    frame("cn", ASK, says("ann", "cleo", "asked"), bookmark("ann", "here", 1), drop("ann", "eu")),
    frame("eu", open("ann", "s1", "eu"), says("ann", "cleo", "cancelled"), hasRead("ann", "dan", 1)),
    frame("us", says("dan", "ann", "asked"), forward("eu", says("ann", "dan", "accepted"))),
    frame("us", forward("eu", hasRead("ann", "eve", 3)), forward("eu", open("ann", "s2", "us"))),
  );
}

describe("facts are durable", () => {
  it("facts stay in the log where they were written and merge with those of the next home", () => {
    const { friends } = busy();
    expect(friends.pairOf("ann", "bob").state).toBe("requested");
    expect(friends.pairOf("ann", "cleo").state).toBe("cancelled");
    expect(friends.pairOf("ann", "dan").state).toBe("friends");
    expect(friends.inboxOf("ann")).toMatchObject({ offset: "here", count: 1 });
  });

  it("a snapshot has them all, and what is made of it goes on alike", () => {
    const replica = busy();
    const other = imported(partsOf(replica), REGIONS);
    expect(observed(other, USERS)).toBe(observed(replica, USERS));
    const tail = [
      frame(
        "eu",
        accept("us", 0, 1, says("ann", "dan", "accepted")),
        accept("us", 1, 2, hasRead("ann", "eve", 3)),
      ),
      frame("cn", says("bob", "ann", "accepted")),
    ];
    for (const one of [replica, other]) give(one, ...tail);
    expect(observed(other, USERS)).toBe(observed(replica, USERS));
  });

  it("what is said while a snapshot is read out is not in it", () => {
    const others = Array.from({ length: 2_500 }, (_, n) => `user-${n}`);
    const replica = replicaOf(frame("cn", ...others.map((other, n) => says(`fan-${n % 7}`, other, "asked"))));
    const users = [...others.slice(0, 20), ...others.slice(-20), "fan-1", "fan-6"];
    const before = observed(replica, users);
    const parts: SnapshotPart[] = [];
    for (const part of exportReplica(replica)) {
      parts.push(structuredClone(part));
      const n = parts.length;
      const again = [n, 2_499 - n].flatMap((at) => [
        says(`fan-${at % 7}`, `user-${at}`, "cancelled"),
        says(`fan-${at % 7}`, `user-${at}`, "asked", 2),
      ]);
      give(
        replica,
        frame("cn", ...again, says("new", `user-${n}`, "asked"), says(`fan-1`, `new-${n}`, "asked")),
      );
    }
    expect(parts.filter(({ kind }) => kind === "facts")).toHaveLength(3);
    expect(observed(imported(parts, REGIONS), users)).toBe(before);
  });

  type Facts = Extract<SnapshotPart, { kind: "facts" }>;
  const damages: [string, (part: Facts) => Facts[], RegExp][] = [
    ["a fact less", (part) => [{ ...part, facts: part.facts.slice(1) }], /facts of cn, not 3/],
    ["none", () => [], /0 facts of cn, not 3/],
    [
      "one twice",
      (part) => [{ ...part, facts: [...part.facts.slice(1), ...part.facts.slice(2)] }],
      /2 facts of/,
    ],
    [
      "another word",
      (part) => [{ ...part, facts: part.facts.with(0, says("ann", "bob", "cancelled")) }],
      /cn is damaged in 1 of/,
    ],
    ["an unknown region", (part) => [{ ...part, region: "zz" }], /facts of zz, which the head does not name/],
  ];
  it.each(damages)("a snapshot with %s is refused", (_what, damage, reason) => {
    const intake = new ReplicaImport(REGIONS);
    const parts = partsOf(busy()).flatMap((part): SnapshotPart[] =>
      part.kind === "facts" && part.region === "cn" ? damage(part) : [part],
    );
    const faults = parts.map((part) => intake.take(part)).filter((one) => one !== undefined);
    expect(faults[0]).toMatch(reason);
  });

  it("a composed replica has those of each fold that it is made of", () => {
    const [less, more] = [
      replicaOf(frame("cn", ASK)),
      replicaOf(frame("us", says("bob", "ann", "accepted"))),
    ];
    give(more, frame("us", forward("cn", hasRead("ann", "eve", 1))));
    const sources = new Map([
      ["cn", less],
      ["eu", less],
      ["us", more],
    ]);
    const made = imported([...composed(sources)], REGIONS);
    expect(made.friends.pairOf("ann", "bob")).toMatchObject({ state: "friends", message: "hi" });
    expect([made.provisional.size, made.friends.readOf("ann", "eve")]).toEqual([1, 1]);
    give(less, frame("cn", accept("us", 0, 1, hasRead("ann", "eve", 1))));
    const later = imported([...composed(sources)], REGIONS);
    expect([later.provisional.size, later.friends.readOf("ann", "eve")]).toEqual([0, 1]);
  });

  it("a renewed log goes on with them", () => {
    const replica = busy();
    const position = replica.fold("cn")?.position ?? 0;
    const first = renewed({ kind: "renewed", logId: "log-cn", position, checksum: 0 });
    expect(replica.apply("cn", 1, first)).toBe("applied");
    expect(replica.apply("cn", 2, renewed(says("bob", "ann", "accepted")))).toBe("applied");
    expect(replica.friends.pairOf("ann", "bob")).toMatchObject({ state: "friends", message: "hi" });
    expect(observed(imported(partsOf(replica), REGIONS), USERS)).toBe(observed(replica, USERS));
  });
});
