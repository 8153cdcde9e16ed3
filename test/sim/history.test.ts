/** What counts of a region's log once an heir has gone on for it, place by place. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { decodeFrame, encodeFrame } from "../../replicator/wire/codec.ts";
import { History } from "./history.ts";
import type { Place } from "./history.ts";

let history: History;
let last: Record<Region, Place | undefined>;

function stored(region: Region, ...commands: Command[]): Place {
  const before = last[region];
  const position = (before?.position ?? 0) + 1;
  const logId = `log-${region}`;
  const bytes = encodeFrame({ region, logId, node: "n", committedAtMs: position, commands });
  const place = history.stored(region, { position, logId, bytes, atMs: 0 }, () => undefined);
  last = { ...last, [region]: place };
  return place;
}

/** The heir says it of cn. */
function decided(value: string): Place {
  return stored("us", { kind: "set", key: "succession.cn", value, by: "ops", reason: "" });
}

function checksumAt(place: Place): string {
  const decoded = decodeFrame(history.at(place)?.bytes ?? new Uint8Array());
  if (!decoded.ok) throw new Error(decoded.detail);
  return (decoded.frame.checksum ?? 0).toString(16);
}

beforeEach(() => {
  history = new History();
  last = {};
});

describe("a place of a region that an heir goes on for", () => {
  it("counts up to where the heir went on, and behind that the heir's beginning does", () => {
    const [kept, lost] = [stored("cn"), stored("cn")];
    stored("us");
    decided("fence 1");
    expect(history.counted(lost)).toBe(lost);
    const beginning = decided(`succeed 1 of log-cn at 1 sum ${checksumAt(kept)}`);
    stored("us");
    expect(history.counted(kept)).toBe(kept);
    const counted = history.counted(lost);
    expect(counted).toMatchObject({
      strand: { region: "cn", writer: "us", logId: "log-us" },
      position: beginning.position,
    });
    expect(history.has(counted, kept)).toBe(true);
    expect(history.has(counted, lost)).toBe(false);
    expect(history.counted(beginning)).toBe(beginning);
  });
});
