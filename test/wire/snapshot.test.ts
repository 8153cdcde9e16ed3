/** Snapshots: exact round trips in pieces of any size, parts of a bounded size, and every way in which a stream is refused. */
import { crc32, deflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { PART_BYTES_MAX, SnapshotWriter } from "../../replicator/wire/snapshot-writer.ts";
import { encodeSnapshot, SnapshotDecoder } from "../../replicator/wire/snapshot-stream.ts";
import { ASKED } from "./samples.ts";
import { testSeed } from "./seed.ts";
import { arbitrarySnapshot, decoded, encoded, FOLD, PARTS, recordOf } from "./snapshot-samples.ts";

const seed = testSeed("snapshot.test.ts");

const text = (bytes: number): string => "é".repeat(bytes / 2);

/** Cut into pieces of these sizes, again and again. */
function* pieces(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = Math.max(1, sizes[index % sizes.length] ?? 1);
    yield bytes.slice(at, at + size);
    at += size;
  }
}

describe("round trip", () => {
  it("every snapshot decodes to itself, in whatever pieces it comes", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(arbitrarySnapshot, sizes, async (parts, cuts) => {
        expect(await decoded(pieces(await encoded(parts), cuts))).toEqual({ parts, fault: undefined });
      }),
      { seed, numRuns: 300 },
    );
  });

  it("a stream that comes byte by byte, in memory used again for each, decodes alike", async () => {
    const bytes = await encoded(PARTS);
    const parts: SnapshotPart[] = [];
    const decoder = new SnapshotDecoder((part) => {
      parts.push(part);
    });
    const piece = new Uint8Array(1);
    for (const byte of bytes) {
      piece[0] = byte;
      await decoder.push(piece);
    }
    expect(decoder.end()).toBeUndefined();
    expect(parts).toEqual(PARTS);
  });

  it("parts are handed out in order, each after the one before was dealt with", async () => {
    let active = 0;
    let activeMax = 0;
    const kinds: string[] = [];
    const decoder = new SnapshotDecoder(async (part) => {
      activeMax = Math.max(activeMax, ++active);
      await new Promise(setImmediate);
      kinds.push(part.kind);
      active--;
    });
    await decoder.push(await encoded(PARTS));
    expect(decoder.end()).toBeUndefined();
    expect(kinds).toEqual(PARTS.map(({ kind }) => kind));
    expect(activeMax).toBe(1);
  });

  it("parts may come from an asynchronous source, and no more are taken than are asked for", async () => {
    let made = 0;
    async function* source(): AsyncGenerator<SnapshotPart> {
      yield { kind: "head", folds: [{ ...FOLD, users: 100 }] };
      for (; made < 100; made++) yield { kind: "records", region: "cn", records: [recordOf(made)] };
      yield { kind: "end" };
    }
    const stream = encodeSnapshot(source());
    await stream.next();
    expect(made).toBeLessThan(10);
    await stream.return();
  });
});

describe("size", () => {
  it("a part that grows too large goes on in the next, and nothing is lost", async () => {
    const state = "x".repeat(LIMITS.stateBytesMax);
    const records = Array.from({ length: 1_000 }, (_, index) => {
      const one = recordOf(index);
      const sessions = Array.from({ length: 32 }, (_unused, nth) =>
        one.sessions.map((session) => ({ ...session, session: `s${nth}`, state })),
      );
      return { ...one, sessions: sessions.flat() };
    });
    const part: SnapshotPart = { kind: "records", region: "cn", records };
    const written = new SnapshotWriter().write(part);
    expect(written.length).toBeGreaterThan(10);
    expect(Math.max(...written.map(({ length }) => length))).toBeLessThan(256 * 1024);
    const head: SnapshotPart = { kind: "head", folds: [{ ...FOLD, users: 1_000 }] };
    const { parts, fault } = await decoded([await encoded([head, part, { kind: "end" }])]);
    expect(fault).toBeUndefined();
    expect(parts.flatMap((one) => (one.kind === "records" ? one.records : []))).toEqual(records);
  });

  it("a part names at most 255 regions, and one record can name 33", () => {
    const records = Array.from({ length: 20 }, (_, index) => {
      const one = recordOf(index);
      const sessions = Array.from({ length: 32 }, (_unused, nth) =>
        one.sessions.map((session) => ({ ...session, region: `r${index}-${nth}` })),
      );
      return { ...one, movedTo: `moved-${index}`, sessions: sessions.flat() };
    });
    expect(new SnapshotWriter().write({ kind: "records", region: "cn", records }).length).toBe(3);
  });

  it("the largest head there can be has room", () => {
    const setting = {
      value: text(LIMITS.settingValueBytesMax),
      by: text(LIMITS.userBytesMax),
      reason: text(LIMITS.reasonBytesMax),
      atMs: -Number.MAX_SAFE_INTEGER,
    };
    const keys = Array.from({ length: LIMITS.auditMax }, (_, index) => String(index).padStart(64, "0"));
    const audit = keys.map((key) => ({ ...setting, key }));
    const settings = new Map(audit.slice(0, LIMITS.settingsMax).map((one) => [one.key, one]));
    const folds = Array.from({ length: LIMITS.regionsMax }, (_, index) => ({
      ...FOLD,
      region: `r${index}`.padEnd(16, "x"),
      logId: "L".repeat(32),
      lineage: "L".repeat(32),
      position: Number.MAX_SAFE_INTEGER,
      base: Number.MAX_SAFE_INTEGER,
      sent: new Map(keys.slice(0, 50).map((key) => [`r${key.slice(-15)}`, Number.MAX_SAFE_INTEGER])),
      processed: new Map(keys.slice(0, 200).map((key) => [key.slice(-32), Number.MAX_SAFE_INTEGER])),
      settings,
      audit,
      users: Number.MAX_SAFE_INTEGER,
    }));
    const [head] = new SnapshotWriter().write({ kind: "head", folds });
    expect(head?.length).toBeGreaterThan(PART_BYTES_MAX / 4);
    expect(head?.length).toBeLessThan(PART_BYTES_MAX);
  });
});

