/** Frames and commands that tests start from, and arbitrary ones for properties: everything the format can say. */
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { expect } from "vitest";
import {
  type Accept,
  type Claim,
  type Close,
  type Command,
  type Digest,
  END_REASONS,
  type Forward,
  type Frame,
  LINK_STATES,
  type Open,
  type PeerProgress,
  PREFERRED_STATUSES,
  type Region,
  type Release,
  LOGIN_POLICIES,
  SESSION_STATUSES,
  type SettingCommand,
  type Update,
  STANCE_WORDS,
  type Bookmark,
  type Fact,
  type Read,
  type Stance,
  type UserCommand,
} from "../../replicator/core/commands.ts";
import { DIGEST_BYTES } from "../../replicator/core/digest.ts";
import { LIMITS } from "../../replicator/core/limits.ts";

const NOW_MS = 1_767_225_600_000;

export const OPEN: Open = {
  kind: "open",
  user: "user-00042",
  session: {
    session: "Zk3_x-9QfA01",
    region: "cn",
    device: "web",
    platform: "web",
    policy: "multi",
    status: "online",
    state: "",
    sinceMs: NOW_MS + 2,
  },
};
export const UPDATE: Update = {
  kind: "update",
  user: OPEN.user,
  session: OPEN.session.session,
  status: "busy",
  state: '{"room":7}',
};
export const CLOSE: Close = {
  kind: "close",
  user: OPEN.user,
  session: OPEN.session.session,
  reason: "logout",
  by: "",
};
export const CLAIM: Claim = {
  kind: "claim",
  user: OPEN.user,
  epoch: { generation: 0, count: 2 },
  sessions: [OPEN.session],
  preferred: "busy",
  untilMs: NOW_MS + 60_000,
};
export const ASKED: Stance = {
  kind: "stance",
  user: OPEN.user,
  other: "user-00043",
  word: "asked",
  round: 1,
  message: "lunch? – 一起吃饭",
  atMs: NOW_MS,
};
export const READ: Read = { kind: "read", user: "user-00043", other: OPEN.user, round: 1 };
export const BOOKMARK: Bookmark = { kind: "bookmark", user: "user-00043", offset: "cn:812", count: 3 };
export const RELEASE: Release = { kind: "release", user: OPEN.user, to: "us" };
export const FORWARD: Forward = { kind: "forward", to: "us", command: OPEN };
export const ACCEPT: Accept = {
  kind: "accept",
  from: "us",
  lineage: "UsLog1",
  after: 6,
  at: 7,
  command: CLOSE,
};
export const PEER: PeerProgress = {
  region: "us",
  logId: "UsLog1",
  position: 812,
  head: 815,
  watermarkMs: NOW_MS - 120,
  heardMs: NOW_MS - 40,
  state: "catching-up",
  sinceMs: NOW_MS - 5_000,
  reason: "3 frames behind",
  loopLagMs: 181,
  visibleP50Ms: 92,
  visibleP99Ms: 140,
  visibleP999Ms: -1,
};

export const DIGEST: Digest = {
  kind: "digest",
  at: 5_000,
  sums: Uint8Array.from({ length: DIGEST_BYTES }, (_, index) => index * 7),
};
export const SET: SettingCommand = {
  kind: "set",
  key: "link.us",
  value: "paused",
  by: "ops@ex.org",
  reason: "fibre cut – ticket 7",
};

export const HEADER = { region: "cn", logId: "CnLog1", node: "cn-1", committedAtMs: NOW_MS } as const;

export function frameOf(...commands: Command[]): Frame {
  return { ...HEADER, commands };
}

/** The same bytes with a checksum that fits them, so that a test reaches what lies behind it. */
export function withChecksum(bytes: Uint8Array): Uint8Array {
  const fixed = Uint8Array.from(bytes);
  if (fixed.length >= 6) new DataView(fixed.buffer).setUint32(2, crc32(fixed.subarray(6)), true);
  return fixed;
}

const DIGITS_AND_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const id = (alphabet: string, maxLength: number, minLength = 1): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...alphabet.split("")), minLength, maxLength });
export const text = (bytesMax: number, bytesMin = 0): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.string({ unit: "grapheme-ascii", maxLength: bytesMax, size: "max" }),
      fc.string({ unit: "binary", maxLength: bytesMax }),
    )
    .filter((value) => Buffer.byteLength(value) <= bytesMax && Buffer.byteLength(value) >= bytesMin);

export const user = fc.oneof(
  id(`${DIGITS_AND_LETTERS}._:@-`, LIMITS.userBytesMax),
  fc.constantFrom("__proto__", "constructor"),
);
const session = id(`${DIGITS_AND_LETTERS}_-`, LIMITS.sessionBytesMax);
export const logId = id(`${DIGITS_AND_LETTERS}_-`, LIMITS.logIdBytesMax);
export const sums = fc.uint8Array({ minLength: DIGEST_BYTES, maxLength: DIGEST_BYTES });
export const setting = fc.record({
  key: id("abcxyz0189:._-", LIMITS.settingKeyBytesMax),
  value: text(LIMITS.settingValueBytesMax),
  by: text(LIMITS.userBytesMax),
  reason: text(LIMITS.reasonBytesMax),
});
export const safe = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -70, max: 20_000 }), fc.constant(-1));
export const safeFrom0 = fc.oneof(fc.maxSafeNat(), fc.nat(20_000));

export const regionName = fc
  .tuple(id("abcdefghijklmnopqrstuvwxyz", 1), id("abcxyz019-", LIMITS.regionBytesMax - 1, 0))
  .map(([first, rest]) => first + rest);

