/** Snapshots: what is put together is what was there when the first part was read, or nothing at all. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { DIGEST_BYTES } from "../../replicator/core/digest.ts";
import { Replica } from "../../replicator/core/replica.ts";
import type { FoldState, RecordState, SnapshotPart } from "../../replicator/core/snapshot.ts";
import { ReplicaImport, exportReplica } from "../../replicator/core/transfer.ts";
import { imported, lastSeen, observed, partsOf } from "./observed.ts";
import {
  REGIONS,
  USERS,
  close,
  drop,
  forward,
  frame,
  frameAt,
  open,
  prefer,
  sessionOf,
  update,
} from "./samples.ts";

function replicaOf(...frames: ReturnType<typeof frame>[]): Replica {
  const replica = new Replica(REGIONS);
  for (const one of frames) give(replica, one);
  return replica;
}

function give(replica: Replica, one: ReturnType<typeof frame>): void {
  const position = (replica.fold(one.region)?.position ?? 0) + 1;
  expect(replica.apply(one.region, position, one)).toBe("applied");
}

/** Three logs with something of everything. */
function busy(): Replica {
  return replicaOf(
    frame("cn", open("ann", "s1", "cn", "phone"), open("bob", "s2"), prefer("ann", "busy", 99)),
    frame("eu", open("ann", "s3", "eu"), forward("cn", open("cleo", "s4", "eu")), prefer("dan", "invisible")),
    frame("us", forward("cn", update("bob", "s2", "away")), open("eve", "s5", "us")),
    frame("us", { kind: "set", key: "k", value: "v", by: "op", reason: "why" }, drop("eve", "eu")),
    frameAt(4_711, "cn", close("bob", "s2")),
  );
}

function many(count: number): Replica {
  return replicaOf(
    frame("cn", ...Array.from({ length: count }, (_, n) => open(`user-${n}`, `s${n}`))),
    frame("us", ...Array.from({ length: count }, (_, n) => forward("cn", open(`user-${n}`, `t${n}`, "us")))),
  );
}

describe("an imported replica", () => {
  it("is what the exported one was", () => {
    const replica = busy();
    const other = imported(partsOf(replica), REGIONS);
    expect(observed(other, USERS)).toBe(observed(replica, USERS));
    expect(lastSeen(other, USERS)).toEqual(lastSeen(replica, USERS));
  });

  it("of more than a part holds is whole too", () => {
    const replica = many(2_500);
    const users = Array.from({ length: 2_500 }, (_, n) => `user-${n}`);
    expect(partsOf(replica).map(({ kind }) => kind)).toEqual([
      "head",
      "pending",
      "pending",
      "pending",
      "records",
      "records",
      "records",
      "end",
    ]);
    expect(observed(imported(partsOf(replica), REGIONS), users)).toBe(observed(replica, users));
  });

  it("goes on as the exported one does", () => {
    const replica = busy();
    const other = imported(partsOf(replica), REGIONS);
    const tail: Command[] = [open("ann", "s9"), close("ann", "s1"), prefer("fay", "away"), drop("ann", "eu")];
    for (const command of tail) {
      give(replica, frame("cn", command));
      give(other, frame("cn", command));
      expect(observed(other, USERS)).toBe(observed(replica, USERS));
    }
  });

  it("says of a user without a plain record too when the user was last seen", () => {
    const replica = replicaOf(
      frame("cn", prefer("ann", "invisible"), open("bob", "s1")),
      frame("eu", open("ann", "s2", "eu"), forward("cn", open("bob", "s3", "eu"))),
      frameAt(4_711, "eu", close("ann", "s2"), forward("cn", close("bob", "s3"))),
      frameAt(4_712, "cn", close("bob", "s1")),
    );
    expect(lastSeen(imported(partsOf(replica), REGIONS), USERS)).toEqual(lastSeen(replica, USERS));
    expect(replica.online.lastSeenMs("bob")).toBe(4_712);
  });

  it("of a deployment with a region more knows nothing of that one", () => {
    const grown = imported(partsOf(busy()), [...REGIONS, "za"]);
    expect(grown.fold("za")).toMatchObject({ logId: "", position: 0 });
    expect(observed(imported(partsOf(grown), [...REGIONS, "za"]), USERS)).toBe(observed(grown, USERS));
  });

  it("of a replica that has heard of nothing folds from the start", () => {
    const other = imported(partsOf(new Replica(REGIONS)), REGIONS);
    give(other, frame("cn", open("ann", "s1")));
    expect(other.view("ann")).toMatchObject({ home: "cn", version: 1 });
  });
});

describe("while it is read out", () => {
  it("whatever changes meanwhile comes out as it was, each record once", () => {
    const replica = many(1_500);
    const users = Array.from({ length: 1_500 }, (_, n) => `user-${n}`);
    const before = observed(replica, users);
    const parts: SnapshotPart[] = [];
    for (const part of exportReplica(replica)) {
      parts.push(structuredClone(part));
      const n = parts.length;
      const [early, late] = [`user-${n}`, `user-${1_499 - n}`];
      give(replica, frame("cn", drop(early, "eu"), prefer(late, "busy"), open(`new-${n}`, `n${n}`)));
      give(replica, frame("cn", prefer(late, "away"), open(late, "again"), open(early, "too late")));
    }
    expect(observed(imported(parts, REGIONS), users)).toBe(before);
  });

  it("given up, nothing is kept any more, and it may begin again", () => {
    const replica = busy();
    const reading = exportReplica(replica);
    reading.next();
    reading.return(undefined);
    give(replica, frame("cn", prefer("ann", "away")));
    expect(observed(imported(partsOf(replica), REGIONS), USERS)).toBe(observed(replica, USERS));
  });
});

