/** The batcher's view of the encoder: what fits, what does not, and that a refusal leaves no trace. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Command, PeerProgress } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { decodeFrame, encodeFrame } from "../../replicator/wire/codec.ts";
import { COMMAND_BYTES_MAX, FrameWriter } from "../../replicator/wire/frame-writer.ts";
import { ACCEPT, CLOSE, DIGEST, FORWARD, decoded, frameOf, HEADER, OPEN, PEER, UPDATE } from "./samples.ts";

const writer = new FrameWriter();
const region = (index: number): string => `r${index}`;
const drop = (to: string): Command => ({ kind: "drop", user: "u", to });
/** A peer whose every field is as long as it can be. */
const longest = (index: number): PeerProgress => ({
  ...PEER,
  region: region(index).padEnd(LIMITS.regionBytesMax, "x"),
  logId: "L".repeat(LIMITS.logIdBytesMax),
  position: Number.MAX_SAFE_INTEGER,
  head: Number.MAX_SAFE_INTEGER,
  watermarkMs: -Number.MAX_SAFE_INTEGER,
  heardMs: -Number.MAX_SAFE_INTEGER,
  sinceMs: -Number.MAX_SAFE_INTEGER,
  reason: "r".repeat(LIMITS.reasonBytesMax),
  loopLagMs: -Number.MAX_SAFE_INTEGER,
  visibleP50Ms: -Number.MAX_SAFE_INTEGER,
  visibleP99Ms: -Number.MAX_SAFE_INTEGER,
  visibleP999Ms: -Number.MAX_SAFE_INTEGER,
});

beforeEach(() => {
  writer.begin(HEADER);
});

describe("FrameWriter", () => {
  it("gives the bytes that encodeFrame gives, and knows their number beforehand", () => {
    const commands = [OPEN, UPDATE, FORWARD, ACCEPT, CLOSE];
    for (const command of commands) expect(writer.add(command)).toBe("added");
    expect(writer.commandCount).toBe(5);
    const { byteLength } = writer;
    const bytes = writer.finish();
    expect(bytes.length).toBe(byteLength);
    expect(bytes).toEqual(encodeFrame(frameOf(...commands)));
  });

  it("forgets everything at the next begin, and what it finished stays as it was", () => {
    writer.add(FORWARD);
    const first = writer.finish();
    writer.begin({ ...HEADER, node: "cn-2" });
    expect(writer.commandCount).toBe(0);
    writer.add(drop("us"));
    expect(decodeFrame(writer.finish())).toEqual(
      decoded({ ...HEADER, node: "cn-2", commands: [drop("us")] }),
    );
    expect(decodeFrame(first)).toEqual(decoded(frameOf(FORWARD)));
  });

  it("is full at frameCommandsMax", () => {
    for (let count = 0; count < LIMITS.frameCommandsMax; count++)
      writer.add({ kind: "watermark", peers: [] });
    expect(writer.commandCount).toBe(LIMITS.frameCommandsMax);
    expect(writer.add({ kind: "watermark", peers: [] })).toBe("full");
    const full = decodeFrame(writer.finish());
    expect(full.ok && full.frame.commands.length).toBe(LIMITS.frameCommandsMax);
  });

  it("is full before frameBytesMax is exceeded, and a smaller command may still fit", () => {
    const big: Command = { ...UPDATE, state: "x".repeat(LIMITS.stateBytesMax) };
    while (writer.add(big) === "added");
    const { byteLength, commandCount } = writer;
    expect(byteLength).toBeLessThanOrEqual(LIMITS.frameBytesMax);
    expect(byteLength).toBeGreaterThan(LIMITS.frameBytesMax - 300);
    expect(writer.add(big)).toBe("full");
    expect(writer.byteLength).toBe(byteLength);
    while (writer.add({ kind: "watermark", peers: [] }) === "added");
    expect(writer.byteLength).toBeGreaterThanOrEqual(LIMITS.frameBytesMax - 1);
    expect(writer.commandCount).toBeGreaterThan(commandCount);
    expect(decodeFrame(writer.finish()).ok).toBe(true);
  });

  it("is full at the seventeenth region, and the name refused is spelled when it comes again", () => {
    for (let index = 1; index < LIMITS.regionsMax; index++)
      expect(writer.add(drop(region(index)))).toBe("added");
    expect(writer.add(drop("one-more"))).toBe("full");
    expect(writer.add(drop(region(3)))).toBe("added");
    expect(decodeFrame(writer.finish()).ok).toBe(true);
    writer.begin(HEADER);
    expect(writer.add(drop("one-more"))).toBe("added");
    expect(decodeFrame(writer.finish())).toEqual(decoded(frameOf(drop("one-more"))));
  });

  it("is as it was before a command that cannot be encoded", () => {
    writer.add(OPEN);
    const { byteLength } = writer;
    const bad: Command = { kind: "forward", to: "new-region", command: { ...CLOSE, session: "no spaces" } };
    expect(() => writer.add(bad)).toThrow("cannot encode session");
    expect(writer.byteLength).toBe(byteLength);
    writer.add(drop("new-region"));
    expect(decodeFrame(writer.finish())).toEqual(decoded(frameOf(OPEN, drop("new-region"))));
  });

  it("keeps room for the largest command there can be", () => {
    const before = writer.byteLength;
    const peers = Array.from({ length: LIMITS.regionsMax - 1 }, (_, index) => longest(index));
    expect(writer.add({ kind: "watermark", peers })).toBe("added");
    const perPeer = (writer.byteLength - before) / peers.length;
    expect(perPeer * LIMITS.regionsMax).toBeLessThan(COMMAND_BYTES_MAX);
    writer.begin(HEADER);
    expect(writer.add({ ...DIGEST, at: Number.MAX_SAFE_INTEGER })).toBe("added");
    expect(writer.byteLength).toBeLessThan(COMMAND_BYTES_MAX);
  });

  it("throws when used out of order: add or finish without begin", () => {
    writer.finish();
    expect(() => writer.add(OPEN)).toThrow("begun");
    expect(() => writer.finish()).toThrow("begun");
    expect(() => new FrameWriter().add(OPEN)).toThrow("begun");
    expect(() => writer.begin({ ...HEADER, region: "CN" })).toThrow("cannot encode region");
    expect(() => writer.finish()).toThrow("begun");
  });
});