/** A sound frame around these bytes. */
function framed(number: number, part: readonly number[], size = part.length): Uint8Array {
  const packed = deflateRawSync(Uint8Array.from(part));
  const header = Buffer.alloc(19);
  header.write("RS\u0001", "latin1");
  header.writeUInt32LE(number, 3);
  header.writeUInt32LE(size, 7);
  header.writeUInt32LE(packed.length, 11);
  header.writeUInt32LE(crc32(Uint8Array.from(part), crc32(header.subarray(0, 15))), 15);
  return Buffer.concat([header, packed]);
}

const EMPTY_HEAD = framed(0, [1, 0]);
const END = [4];
/** A head of the fold `a` with the given counts and users. */
const CHECKSUM = [1, 2, 3, 4];
const headOf = (...counts: number[]): number[] => [1, 1, 1, 0x61, 0, 0, 0, ...CHECKSUM, 0, ...counts];
const sums = Array.from({ length: FOLD.sums.length }, () => 0);

async function refused(...frames: readonly Uint8Array[]): Promise<string> {
  const { fault } = await decoded(frames);
  return fault === undefined ? "accepted" : `${fault.reason}: ${fault.detail}`;
}

describe("a decoder refuses", () => {
  it("nothing of what is sound", async () => {
    expect(await refused(EMPTY_HEAD, framed(1, END))).toBe("accepted");
    expect(await refused(framed(0, [...headOf(0, 0, 0, 0, 0), ...sums]), framed(1, END))).toBe("accepted");
  });

  it.each<[string, RegExp, readonly Uint8Array[]]>([
    ["nothing at all", /^torn: ends after 0 parts/, []],
    ["a stream without its end", /^torn: ends after 1 parts/, [EMPTY_HEAD]],
    ["a stream cut within a header", /^torn/, [EMPTY_HEAD, framed(1, END).subarray(0, 18)]],
    ["a stream cut within a part", /^torn/, [EMPTY_HEAD, framed(1, END).subarray(0, -1)]],
    ["other magic bytes", /^magic/, [framed(0, END).with(1, 0x43)]],
    ["another version", /^version: version 2, this process knows 1/, [framed(0, END).with(2, 2)]],
    ["a part left out", /^order: part 2 where 1 belongs/, [EMPTY_HEAD, framed(2, END)]],
    ["a part twice", /^order: part 0 where 1 belongs/, [EMPTY_HEAD, EMPTY_HEAD]],
    ["a part without bytes", /^too-large/, [framed(0, [], 0)]],
    ["a part beyond its bound", /^too-large/, [framed(0, END, PART_BYTES_MAX + 1)]],
    ["more compressed than a part can be", /^too-large/, [framed(0, END).with(14, 0xff)]],
    ["a part that is smaller than stated", /^checksum/, [framed(0, END, 2)]],
    ["a part that is larger than stated", /^checksum/, [framed(0, [4, 4, 4], 2)]],
    ["another checksum", /^checksum/, [EMPTY_HEAD.with(15, (EMPTY_HEAD[15] ?? 0) ^ 1)]],
    ["a byte after the end", /^malformed: it goes on/, [EMPTY_HEAD, framed(1, END), Uint8Array.of(0)]],
    ["a part after the end", /^malformed: it goes on/, [EMPTY_HEAD, framed(1, END), framed(2, END)]],
    ["an end without a head", /^malformed: it does not begin with a head/, [framed(0, END)]],
    ["a second head", /^malformed: a second head/, [EMPTY_HEAD, framed(1, [1, 0])]],
    ["a part of the future", /^malformed: part: no such part/, [framed(0, [7])]],
    ["a byte after a part", /^malformed: part: goes on after its end/, [framed(0, [1, 0, 0])]],
    ["seventeen folds", /^malformed: fold count: too many/, [framed(0, [1, 17])]],
    ["fewer folds than counted", /^malformed: region: ends too early/, [framed(0, [1, 1])]],
    [
      "two folds of a region",
      /^malformed: region: has two folds/,
      [framed(0, [1, 2, ...[0, 1].flatMap(() => [...headOf(0, 0, 0, 0, 0).slice(2), ...sums])])],
    ],
    ["a count far beyond the bytes", /^malformed: region: ends/, [framed(0, headOf(0xff, 0xff, 0xff, 0x7f))]],
    ["too many settings", /^malformed: setting count: too many/, [framed(0, headOf(0, 0, 0x81, 2))]],
    ["too long a trail", /^malformed: audit count: too many/, [framed(0, headOf(0, 0, 0, 0xe9, 7))]],
    ["a region counted twice", /^malformed: sent: counted twice/, [framed(0, headOf(2, 1, 97, 1, 1, 97, 1))]],
    ["a digest cut off", /^malformed: sums: ends too early/, [framed(0, headOf(0, 0, 0, 0, 0))]],
    [
      "records of a fold that is not in the head",
      /^malformed: more records than its head says/,
      [EMPTY_HEAD, framed(1, [3, 1, 0, 0, 0, 0, 1, 97, 1, 97, 0, 1, 1, 0, 0, 0, 0, 0])],
    ],
    [
      "fewer records than the head says",
      /^malformed: fewer records than its head says/,
      [framed(0, [...headOf(0, 0, 0, 0, 1), ...sums]), framed(1, END)],
    ],
    [
      "facts of a fold that is not in the head",
      /^malformed: more facts than its head says/,
      [EMPTY_HEAD, framed(1, [6, 1, 0, 0, 0, 0, 1, 97, 16, 1, 97, 1, 98, 1])],
    ],
    [
      "fewer facts than the head says",
      /^malformed: fewer facts than its head says/,
      [framed(0, [5, ...headOf(0, 0, 0, 0, 0).slice(1), 1, ...sums]), framed(1, END)],
    ],
    [
      "a record among facts",
      /^malformed: kind: no fact/,
      [EMPTY_HEAD, framed(1, [6, 1, 0, 0, 0, 0, 1, 97, 1, 1, 97, 1, 98, 1])],
    ],
    [
      "four billion records",
      /^malformed: user: ends too early/,
      [EMPTY_HEAD, framed(1, [3, 255, 255, 255, 255, 0, 1, 97])],
    ],
    [
      "a flag of 2",
      /^malformed: moved: neither/,
      [EMPTY_HEAD, framed(1, [3, 1, 0, 0, 0, 0, 1, 97, 1, 97, 0, 1, 1, 2])],
    ],
    [
      "33 sessions",
      /^malformed: session count/,
      [EMPTY_HEAD, framed(1, [3, 1, 0, 0, 0, 0, 1, 97, 1, 97, 0, 1, 1, 0, 33])],
    ],
  ])("%s", async (_name, expected, frames) => {
    expect(await refused(...frames)).toMatch(expected);
  });

  it("and takes nothing after a fault", async () => {
    let taken = 0;
    const decoder = new SnapshotDecoder(() => {
      taken++;
    });
    await decoder.push(EMPTY_HEAD.with(0, 0));
    await decoder.push(EMPTY_HEAD);
    expect(decoder.fault?.reason).toBe("magic");
    expect(taken).toBe(0);
  });
});

it("encoding refuses, by throwing, what decoding would", () => {
  const writer = new SnapshotWriter();
  const many = Array.from({ length: 33 }, () => recordOf(1).sessions).flat();
  const bad: SnapshotPart[] = [
    { kind: "head", folds: [FOLD, FOLD] },
    { kind: "head", folds: [{ ...FOLD, sums: FOLD.sums.subarray(1) }] },
    { kind: "head", folds: [{ ...FOLD, position: -1 }] },
    {
      kind: "head",
      folds: [
        { ...FOLD, settings: new Map([["other", { key: "k", value: "", by: "", reason: "", atMs: 0 }]]) },
      ],
    },
    { kind: "records", region: "cn", records: [{ ...recordOf(1), sessions: many }] },
    { kind: "records", region: "CN", records: [] },
    { kind: "facts", region: "cn", facts: [{ ...ASKED, word: "accepted" }] },
    { kind: "records", region: "cn", records: [{ ...recordOf(1), user: "no spaces" }] },
  ];
  for (const part of bad)
    expect(() => writer.write(part)).toThrow(expect.objectContaining({ name: "InvariantError" }));
});