type Head = Extract<SnapshotPart, { kind: "head" }>;
type Records = Extract<SnapshotPart, { kind: "records" }>;
type Pendings = Extract<SnapshotPart, { kind: "pending" }>;

function change(
  parts: SnapshotPart[],
  how: Partial<{ [K in SnapshotPart["kind"]]: unknown }>,
): SnapshotPart[] {
  return parts.map((part) => ({ ...part, ...Object(how[part.kind]) }));
}

function headOf(parts: readonly SnapshotPart[]): Head {
  const part = parts.find((one) => one.kind === "head");
  if (part === undefined) throw new Error("no head");
  return part;
}

/** Changes the records of cn. */
function records(how: (records: readonly RecordState[]) => readonly RecordState[]) {
  return (parts: SnapshotPart[]): SnapshotPart[] =>
    parts.map((part): SnapshotPart =>
      part.kind === "records" && part.region === "cn"
        ? ({ ...part, records: how(part.records) } satisfies Records)
        : part,
    );
}

function firstFold(how: (state: FoldState) => FoldState) {
  return (parts: SnapshotPart[]): SnapshotPart[] =>
    parts.map((part): SnapshotPart => {
      if (part.kind !== "head") return part;
      return { kind: "head", folds: part.folds.map((fold, index) => (index === 0 ? how(fold) : fold)) };
    });
}

const pendingTo = (from: string, to: string) => (parts: SnapshotPart[]) =>
  parts.map((part): SnapshotPart => {
    if (part.kind !== "pending") return part;
    const pendings = part.pendings.map((one) => ({ ...one, pending: { ...one.pending, from, to } }));
    return { kind: "pending", pendings } satisfies Pendings;
  });

const DAMAGES: [string, (parts: SnapshotPart[]) => SnapshotPart[], RegExp][] = [
  ["no head", (parts) => parts.slice(1), /first part is not the head/],
  ["a second head", (parts) => [headOf(parts), ...parts], /second head/],
  [
    "a region twice in the head",
    (parts) => change(parts, { head: { folds: [...headOf(parts).folds, ...headOf(parts).folds] } }),
    /twice/,
  ],
  [
    "a foreign region in the head",
    firstFold((fold) => ({ ...fold, region: "zz" })),
    /zz is no region of this deployment/,
  ],
  [
    "records of a region that the head does not name",
    (parts) => change(parts, { records: { region: "zz" } }),
    /records of zz/,
  ],
  ["a pending from such a region", pendingTo("zz", "cn"), /forward from zz to cn/],
  ["a pending to such a region", pendingTo("cn", "zz"), /forward from cn to zz/],
  ["missing records", records((all) => all.slice(1)), /1 records of cn, not 2/],
  ["a missing part", (parts) => parts.filter(({ kind }) => kind !== "records"), /0 records of cn, not 2/],
  ["a double record", records((all) => [...all, ...all.slice(0, 1)]), /cn is damaged/],
  ["one record in the place of another", records((all) => all.map(() => all[0] ?? all).flat()), /not 2/],
  ["a record of another region", (parts) => change(parts, { records: { region: "cn" } }), /records of cn/],
  ["a changed version", records((all) => all.map((one) => ({ ...one, version: 77 }))), /damaged in 2 of/],
  [
    "a changed session",
    records((all) => all.map((one) => ({ ...one, sessions: [sessionOf("x")] }))),
    /damaged in 2 of/,
  ],
  ["a changed lineage", firstFold((fold) => ({ ...fold, lineage: "other" })), /damaged in 1 of/],
  ["a changed base", firstFold((fold) => ({ ...fold, base: 1 })), /damaged in 1 of/],
  ["a changed ordinal", firstFold((fold) => ({ ...fold, sent: new Map([["us", 9]]) })), /damaged in 1 of/],
  ["a changed progress", firstFold((fold) => ({ ...fold, processed: new Map([["x", 9]]) })), /damaged in 1/],
  ["wrong sums", firstFold((fold) => ({ ...fold, sums: new Uint8Array(DIGEST_BYTES) })), /damaged in 3 of/],
];

describe("a damaged snapshot is refused, and makes no replica", () => {
  it.each(DAMAGES)("%s", (_what, damage, reason) => {
    const intake = new ReplicaImport(REGIONS);
    let refused: string | undefined;
    for (const part of damage(partsOf(busy()))) {
      refused = intake.take(part);
      if (refused !== undefined) break;
    }
    expect(refused).toMatch(reason);
    expect(intake.result).toBeUndefined();
  });

  it("without its end there is no result", () => {
    const intake = new ReplicaImport(REGIONS);
    for (const part of partsOf(busy()).slice(0, -1)) expect(intake.take(part)).toBeUndefined();
    expect(intake.result).toBeUndefined();
  });

  it("a part after the end", () => {
    const intake = new ReplicaImport(REGIONS);
    for (const part of partsOf(busy())) intake.take(part);
    expect(intake.take({ kind: "end" })).toBe("a part follows the end");
  });
});
