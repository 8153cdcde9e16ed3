/** Each way in which bytes are refused, by the reason an operator or a replicator gets to see. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { DIGEST_BYTES } from "../../replicator/core/digest.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { decodeFrame, encodeFrame, inspectFrame } from "../../replicator/wire/codec.ts";
import {
  ASKED,
  BOOKMARK,
  READ,
  ACCEPT,
  CLAIM,
  CLOSE,
  DIGEST,
  FORWARD,
  frameOf,
  HEADER,
  OPEN,
  PEER,
  RELEASE,
  SET,
  UPDATE,
  withChecksum,
} from "./samples.ts";

const SOUND = encodeFrame(frameOf(OPEN, UPDATE, FORWARD, ACCEPT, { kind: "watermark", peers: [PEER] }));

function refused(bytes: Uint8Array): string {
  const decoded = decodeFrame(bytes);
  return decoded.ok ? "accepted" : `${decoded.reason}: ${decoded.detail}`;
}

const RENEWED = { kind: "renewed", logId: "CnLog1", position: 1, checksum: 7 } as const;

describe("the envelope", () => {
  it.each([
    ["decodeFrame", decodeFrame],
    ["inspectFrame", inspectFrame],
  ])("%s refuses what is shorter than an envelope as short", (_name, check) => {
    for (let size = 0; size < 7; size++)
      expect(check(SOUND.subarray(0, size))).toMatchObject({ ok: false, reason: "short" });
  });

  it("refuses other magic bytes as magic", () => {
    expect(refused(Buffer.from('{"kind":"open"}'))).toBe("magic: does not begin with RC");
    expect(refused(SOUND.with(1, 0x44))).toMatch(/^magic/);
  });

  it("refuses more than frameBytesMax as too-large, without looking at it", () => {
    const large = new Uint8Array(LIMITS.frameBytesMax + 1);
    large.set(SOUND);
    expect(refused(withChecksum(large))).toBe("too-large: 524289 bytes, at most 524288");
  });

  it("refuses every single flipped bit after the magic as checksum, in the version byte too", () => {
    for (let at = 2; at < SOUND.length; at++)
      for (let bit = 0; bit < 8; bit++)
        expect(refused(SOUND.with(at, (SOUND[at] ?? 0) ^ (1 << bit)))).toMatch(/^checksum/);
  });

  it("refuses every frame that is cut off", () => {
    for (let size = 7; size < SOUND.length; size++)
      expect(refused(SOUND.subarray(0, size))).toMatch(/^checksum/);
  });

  it("refuses a sound frame of another version as version, whatever follows", () => {
    const next = withChecksum(Uint8Array.of(0x52, 0x43, 0, 0, 0, 0, 2, 99));
    expect(refused(next)).toBe("version: schema version 2, this process knows 1");
    expect(inspectFrame(next)).toMatchObject({ ok: false, reason: "version" });
    expect(refused(withChecksum(SOUND.with(6, 0)))).toMatch(/^version/);
  });
});

/** A frame of the given bytes after a sound header: region cn, logId L, node n, committed at 0. */
function frameOfBytes(
  count: number,
  body: readonly number[],
  header = [2, 99, 110, 1, 76, 1, 110, 0],
): Uint8Array {
  const counted = [count & 0xff, (count >>> 8) & 0xff, (count >>> 16) & 0xff, count >>> 24];
  return withChecksum(Uint8Array.from([0x52, 0x43, 0, 0, 0, 0, 1, ...counted, ...header, ...body]));
}

const letters = (length: number): number[] => Array.from({ length }, () => 0x61);
/** `prefer` of user `a` to automatic, with the given bytes as `untilMs`. */
const prefer = (...until: number[]): number[] => [4, 1, 0x61, 0, ...until];
/** `accept` from `us`, log `L`, with the given ordinals, of a `prefer`. */
const accept = (...ordinals: number[]): number[] => [
  6,
  1,
  2,
  0x75,
  0x73,
  0,
  1,
  76,
  ...ordinals,
  ...prefer(0),
];
/** `open` of session `s` of user `a` in the header's region. */
const open = (device: number[], since: number[]): number[] =>
  [[1, 1, 0x61, 1, 0x73, 0], device, [0, 0, 0], since].flat();
