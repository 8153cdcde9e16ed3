/** Digests: a function of what the records say, whatever way they came to say it, and kept up while they change. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command, UserCommand } from "../../replicator/core/commands.ts";
import {
  BUCKETS,
  DIGEST_BYTES,
  FoldDigest,
  REST_BUCKET,
  bucketOf,
  differingBuckets,
} from "../../replicator/core/digest.ts";
import { FIRST_EPOCH } from "../../replicator/core/homing.ts";
import { UserRecord } from "../../replicator/core/record.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { imported, partsOf } from "./observed.ts";
import { holds } from "./property.ts";
import {
  REGIONS,
  USERS,
  accept,
  close,
  drop,
  forward,
  frame,
  open,
  prefer,
  sessionOf,
  update,
} from "./samples.ts";

function recordOf(user: string, slot = 0): UserRecord {
  const record = new UserRecord(user, { ...FIRST_EPOCH }, slot);
  return Object.assign(record, { version: 7, sessions: [sessionOf("s1", "cn", "phone")] });
}

/** The digest of records alone, taken into it in this order. */
function sumsOf(records: readonly UserRecord[], rest = ""): Uint8Array {
  const digest = new FoldDigest();
  for (const record of records) digest.touch(record);
  return digest.sums(rest);
}

const user = fc.constantFrom(...USERS);
const session = fc.constantFrom("s1", "s2", "s3");
const userCommand: fc.Arbitrary<UserCommand> = fc.oneof(
  fc.tuple(user, session, fc.constantFrom("", "phone")).map(([who, id, on]) => open(who, id, "cn", on)),
  fc.tuple(user, session).map(([who, id]) => close(who, id)),
  fc.tuple(user, session).map(([who, id]) => update(who, id, "busy", "{}")),
  fc.tuple(user, fc.nat(3)).map(([who, until]) => prefer(who, "away", until)),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: userCommand },
  { weight: 2, arbitrary: user.map((who) => drop(who, "us")) },
  { weight: 2, arbitrary: userCommand.map((one) => forward("us", one)) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(5), userCommand).map(([at, one]) => accept("eu", 0, at, one)) },
);

describe("equal records have equal sums", () => {
  it("in whatever slots, and in whatever order they came", () => {
    const records = USERS.map((name, slot) => recordOf(name, slot));
    const reversed = USERS.toReversed().map((name, slot) => recordOf(name, slot));
    expect(sumsOf(records.toReversed())).toEqual(sumsOf(reversed));
  });

  it("however frames interleave, folded from the start or from a snapshot", () => {
    const logs = fc.record({
      cn: fc.array(command, { maxLength: 30 }),
      eu: fc.array(userCommand, { maxLength: 30 }),
      settled: fc.nat(30),
      exported: fc.nat(30),
    });
    holds(
      fc.property(logs, ({ cn, eu, settled, exported }) => {
        const one = new Replica(REGIONS);
        for (const [index, given] of cn.entries()) {
          one.apply("cn", index + 1, frame("cn", given));
          if (index === settled) one.fold("cn")?.digest.settle(1);
        }
        for (const [index, given] of eu.entries()) one.apply("eu", index + 1, frame("eu", given));
        let other = new Replica(REGIONS);
        for (let at = 0; at < Math.max(cn.length, eu.length); at++) {
          const [here, there] = [cn[at], eu[at]];
          if (there !== undefined) other.apply("eu", at + 1, frame("eu", there));
          if (here !== undefined) other.apply("cn", at + 1, frame("cn", here));
          if (at === exported) other = imported(partsOf(other), REGIONS);
        }
        for (const region of ["cn", "eu"])
          expect(one.fold(region)?.sums()).toEqual(other.fold(region)?.sums());
      }),
      150,
    );
  });

  it("settled in slices as at once", () => {
    const records = USERS.map((name, slot) => recordOf(name, slot));
    const digest = new FoldDigest();
    for (const record of records) {
      digest.touch(record);
      digest.touch(record);
      digest.settle(1);
      record.preferred = "busy";
      digest.touch(record);
    }
    digest.settle(2);
    expect(digest.sums("")).toEqual(sumsOf(records));
  });

  it("whatever came first of what is not in records", () => {
    const commands = ["us", "eu", "za"].map((to) => forward(to, open("ann", "s1")));
    const sums = [commands, commands.toReversed()].map((given) => {
      const replica = new Replica(REGIONS);
      replica.apply("cn", 1, frame("cn", ...given));
      return replica.fold("cn")?.sums();
    });
    expect(sums[0]).toEqual(sums[1]);
  });

  it("in more slots than there were at first", () => {
    const many = [0, 1_023, 1_024, 5_000].map((slot) => recordOf(`user-${slot}`, slot));
    const few = many.map((record, slot) => recordOf(record.user, slot));
    expect(sumsOf(many)).toEqual(sumsOf(few));
  });
});

