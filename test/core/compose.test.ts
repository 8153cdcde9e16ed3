/** A replica put together out of several: each fold as it was where it came from, and the overlay that belongs to the folds chosen. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command, Frame, Region, UserCommand } from "../../replicator/core/commands.ts";
import { composed } from "../../replicator/core/compose.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { canonical, digestOf, imported, observed } from "./observed.ts";
import { holds } from "./property.ts";
import { REGIONS, USERS, accept, close, drop, forward, frame, open, prefer, update } from "./samples.ts";

type Logs = Readonly<Partial<Record<Region, readonly Frame[]>>>;
type Vector = Readonly<Partial<Record<Region, number>>>;

/** Brings the replica as far as the vector says, in every log that it names. */
function bring(replica: Replica, logs: Logs, vector: Vector): Replica {
  for (const [region, to = 0] of Object.entries(vector)) {
    const from = replica.fold(region)?.position ?? 0;
    for (const [index, one] of (logs[region] ?? []).slice(from, to).entries())
      expect(replica.apply(region, from + index + 1, one)).toBe("applied");
  }
  return replica;
}

function at(logs: Logs, vector: Vector): Replica {
  return bring(new Replica(REGIONS), logs, vector);
}

function put(sources: Readonly<Record<"cn" | "eu" | "us", Replica>>): Replica {
  return imported([...composed(new Map(Object.entries(sources)))], REGIONS);
}

/** What is overlaid on the user, as text: those in brackets are processed. */
function overlay(replica: Replica, user: string): string[] {
  const pending = REGIONS.flatMap((from) =>
    REGIONS.flatMap((to) => [...replica.provisional.queue(from, to)]),
  );
  return replica.provisional.of(user).map((one) => {
    const text = `${one.from}>${one.to} ${one.command.kind}`;
    return pending.includes(one) ? text : `(${text})`;
  });
}

function logOf(region: Region, ...commands: Command[]): readonly Frame[] {
  return commands.map((one) => frame(region, one));
}

/** Two replicas are cut off from each other: `here` has more of cn, `there` more of us. */
const APART: Logs = {
  cn: logOf("cn", open("ann", "s1"), open("bob", "s2"), prefer("ann", "busy"), drop("bob", "eu")),
  eu: logOf("eu", open("cleo", "s3", "eu")),
  us: logOf("us", open("dan", "s4", "us"), open("ann", "s5", "us"), close("dan", "s4")),
};

describe("a composed replica", () => {
  it("has each fold, with its digest, from the replica named for it", () => {
    const here = at(APART, { cn: 4, eu: 1, us: 1 });
    const there = at(APART, { cn: 1, us: 3 });
    const made = put({ cn: here, eu: here, us: there });
    const chosen = [here.fold("cn"), here.fold("eu"), there.fold("us")];
    expect(made.folds.map(canonical)).toEqual(chosen.map((fold) => fold && canonical(fold)));
    expect(made.folds.map(digestOf)).toEqual(chosen.map((fold) => fold && digestOf(fold)));
    expect(observed(made, USERS)).toBe(observed(at(APART, { cn: 4, eu: 1, us: 3 }), USERS));
    expect(made.contested).toEqual(new Set(["ann"]));
  });

  it("leaves the replicas as they were, and they go on", () => {
    const [here, there] = [at(APART, { cn: 2 }), at(APART, { us: 2 })];
    const before = [here, there].map((one) => observed(one, USERS));
    put({ cn: here, eu: here, us: there });
    expect([here, there].map((one) => observed(one, USERS))).toEqual(before);
    expect(observed(bring(here, APART, { cn: 4, us: 3 }), USERS)).toBe(
      observed(at(APART, { cn: 4, us: 3 }), USERS),
    );
  });
});

/** us forwards two to cn, which accepts one after the other. */
const FORWARDED: Logs = {
  us: logOf("us", forward("cn", open("ann", "s1", "us")), forward("cn", open("bob", "s2", "us"))),
  cn: logOf("cn", accept("us", 0, 1, open("ann", "s1", "us")), accept("us", 1, 2, open("bob", "s2", "us"))),
};

/** us opens a session at eu and closes it at cn, which alone has heard of it. */
const ABOUT_ONE: Logs = {
  us: logOf("us", forward("eu", open("ann", "s1", "us", "phone")), forward("cn", close("ann", "s1"))),
  cn: logOf("cn", accept("us", 0, 1, close("ann", "s1"))),
  eu: logOf("eu", accept("us", 0, 1, open("ann", "s1", "us", "phone"))),
};