/** `claim` of user `a` at epoch (0, 2), with sessions of these bytes. */
const claim = (count: number, sessions: number[]): number[] => [13, 1, 0x61, 0, 2, count, ...sessions, 0, 0];
const peer = (region: number[]): number[] => [...region, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const MAX = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

describe("malformed", () => {
  it("the frames built by hand here are accepted when nothing is wrong with them", () => {
    expect(refused(frameOfBytes(1, prefer(0)))).toBe("accepted");
    expect(refused(frameOfBytes(1, prefer(...MAX, 0x1f)))).toBe("accepted");
    expect(refused(frameOfBytes(1, accept(0, ...MAX, 0x0f)))).toBe("accepted");
    expect(refused(frameOfBytes(1, open([3, 0xe7, 0xbc, 0x96], [0])))).toBe("accepted");
    expect(refused(frameOfBytes(1, [9, 1, 76, 0, 1, 2, 3, 4]))).toBe("accepted");
    expect(refused(frameOfBytes(1, claim(0, [])))).toBe("accepted");
    expect(refused(frameOfBytes(1, claim(1, open([0], [0]).slice(3))))).toBe("accepted");
    expect(refused(frameOfBytes(1, [14, 1, 0x61, 0]))).toBe("accepted");
    expect(refused(frameOfBytes(2, [10, 10]))).toBe("accepted");
    expect(refused(frameOfBytes(1, [11, 0, ...letters(DIGEST_BYTES)]))).toBe("accepted");
    expect(refused(frameOfBytes(1, [12, 1, 0x61, 0, 0, 0]))).toBe("accepted");
    expect(refused(frameOfBytes(1, [8, 2, ...peer([0]), ...peer([1, 1, 0x61])]))).toBe("accepted");
  });

  it.each<[string, RegExp, Uint8Array]>([
    ["no header", /command count: ends too early/, withChecksum(SOUND.subarray(0, 7))],
    ["a header cut off", /logId: ends too early/, withChecksum(SOUND.subarray(0, 16))],
    ["a command that is missing", /command count: more than the bytes can hold/, frameOfBytes(1, [])],
    ["a count far beyond the bytes", /more than the bytes can hold/, frameOfBytes(65_536, prefer(0))],
    ["a count beyond frameCommandsMax", /command count: too many/, frameOfBytes(65_537, prefer(0))],
    ["a count of four billion", /command count: too many/, frameOfBytes(0xffff_ffff, prefer(0))],
    ["a command cut off", /untilMs: ends too early/, frameOfBytes(1, prefer())],
    ["a byte after the last command", /goes on after its last command/, frameOfBytes(1, [...prefer(0), 0])],
    ["one more command than counted", /goes on after/, frameOfBytes(1, [...prefer(0), ...prefer(0)])],
    ["kind 0", /kind: no such command/, frameOfBytes(1, [0, 1, 0x61, 0, 0])],
    ["a kind of the future", /kind: no such command/, frameOfBytes(1, [19, 1, 0x61, 0, 0])],
    ["a watermark for another region", /kind: no such command/, frameOfBytes(1, [18, 0, 8, 0])],
    ["a setting for another region", /kind: no such/, frameOfBytes(1, [18, 0, 12, 1, 0x61, 0, 0, 0])],
    ["what is said for another region within such", /kind: no such/, frameOfBytes(1, [18, 0, 18, 0, 10])],
    ["a forward of a release", /kind: no such command/, frameOfBytes(1, [5, 0, 14, 1, 0x61, 0])],
    ["a release to nowhere", /region: ends too early/, frameOfBytes(1, [14, 1, 0x61])],
    ["a release of nobody", /user: too short/, frameOfBytes(1, [14, 0, 0])],
    ["a claim of 33 sessions", /session count: too many/, frameOfBytes(1, claim(33, letters(400)))],
    ["a claim of fewer sessions than counted", /session: ends/, frameOfBytes(1, [13, 1, 0x61, 0, 2, 1])],
    ["a claim without a count of sessions", /session count: ends/, frameOfBytes(1, [13, 1, 0x61, 0, 2])],
    [
      "a claim at a count in more bytes than needed",
      /count: longer/,
      frameOfBytes(1, [13, 1, 0x61, 0, 0x82, 0, 0, 0, 0]),
    ],
    [
      "a claim to an unknown preferred status",
      /preferred: unknown code/,
      frameOfBytes(1, [13, 1, 0x61, 0, 2, 0, 4, 0]),
    ],
    ["an unknown word", /word: unknown code/, frameOfBytes(1, [15, 1, 0x61, 1, 0x62, 4, 1, 0])],
    [
      "a message of 257 bytes",
      /message: too long/,
      frameOfBytes(1, [15, 1, 0x61, 1, 0x62, 0, 1, 0x81, 2, ...letters(257), 0]),
    ],
    ["a message with an answer", /goes on after/, frameOfBytes(1, [15, 1, 0x61, 1, 0x62, 1, 1, 0, 1, 0x61])],
    ["a stance about nobody", /user: too short/, frameOfBytes(1, [15, 1, 0x61, 0, 0, 1, 0, 0])],
    ["a read without a round", /round: ends too early/, frameOfBytes(1, [16, 1, 0x61, 1, 0x62])],
    [
      "an offset of 513 bytes",
      /offset: too long/,
      frameOfBytes(1, [17, 1, 0x61, 0x81, 4, ...letters(513), 0]),
    ],
    ["a forward of a mark", /kind: no such command/, frameOfBytes(1, [5, 0, 10])],
    ["a renewal without a checksum", /checksum: ends too early/, frameOfBytes(1, [9, 1, 76, 0, 1, 2, 3])],
    ["a renewal without a log", /logId: too short/, frameOfBytes(1, [9, 0, 0])],
    ["a renewal without a position", /position: ends too early/, frameOfBytes(1, [9, 1, 76])],
    ["a digest cut off", /sums: ends too early/, frameOfBytes(1, [11, 0, ...letters(DIGEST_BYTES - 1)])],
    ["a digest too long", /goes on after/, frameOfBytes(1, [11, 0, ...letters(DIGEST_BYTES + 1)])],
    ["a setting without a key", /key: too short/, frameOfBytes(1, [12, 0, 0, 0, 0])],
    ["a setting of a key outside its alphabet", /key: illegal/, frameOfBytes(1, [12, 1, 0x41, 0, 0, 0])],
    ["a key of 65 bytes", /key: too long/, frameOfBytes(1, [12, 65, ...letters(65), 0, 0, 0])],
    [
      "a value of 129 bytes",
      /value: too long/,
      frameOfBytes(1, [12, 1, 0x61, 129, 1, ...letters(129), 0, 0]),
    ],
    ["a forward of a forward", /kind: no such command/, frameOfBytes(1, [5, 0, 5, 0, ...prefer(0)])],
    ["an accept of a drop", /kind: no such/, frameOfBytes(1, [...accept(0, 1).slice(0, -5), 7, 1, 0x61, 0])],
    ["an empty user", /user: too short/, frameOfBytes(1, [4, 0, 0, 0])],
    ["a user of 65 bytes", /user: too long/, frameOfBytes(1, [4, 65, ...letters(65), 0, 0])],
    ["a user that is not all there", /user: ends too early/, frameOfBytes(1, [4, 64, ...letters(9)])],
    ["a user with a space", /user: illegal character/, frameOfBytes(1, [4, 2, 0x61, 0x20, 0, 0])],
    ["a user with a byte beyond ASCII", /user: illegal/, frameOfBytes(1, [4, 1, 0xe9, 0, 0])],
    ["a region in capitals", /region: illegal/, frameOfBytes(0, [], [2, 67, 78, 1, 76, 1, 110, 0])],
    ["a region that starts with a digit", /region: illegal/, frameOfBytes(0, [], [1, 49, 1, 76, 1, 110, 0])],
    ["a region of 17 bytes", /region: too long/, frameOfBytes(0, [], [17, ...letters(17), 1, 76, 1, 110, 0])],
    ["an empty logId in the header", /logId: too short/, frameOfBytes(0, [], [1, 99, 0, 1, 110, 0])],
    ["a logId with a dot", /logId: illegal/, frameOfBytes(0, [], [1, 99, 1, 46, 1, 110, 0])],
    ["an empty node", /node: too short/, frameOfBytes(0, [], [1, 99, 1, 76, 0, 0])],
    ["a session with a colon", /session: illegal/, frameOfBytes(1, [3, 1, 0x61, 1, 0x3a, 0, 0])],
    ["a device of 65 bytes", /device: too long/, frameOfBytes(1, open([65, ...letters(65)], [0]))],
    [
      "a text length in more bytes than needed",
      /device: longer/,
      frameOfBytes(1, open([0x81, 0, 0x61], [0])),
    ],
    ["a text that is not UTF-8", /device: not UTF-8/, frameOfBytes(1, open([1, 0xff], [0]))],
    ["UTF-8 longer than needed", /device: not UTF-8/, frameOfBytes(1, open([2, 0xc1, 0xa1], [0]))],
    ["half a surrogate pair", /device: not UTF-8/, frameOfBytes(1, open([3, 0xed, 0xa0, 0x80], [0]))],
    ["UTF-8 cut off by its length", /device: not UTF-8/, frameOfBytes(1, open([2, 0xe7, 0xbc], [0]))],
    ["an unknown preferred status", /preferred: unknown code/, frameOfBytes(1, [4, 1, 0x61, 4, 0])],
    ["an unknown end reason", /end reason: unknown code/, frameOfBytes(1, [3, 1, 0x61, 1, 0x73, 5, 0])],
    ["a number in more bytes than needed", /untilMs: longer/, frameOfBytes(1, prefer(0x80, 0))],
    ["negative zero", /untilMs: negative zero/, frameOfBytes(1, prefer(0x40))],
    ["a signed number beyond 2^53-1", /untilMs: not a safe/, frameOfBytes(1, prefer(...MAX, 0x20))],
    ["a number beyond 2^53-1", /at: not a safe/, frameOfBytes(1, accept(0, ...MAX, 0x10))],
    ["a number of nine bytes", /at: not a safe/, frameOfBytes(1, accept(0, ...MAX, 0x80, 1))],
    [
      "sinceMs beyond 2^53-1 though its parts are not",
      /sinceMs: not a safe/,
      frameOfBytes(1, open([0], [1]), [2, 99, 110, 1, 76, 1, 110, ...MAX, 0x1f].with(7, 0xbf)),
    ],
    ["at equal to after", /at: not beyond after/, frameOfBytes(1, accept(3, 3))],
    ["at below after", /at: not beyond after/, frameOfBytes(1, accept(4, 3))],
    ["a name number beyond the list", /region: number of no name/, frameOfBytes(1, [7, 1, 0x61, 2, 1, 0x62])],
    ["a name spelled twice", /region: spelled twice/, frameOfBytes(1, [7, 1, 0x61, 1, 2, 99, 110])],
    [
      "a seventeenth name",
      /region: too many names/,
      frameOfBytes(
        16,
        Array.from({ length: 16 }, (_, index) => [7, 1, 0x61, index + 1, 1, 0x61 + index]).flat(),
      ),
    ],
    ["seventeen peers", /peer count: too many/, frameOfBytes(1, [8, 17, ...letters(400)])],
    ["fewer peers than counted", /region: ends too early/, frameOfBytes(1, [8, 2, ...peer([0])])],
    ["a peer reported twice", /peer: reported twice/, frameOfBytes(1, [8, 2, ...peer([0]), ...peer([0])])],
  ])("refuses %s", (_name, expected, bytes) => {
    expect(refused(bytes)).toMatch(/^malformed: /);
    expect(refused(bytes)).toMatch(expected);
  });

  it("inspectFrame refuses a malformed header and leaves a malformed command to decodeFrame", () => {
    expect(inspectFrame(frameOfBytes(0, [], [1, 49, 1, 76, 1, 110, 0]))).toMatchObject({
      ok: false,
      reason: "malformed",
    });
    expect(inspectFrame(frameOfBytes(1, prefer(0x40))).ok).toBe(true);
  });

  it("the detail names field and offset, and nothing of the content", () => {
    expect(refused(frameOfBytes(1, [4, 4, 0x61, 0x62, 0x63, 0x20, 0, 0]))).toBe(
      "malformed: user: illegal character (at byte 21)",
    );
  });
});

describe("encoding refuses, by throwing, what decoding would", () => {
  const session = OPEN.session;
  it.each<[string, Command]>([
    ["a digest of another size", { ...DIGEST, sums: DIGEST.sums.subarray(1) }],
    ["a setting of a key outside its alphabet", { ...SET, key: "Link" }],
    ["a setting of a value too long", { ...SET, value: "v".repeat(129) }],
    ["a renewal with a checksum of five bytes", { ...RENEWED, checksum: 2 ** 32 }],
    ["a renewal with a negative checksum", { ...RENEWED, checksum: -1 }],
    ["a renewal without a log", { ...RENEWED, logId: "" }],
    ["a claim of 33 sessions", { ...CLAIM, sessions: Array.from({ length: 33 }, () => OPEN.session) }],
    ["a claim at half an epoch", { ...CLAIM, epoch: { generation: 0, count: 1.5 } }],
    ["an answer with a message", { ...ASKED, word: "accepted" }],
    ["a message too long", { ...ASKED, message: "é".repeat(129) }],
    ["half a round", { ...ASKED, round: 1.5 }],
    ["a reading of nobody's request", { ...READ, other: "" }],
    ["an offset too long", { ...BOOKMARK, offset: "x".repeat(513) }],
    ["a release to a region outside its alphabet", { ...RELEASE, to: "US" }],
    ["a user outside its alphabet", { ...CLOSE, user: "an n" }],
    ["a user of 65 characters", { ...CLOSE, user: "u".repeat(65) }],
    ["a region outside its alphabet", { ...FORWARD, to: "US" }],
    ["a text with half a surrogate pair", { ...UPDATE, state: "\ud83d" }],
    ["a text too long in UTF-8 only", { ...UPDATE, state: "é".repeat(129) }],
    ["a text too long in ASCII", { ...UPDATE, state: "e".repeat(257) }],
    ["a fraction", { kind: "watermark", peers: [{ ...PEER, loopLagMs: 0.5 }] }],
    ["NaN", { ...OPEN, session: { ...session, sinceMs: Number.NaN } }],
    ["an unsafe integer", { kind: "prefer", user: "u", preferred: "busy", untilMs: 2 ** 53 }],
    ["a negative position", { kind: "watermark", peers: [{ ...PEER, position: -1 }] }],
    ["an accept that follows itself", { ...ACCEPT, after: 7 }],
    ["a peer twice", { kind: "watermark", peers: [PEER, PEER] }],
  ])("%s", (_name, command) => {
    expect(() => encodeFrame(frameOf(command))).toThrow(expect.objectContaining({ name: "InvariantError" }));
  });

  it("a header outside its bounds", () => {
    expect(() => encodeFrame({ ...frameOf(), node: "" })).toThrow("cannot encode node");
    expect(() => encodeFrame({ ...frameOf(), logId: "" })).toThrow("cannot encode logId");
    expect(() => encodeFrame({ ...frameOf(), committedAtMs: HEADER.committedAtMs + 0.5 })).toThrow(
      "cannot encode committedAtMs",
    );
  });
});