const CHANGES: [string, (record: UserRecord) => object][] = [
  ["version", () => ({ version: 8 })],
  ["version, by 2 ** 32", () => ({ version: 7 + 2 ** 32 })],
  ["epoch's generation", ({ epoch }) => ({ epoch: { ...epoch, generation: 1 } })],
  ["epoch's count", ({ epoch }) => ({ epoch: { ...epoch, count: 2 } })],
  ["new home", () => ({ movedTo: "us" })],
  ["preference", () => ({ preferred: "away" })],
  ["preference's end", () => ({ preferredUntilMs: 1 })],
  ["sessions, one less", () => ({ sessions: [] })],
  ["sessions, one more", ({ sessions }) => ({ sessions: [...sessions, sessionOf("s2")] })],
  ...(["session", "region", "device", "platform", "status", "state"] as const).map(
    (field): [string, (record: UserRecord) => object] => [
      `session's ${field}`,
      ({ sessions: [one] }) => ({ sessions: [{ ...one, [field]: "x" }] }),
    ],
  ),
  ["session's start", ({ sessions: [one] }) => ({ sessions: [{ ...one, sinceMs: 1_001 }] })],
  [
    "two texts' border",
    ({ sessions: [one] }) => ({ sessions: [{ ...one, device: "phonei", platform: "os" }] }),
  ],
];

describe("a change of a record", () => {
  it.each(CHANGES)("of its %s changes exactly its user's bucket", (_field, change) => {
    const record = recordOf("ann");
    const before = sumsOf([record, recordOf("bob", 1)]);
    Object.assign(record, change(record));
    const after = sumsOf([record, recordOf("bob", 1)]);
    expect(differingBuckets(before, after)).toEqual([bucketOf("ann")]);
  });

  it.each(CHANGES)("of its %s without a command is found once, and the sum follows", (_field, change) => {
    const record = recordOf("ann");
    const digest = new FoldDigest();
    digest.touch(record);
    expect(digest.isIntact(record)).toBe(true);
    digest.sums("");
    expect(digest.isIntact(record)).toBe(true);
    Object.assign(record, change(record));
    expect([digest.isIntact(record), digest.isIntact(record)]).toEqual([false, true]);
    expect(digest.sums("")).toEqual(sumsOf([record]));
  });

  it("undone leaves the sums as they were", () => {
    const record = recordOf("ann");
    const digest = new FoldDigest();
    digest.touch(record);
    const before = digest.sums("");
    for (const preferred of ["busy", "automatic"] as const) {
      record.preferred = preferred;
      digest.touch(record);
      digest.settle(1);
    }
    expect(digest.sums("")).toEqual(before);
  });

  it("of the rest of the fold changes the bucket of the rest alone", () => {
    expect(differingBuckets(sumsOf([recordOf("ann")], "a"), sumsOf([recordOf("ann")], "b"))).toEqual([
      REST_BUCKET,
    ]);
  });
});

it("a digest has one sum per bucket and one for the rest, 128 bits each", () => {
  expect([sumsOf([]).length, DIGEST_BYTES]).toEqual([(BUCKETS + 1) * 16, (BUCKETS + 1) * 16]);
});

it("the sums are the same on every machine for ever", () => {
  const sums = sumsOf([recordOf("ann")], "rest");
  const at = bucketOf("ann") * 16;
  const hex = [sums.slice(at, at + 16), sums.slice(-16)].map((sum) => Buffer.from(sum).toString("hex"));
  expect(hex).toMatchInlineSnapshot(`
    [
      "ae03876a4631cbc594d99e3d4498243c",
      "83307ff413c90159e2dac64553510e5c",
    ]
  `);
});

describe("marks", () => {
  const sums = sumsOf([]);

  it("the newest four are remembered", () => {
    const digest = new FoldDigest();
    for (const position of [1, 2, 3, 4, 5]) digest.remember(position, sums);
    expect([1, 2, 3, 4, 5].map((at) => digest.compare(at, sums))).toEqual([undefined, [], [], [], []]);
  });

  it("compared at one, the buckets that differ are named; at a position that is none, nothing is said", () => {
    const digest = new FoldDigest();
    digest.remember(3, sums);
    const other = Uint8Array.from(sums);
    other[16 * 200 + 15] = (sums[16 * 200 + 15] ?? 0) ^ 1;
    expect(digest.compare(3, other)).toEqual([200]);
    expect(digest.compare(4, other)).toBeUndefined();
  });
});
