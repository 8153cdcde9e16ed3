/** Properties of the codec: exact round trips, small commands, headers without commands. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command, Frame } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { decodeFrame, encodeFrame, inspectFrame } from "../../replicator/wire/codec.ts";
import { CLOSE, decoded, frameOf, HEADER, OPEN, PEER, arbitraryFrame } from "./samples.ts";
import { testSeed } from "./seed.ts";

const seed = testSeed("codec.test.ts");

describe("round trip", () => {
  it("every frame decodes to itself, and encodes again to the same bytes", () => {
    fc.assert(
      fc.property(arbitraryFrame(8), (frame) => {
        const bytes = encodeFrame(frame);
        const again = decodeFrame(bytes);
        expect(again).toEqual(decoded(frame));
        expect(again.ok && Buffer.from(encodeFrame(again.frame)).equals(bytes)).toBe(true);
      }),
      { seed, numRuns: 1_000 },
    );
  });

  it("every safe integer is exact, whatever field it is in", () => {
    const edge = fc
      .record({ power: fc.nat(53), offset: fc.integer({ min: -2, max: 2 }), sign: fc.constantFrom(1, -1) })
      .map(({ power, offset, sign }) => sign * (2 ** power + offset))
      // No other zero has a place on the wire than the one.
      .map((value) => (value === 0 ? 0 : value))
      .filter((value) => Number.isSafeInteger(value));
    fc.assert(
      fc.property(edge, (value) => {
        const frame = {
          ...frameOf(
            { kind: "prefer", user: "u", preferred: "busy", untilMs: value },
            { kind: "watermark", peers: [{ ...PEER, head: Math.abs(value), loopLagMs: value }] },
            { ...OPEN, session: { ...OPEN.session, sinceMs: 0 } },
          ),
          committedAtMs: value,
        };
        expect(decodeFrame(encodeFrame(frame))).toEqual(decoded(frame));
      }),
      { seed, numRuns: 500 },
    );
  });

  it("a byte order mark at the start of a text survives", () => {
    const frame = frameOf({ ...CLOSE, by: "\uFEFFops" });
    expect(decodeFrame(encodeFrame(frame))).toEqual(decoded(frame));
  });

  it("a frame within a larger buffer decodes in place", () => {
    const bytes = encodeFrame(frameOf(OPEN));
    const padded = new Uint8Array(bytes.length + 20).fill(0xff);
    padded.set(bytes, 13);
    expect(decodeFrame(padded.subarray(13, 13 + bytes.length))).toEqual(decoded(frameOf(OPEN)));
  });

  it("what was decoded does not change with the buffer it came from", () => {
    const bytes = encodeFrame(frameOf(OPEN, CLOSE));
    const before = decodeFrame(bytes);
    bytes.fill(0);
    expect(before).toEqual(decoded(frameOf(OPEN, CLOSE)));
  });
});

/** What one more of a command adds to a frame, in bytes. */
function bytesOf(command: Command): number {
  const many = frameOf(...Array.from({ length: 101 }, () => command));
  return (encodeFrame(many).length - encodeFrame(frameOf(command)).length) / 100;
}

describe("size", () => {
  it("an open of a 10-byte user costs at most 48 bytes, even long after the frame's oldest command", () => {
    expect(bytesOf(OPEN)).toBe(37);
    const late = { ...OPEN, session: { ...OPEN.session, sinceMs: HEADER.committedAtMs + 16_000 } };
    expect(bytesOf(late)).toBeLessThanOrEqual(48);
  });

  it("a close costs at most 32 bytes", () => {
    expect(bytesOf(CLOSE)).toBe(27);
  });

  it("a forward costs 2 bytes more than its command, an accept 5", () => {
    expect(bytesOf({ kind: "forward", to: "us", command: CLOSE })).toBe(bytesOf(CLOSE) + 2);
    const accept = {
      kind: "accept",
      from: "us",
      lineage: "UsLog1",
      after: 1,
      at: 2,
      command: CLOSE,
    } as const;
    expect(bytesOf(accept)).toBe(bytesOf(CLOSE) + 5);
  });

  it("an idle region's watermark of three peers stays under 256 bytes", () => {
    const peers = ["us", "eu", "br"].map((region) => ({
      ...PEER,
      region,
      logId: "Qm3xK9aZ_-Qm3xK9aZ_-ab",
      state: "live" as const,
      reason: "",
    }));
    expect(encodeFrame(frameOf({ kind: "watermark", peers })).length).toBeLessThan(256);
  });
});

describe("inspectFrame", () => {
  it("gives the header and the number of commands", () => {
    expect(inspectFrame(encodeFrame(frameOf(OPEN, CLOSE)))).toEqual({
      ok: true,
      header: { ...HEADER, commandCount: 2, checksum: expect.any(Number) },
    });
  });

  it("agrees with decodeFrame about every sound frame", () => {
    fc.assert(
      fc.property(arbitraryFrame(3), ({ commands, ...header }) => {
        expect(inspectFrame(encodeFrame({ ...header, commands }))).toEqual({
          ok: true,
          header: { ...header, commandCount: commands.length, checksum: expect.any(Number) },
        });
      }),
      { seed, numRuns: 200 },
    );
  });
});

/** A frame whose encoding has this size, in bytes. */
function frameOfSize(size: number): Frame {
  const drops: Command[] = [];
  let missing = size - encodeFrame(frameOf()).length;
  while (missing > 0) {
    // A drop costs 3 bytes and its user; the last two share what is left, so that neither is too short.
    const cost = missing > 2 * 67 ? 67 : missing > 67 ? missing - 30 : missing;
    const user = "u".repeat(Math.min(cost, 67) - 3);
    drops.push({ kind: "drop", user, to: HEADER.region });
    missing -= user.length + 3;
  }
  return frameOf(...drops);
}

it("a frame of exactly frameBytesMax bytes encodes and decodes; one byte more does not encode", () => {
  const bytes = encodeFrame(frameOfSize(LIMITS.frameBytesMax));
  expect(bytes.length).toBe(LIMITS.frameBytesMax);
  expect(decodeFrame(bytes).ok).toBe(true);
  expect(() => encodeFrame(frameOfSize(LIMITS.frameBytesMax + 1))).toThrow("fit into one frame");
});
