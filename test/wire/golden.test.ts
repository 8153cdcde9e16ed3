/** The golden vectors hold the codec to the bytes that are already stored in logs. */
import { describe, expect, it } from "vitest";
import type { Command } from "../../replicator/core/commands.ts";
import { decodeFrame, encodeFrame } from "../../replicator/wire/codec.ts";
import { DEPUTED, KIND } from "../../replicator/wire/codes.ts";
import { SCHEMA_VERSION } from "../../replicator/wire/version.ts";
import { GOLDEN_V1 } from "./golden.ts";
import { decoded } from "./samples.ts";

function name(command: Command): string {
  return "command" in command ? `${command.kind} ${command.command.kind}` : command.kind;
}

describe("golden vectors of version 1", () => {
  it.each(GOLDEN_V1)("decodes as released: $name", ({ hex, frame }) => {
    expect(decodeFrame(Buffer.from(hex, "hex"))).toEqual(decoded(frame));
  });

  it.each(GOLDEN_V1)("encodes as released: $name", ({ hex, frame }) => {
    expect(Buffer.from(encodeFrame(frame)).toString("hex")).toBe(hex);
  });

  it("cover every kind of command, each user-command also within a forward and an accept, and what may be said for another region", () => {
    const covered = new Set(GOLDEN_V1.flatMap(({ frame }) => frame.commands.map(name)));
    const userKinds = ["open", "update", "close", "prefer", "claim", "stance", "read", "bookmark"];
    const wrapped = ["forward", "accept"].flatMap((kind) => userKinds.map((inner) => `${kind} ${inner}`));
    const deputed = Object.entries(KIND).filter(([, kind]) => DEPUTED.has(kind));
    for (const [kind] of deputed) wrapped.push(`deputed ${kind}`);
    const plain = Object.keys(KIND).filter((kind) => !["forward", "accept", "deputed"].includes(kind));
    expect([...covered].toSorted()).toEqual([...plain, ...wrapped].toSorted());
  });

  it("are those of the version that is written", () => {
    expect(SCHEMA_VERSION).toBe(1);
  });
});
