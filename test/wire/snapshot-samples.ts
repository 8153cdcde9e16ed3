/** Snapshots that tests start from, and arbitrary ones for properties: everything the format can say. */
import * as fc from "fast-check";
import { DIGEST_BYTES } from "../../replicator/core/digest.ts";
import { PREFERRED_STATUSES, LOGIN_POLICIES, SESSION_STATUSES } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { FoldState, RecordState, SnapshotPart } from "../../replicator/core/snapshot.ts";
import {
  encodeSnapshot,
  SnapshotDecoder,
  type SnapshotFault,
} from "../../replicator/wire/snapshot-stream.ts";
import {
  ASKED,
  BOOKMARK,
  READ,
  arbitraryFact,
  arbitraryUserCommand,
  logId,
  regionName,
  safe,
  safeFrom0,
  setting,
  sums,
  text,
  user,
} from "./samples.ts";

export const FOLD: FoldState = {
  region: "cn",
  logId: "CnLog1",
  lineage: "CnLog0",
  position: 812,
  checksum: 0x5eed_c0de,
  base: 0,
  sent: new Map([["us", 7]]),
  processed: new Map([["UsLog1", 9]]),
  settings: new Map([
    [
      "link.us",
      { key: "link.us", value: "paused", by: "ops", reason: "fibre cut – 切断", atMs: 1_767_225_600_000 },
    ],
  ]),
  audit: [],
  users: 2,
  facts: 0,
  sums: new Uint8Array(DIGEST_BYTES).fill(7),
};

export function recordOf(index: number): RecordState {
  return {
    user: `user-${String(index).padStart(7, "0")}`,
    epoch: { generation: 0, count: 1 },
    version: index + 1,
    movedTo: "",
    sessions: [
      {
        session: `s${index.toString(36)}-9QfA01xZ`,
        region: "cn",
        device: "web",
        platform: "web",
        policy: "multi",
        status: "online",
        state: "",
        sinceMs: 1_767_225_600_000 + ((index * 7919) % 3_600_000),
      },
    ],
    preferred: "automatic",
    preferredUntilMs: 0,
    lastSeenMs: 0,
  };
}

export const PARTS: readonly SnapshotPart[] = [
  {
    kind: "head",
    folds: [
      { ...FOLD, facts: 3 },
      { ...FOLD, region: "us", logId: "UsLog1", users: 0 },
    ],
  },
  {
    kind: "pending",
    pendings: [
      {
        pending: {
          from: "us",
          to: "cn",
          ordinal: 10,
          position: 33,
          command: { kind: "close", user: "ann", session: "s1", reason: "logout", by: "" },
        },
        processed: false,
        over: false,
      },
    ],
  },
  { kind: "records", region: "cn", records: [recordOf(1)] },
  {
    kind: "records",
    region: "cn",
    records: [{ ...recordOf(2), movedTo: "us", sessions: [], lastSeenMs: 5 }],
  },
  { kind: "facts", region: "cn", facts: [ASKED, READ, BOOKMARK] },
  { kind: "end" },
];

export async function encoded(parts: Iterable<SnapshotPart>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of encodeSnapshot(parts)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** What a decoder makes of these pieces: its parts, and what is wrong with them. */
export async function decoded(
  pieces: Iterable<Uint8Array>,
): Promise<{ readonly parts: SnapshotPart[]; readonly fault: SnapshotFault | undefined }> {
  const parts: SnapshotPart[] = [];
  const decoder = new SnapshotDecoder((part) => {
    parts.push(part);
  });
  for (const piece of pieces) await decoder.push(piece);
  return { parts, fault: decoder.end() };
}

const session = fc.record({
  session: fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/),
  region: regionName,
  device: text(LIMITS.deviceBytesMax),
  platform: text(LIMITS.platformBytesMax),
  policy: fc.constantFrom(...LOGIN_POLICIES),
  status: fc.constantFrom(...SESSION_STATUSES),
  state: text(LIMITS.stateBytesMax),
  sinceMs: safe,
});

const record: fc.Arbitrary<RecordState> = fc.record({
  user,
  epoch: fc.record({ generation: safeFrom0, count: safeFrom0 }),
  version: safeFrom0,
  movedTo: fc.oneof(fc.constant(""), regionName),
  sessions: fc.array(session, { maxLength: 3 }),
  preferred: fc.constantFrom(...PREFERRED_STATUSES),
  preferredUntilMs: safe,
  lastSeenMs: safe,
});

const kept = setting.chain((rest) => safe.map((atMs) => ({ ...rest, atMs })));

function arbitraryFold(region: string, users: number, facts: number): fc.Arbitrary<FoldState> {
  return fc.record({
    region: fc.constant(region),
    logId: fc.oneof(fc.constant(""), logId),
    lineage: fc.oneof(fc.constant(""), logId),
    position: safeFrom0,
    checksum: fc.nat(0xffff_ffff),
    base: safeFrom0,
    sent: fc.array(fc.tuple(regionName, safeFrom0), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    processed: fc.array(fc.tuple(logId, safeFrom0), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    settings: fc
      .array(kept, { maxLength: 3 })
      .map((settings) => new Map(settings.map((one) => [one.key, one]))),
    audit: fc.array(kept, { maxLength: 3 }),
    users: fc.constant(users),
    facts: fc.constant(facts),
    sums,
  });
}

const pending = fc
  .record({
    pending: fc.record({
      from: regionName,
      to: regionName,
      ordinal: safeFrom0,
      position: safeFrom0,
      command: arbitraryUserCommand(regionName, 0),
    }),
    standing: fc.constantFrom("pending", "processed", "over"),
  })
  .map((one) => ({
    pending: one.pending,
    processed: one.standing === "processed",
    over: one.standing === "over",
  }));

/** Any snapshot of a few folds, with all that it may hold. */
export const arbitrarySnapshot: fc.Arbitrary<readonly SnapshotPart[]> = fc
  .record({
    regions: fc.uniqueArray(regionName, { maxLength: 3 }),
    pendings: fc.array(fc.array(pending, { maxLength: 3 }), { maxLength: 2 }),
    facts: fc.array(arbitraryFact, { maxLength: 3 }),
  })
  .chain(({ regions, pendings, facts }) =>
    fc
      .tuple(...regions.map(() => fc.array(fc.array(record, { maxLength: 3 }), { maxLength: 2 })))
      .chain((batches) => {
        const users = batches.map((ofRegion) => ofRegion.flat().length);
        const folds = fc.tuple(
          ...regions.map((region, index) =>
            arbitraryFold(region, users[index] ?? 0, index === 0 ? facts.length : 0),
          ),
        );
        return folds.map((all): readonly SnapshotPart[] => [
          { kind: "head", folds: all },
          ...pendings.map((some) => ({ kind: "pending" as const, pendings: some })),
          ...regions.flatMap((region, index) =>
            (batches[index] ?? []).map((records) => ({ kind: "records" as const, region, records })),
          ),
          ...regions.slice(0, 1).map((region) => ({ kind: "facts" as const, region, facts })),
          { kind: "end" },
        ]);
      }),
  );