export const arbitraryFact: fc.Arbitrary<Fact> = fc.oneof(
  fc
    .record({
      user,
      other: user,
      word: fc.constantFrom(...STANCE_WORDS),
      round: safeFrom0,
      message: text(LIMITS.friendMessageBytesMax),
      atMs: safe,
    })
    .map((one) => ({ kind: "stance" as const, ...one, message: one.word === "asked" ? one.message : "" })),
  fc.record({ kind: fc.constant("read" as const), user, other: user, round: safeFrom0 }),
  fc.record({
    kind: fc.constant("bookmark" as const),
    user,
    offset: text(64),
    count: safeFrom0,
  }),
);

export function arbitraryUserCommand(
  region: fc.Arbitrary<Region>,
  committedAtMs: number,
): fc.Arbitrary<UserCommand> {
  const status = fc.constantFrom(...SESSION_STATUSES);
  const state = text(LIMITS.stateBytesMax);
  const sinceMs = safe.filter((ms) => Number.isSafeInteger(ms - committedAtMs));
  const whole = fc.record({
    session,
    region,
    device: text(LIMITS.deviceBytesMax),
    platform: text(LIMITS.platformBytesMax),
    policy: fc.constantFrom(...LOGIN_POLICIES),
    status,
    state,
    sinceMs,
  });
  return fc.oneof(
    arbitraryFact,
    fc.record({ kind: fc.constant("open" as const), user, session: whole }),
    fc.record({ kind: fc.constant("update" as const), user, session, status, state }),
    fc.record({
      kind: fc.constant("close" as const),
      user,
      session,
      reason: fc.constantFrom(...END_REASONS),
      by: text(LIMITS.userBytesMax),
    }),
    fc.record({
      kind: fc.constant("prefer" as const),
      user,
      preferred: fc.constantFrom(...PREFERRED_STATUSES),
      untilMs: safe,
    }),
    fc.record({
      kind: fc.constant("claim" as const),
      user,
      epoch: fc.record({ generation: safeFrom0, count: safeFrom0 }),
      sessions: fc.array(whole, { maxLength: 2 }),
      preferred: fc.constantFrom(...PREFERRED_STATUSES),
      untilMs: safe,
    }),
  );
}

function arbitraryPeer(region: fc.Arbitrary<Region>): fc.Arbitrary<PeerProgress> {
  return fc.record({
    region,
    logId: fc.oneof(fc.constant(""), logId),
    position: safeFrom0,
    head: safeFrom0,
    watermarkMs: safe,
    heardMs: safe,
    state: fc.constantFrom(...LINK_STATES),
    sinceMs: safe,
    reason: text(LIMITS.reasonBytesMax),
    loopLagMs: safe,
    visibleP50Ms: safe,
    visibleP99Ms: safe,
    visibleP999Ms: safe,
  });
}

function arbitraryCommand(
  region: fc.Arbitrary<Region>,
  logs: fc.Arbitrary<string>,
  committedAtMs: number,
): fc.Arbitrary<Command> {
  const command = arbitraryUserCommand(region, committedAtMs);
  const ordinals = fc.uniqueArray(safeFrom0, { minLength: 2, maxLength: 2 });
  return fc.oneof(
    command,
    fc.record({ kind: fc.constant("forward" as const), to: region, command }),
    fc.record({ from: region, lineage: logs, ordinals, command }).map(({ ordinals: pair, ...rest }) => ({
      kind: "accept" as const,
      ...rest,
      after: Math.min(...pair),
      at: Math.max(...pair),
    })),
    fc.record({ kind: fc.constant("drop" as const), user, to: region }),
    fc.record({ kind: fc.constant("release" as const), user, to: region }),
    fc.record({
      kind: fc.constant("watermark" as const),
      peers: fc.uniqueArray(arbitraryPeer(region), { maxLength: 4, selector: (peer) => peer.region }),
    }),
    fc.record({
      kind: fc.constant("renewed" as const),
      logId: logs,
      position: safeFrom0,
      checksum: fc.nat(0xffff_ffff),
    }),
    fc.constant({ kind: "mark" as const }),
    fc.record({ kind: fc.constant("digest" as const), at: safeFrom0, sums }),
    setting.map((rest) => ({ kind: "set" as const, ...rest })),
    fc.record({
      kind: fc.constant("deputed" as const),
      region,
      command: fc.oneof(
        command,
        fc.constant({ kind: "mark" as const }),
        fc.record({ kind: fc.constant("release" as const), user, to: region }),
      ),
    }),
  );
}

/** What decoding the bytes of this frame gives: whatever their checksum is, it is told. */
export function decoded(frame: Frame): object {
  return { ok: true, frame: { ...frame, checksum: expect.any(Number) } };
}

/** Any frame of up to `commandsMax` commands that the format can carry. */
export function arbitraryFrame(commandsMax: number): fc.Arbitrary<Frame> {
  return fc
    .record({
      regions: fc.uniqueArray(regionName, { minLength: 1, maxLength: LIMITS.regionsMax }),
      logs: fc.uniqueArray(logId, { minLength: 1, maxLength: 3 }),
      logId,
      node: text(LIMITS.nodeBytesMax, 1),
      committedAtMs: safe,
    })
    .chain(({ regions, logs, ...header }) =>
      fc.record({
        region: fc.constant(regions[0] ?? "cn"),
        logId: fc.constant(header.logId),
        node: fc.constant(header.node),
        committedAtMs: fc.constant(header.committedAtMs),
        commands: fc.array(
          arbitraryCommand(fc.constantFrom(...regions), fc.constantFrom(...logs), header.committedAtMs),
          { maxLength: commandsMax },
        ),
      }),
    );
}