describe("of the forwards in a composed replica", () => {
  it("those are pending that neither the chosen fold of their target nor the one left out has processed", () => {
    const here = at(FORWARDED, { us: 2 });
    const made = put({ cn: here, eu: new Replica(REGIONS), us: here });
    expect(USERS.map((user) => overlay(made, user))).toEqual([["us>cn open"], ["us>cn open"], [], [], []]);
    expect(made.provisional.size).toBe(2);
    expect(made.view("ann")?.sessions).toHaveLength(1);
  });

  it("those that the chosen fold has processed are dropped, though pending where they came from", () => {
    const made = put({
      cn: at(FORWARDED, { us: 2, cn: 1 }),
      eu: new Replica(REGIONS),
      us: at(FORWARDED, { us: 2 }),
    });
    expect(["ann", "bob"].map((user) => overlay(made, user))).toEqual([[], ["us>cn open"]]);
    expect(observed(made, USERS)).toBe(observed(at(FORWARDED, { us: 2, cn: 1 }), USERS));
  });

  it("those that only the fold left out has processed are missing, until the chosen one is as far", () => {
    const there = at(FORWARDED, { us: 2, cn: 2 });
    const made = put({ cn: at(FORWARDED, { cn: 1 }), eu: there, us: there });
    expect([overlay(made, "bob"), made.provisional.size, made.view("bob")]).toEqual([[], 0, undefined]);
    bring(made, FORWARDED, { cn: 2 });
    expect(observed(made, USERS)).toBe(observed(there, USERS));
  });

  it("a processed one stays above an older one about the same thing that is pending, and goes with it", () => {
    const made = put({
      cn: at(ABOUT_ONE, { cn: 1 }),
      eu: new Replica(REGIONS),
      us: at(ABOUT_ONE, { us: 2 }),
    });
    expect([overlay(made, "ann"), made.provisional.size]).toEqual([["us>eu open", "(us>cn close)"], 1]);
    expect(made.online.has("ann")).toBe(false);
    bring(made, ABOUT_ONE, { eu: 1 });
    expect([overlay(made, "ann"), made.provisional.size]).toEqual([[], 0]);
  });

  it("one that the fold left out has processed is pending where it was kept above such a one", () => {
    const there = at(ABOUT_ONE, { us: 2, cn: 1 });
    expect(overlay(there, "ann")).toEqual(["us>eu open", "(us>cn close)"]);
    const made = put({ cn: new Replica(REGIONS), eu: there, us: there });
    expect([overlay(made, "ann"), made.provisional.size]).toEqual([["us>eu open", "us>cn close"], 2]);
    bring(made, ABOUT_ONE, { eu: 1 });
    expect(overlay(made, "ann")).toEqual(["us>cn close"]);
    expect(observed(bring(made, ABOUT_ONE, { cn: 1 }), USERS)).toBe(
      observed(at(ABOUT_ONE, { us: 2, eu: 1, cn: 1 }), USERS),
    );
  });

  it("ordinals count by the lineage of the log that forwards: after a renewal none of the lost end's is taken for a new one", () => {
    const renewed: Frame = {
      ...frame("us", { kind: "renewed", logId: "log-us", position: 1, checksum: 0 }),
      logId: "log-us-2",
    };
    const again: Frame = { ...frame("us", forward("cn", open("bob", "new", "us"))), logId: "log-us-2" };
    const here = at(FORWARDED, { us: 1 });
    for (const [index, one] of [renewed, again].entries()) here.apply("us", index + 1, one);
    const made = put({ cn: at(FORWARDED, { us: 2, cn: 2 }), eu: here, us: here });
    expect(["ann", "bob"].map((user) => overlay(made, user))).toEqual([[], ["us>cn open"]]);
  });
});

const user = fc.constantFrom(...USERS);
const session = fc.constantFrom("s1", "s2", "s3");
const userCommand: fc.Arbitrary<UserCommand> = fc.oneof(
  fc.tuple(user, session, fc.constantFrom("", "phone")).map(([who, id, on]) => open(who, id, "cn", on)),
  fc.tuple(user, session).map(([who, id]) => close(who, id)),
  fc.tuple(user, session).map(([who, id]) => update(who, id, "busy", "{}")),
  fc.tuple(user, fc.nat(3)).map(([who, until]) => prefer(who, "away", until)),
);
const forwarded = fc.array(userCommand, { maxLength: 12 });

/** us forwards to cn and eu in turn as `turns` says, and each of them accepts what it was sent, in order, among commands of its own. */
const logs = fc
  .record({ cn: forwarded, eu: forwarded, own: forwarded, turns: fc.array(fc.boolean(), { maxLength: 24 }) })
  .map(({ cn, eu, own, turns }): Logs => {
    const [toCn, toEu] = [[...cn], [...eu]];
    const sent = turns.flatMap((isFirst) => {
      const one = (isFirst ? toCn : toEu).shift();
      return one === undefined ? [] : [forward(isFirst ? "cn" : "eu", one)];
    });
    const taken = (region: Region): Command[] =>
      sent
        .filter(({ to }) => to === region)
        .flatMap(({ command }, n) => [...own.slice(n, n + 1), accept("us", n, n + 1, command)]);
    return { cn: logOf("cn", ...taken("cn")), eu: logOf("eu", ...taken("eu")), us: logOf("us", ...sent) };
  });
const vector = fc.record({ cn: fc.nat(24), eu: fc.nat(24), us: fc.nat(24) });

describe("whatever was folded", () => {
  it("a replica composed with itself is equal to it", () => {
    holds(
      fc.property(logs, vector, (given, stand) => {
        const one = at(given, stand);
        const made = put({ cn: one, eu: one, us: one });
        expect(observed(made, USERS)).toBe(observed(one, USERS));
      }),
      200,
    );
  });

  it("one composed out of two is, after the rest of the logs, what they are", () => {
    holds(
      fc.property(logs, vector, vector, (given, here, there) => {
        const [one, other] = [at(given, here), at(given, there)];
        const made = put({ cn: one, eu: other, us: other });
        const all = { cn: 48, eu: 48, us: 48 };
        expect(observed(bring(made, given, all), USERS)).toBe(observed(at(given, all), USERS));
      }),
      200,
    );
  });
});
