/** What snapshots say of logs that are read for another region, which of them lead on there, and how far such a log is truncated. */
import { describe, expect, it } from "vitest";
import { doneIn, formatLabel, parseLabel, positionIn } from "../../../replicator/runtime/snapshot-label.ts";
import type { SnapshotLabel } from "../../../replicator/runtime/snapshot-label.ts";
import { standIn } from "../../../services/presence/heirs-log.ts";
import { Snapshots } from "../../../services/presence/snapshots.ts";
import type { Held } from "../../../services/presence/snapshots.ts";
import { open } from "../../core/samples.ts";
import { Given, SUCCEED, say } from "../../core/succeeded.ts";
import { SIM_CODEC } from "../../sim/snapshot-codec.ts";

/** us goes on with cn's log from its second frame; what the fold of us has beyond the decision, that of cn may have still to read. */
function given(): Given {
  const one = new Given();
  one.own("us", say("fence 1"));
  one.own("us", say(SUCCEED));
  return one;
}

function labelOf({ replica }: Given): SnapshotLabel {
  const label = parseLabel(formatLabel({ region: "eu", node: "n", atMs: 1, ...standIn(replica) }));
  if (label === undefined) throw new Error("it cannot be read");
  return label;
}

function held(logId: string, more: Partial<Held> = {}): Held {
  return { logId, first: 1, head: 9, ...more };
}

const ABSENT = held("", { head: 0 });
const NEXT = { logId: "log-us", position: 4 };

/** Whether a snapshot with that label leads on in eu, which holds these logs. */
function fits(label: SnapshotLabel, cn: Held, us: Held): boolean {
  const snapshots = new Snapshots({
    region: "eu",
    regions: ["cn", "us"],
    node: "n",
    codec: SIM_CODEC,
    clock: () => ({ monoMs: 0, wallMs: 0 }),
    store: {
      list: async () => ({ ok: true, snapshots: [] }),
      write: async () => ({ ok: true, bytes: 1 }),
      read: async () => ({ ok: true }),
      remove: async () => ({ ok: true }),
    },
  });
  const one = { stored: { name: "n", label: "", bytes: 1 }, label };
  const logs = new Map([
    ["cn", cn],
    ["us", us],
  ]);
  const found = snapshots.fitting([one], logs, false) !== undefined;
  expect(snapshots.fittingEach([one], logs, false) !== undefined).toBe(found);
  return found;
}

describe("a snapshot of a replica", () => {
  it("says nothing of heirs where there are none", () => {
    const label = formatLabel({ region: "eu", node: "n", atMs: 1, ...standIn(new Given().replica) });
    expect(JSON.parse(label)).toEqual({ region: "eu", node: "n", atMs: 1, vector: "1.cn:log-cn:2" });
  });

  it("that has still to go over needs the heir's log from the decision on", () => {
    const one = given();
    one.own("us", open("eve", "s5", "us"));
    const label = labelOf(one);
    expect([label.over?.size, label.needed?.get("cn")]).toEqual([0, { logId: "log-us", position: 1 }]);
    expect(doneIn(label, "us", "log-us")).toBe(1);
    expect(fits(label, held("log-cn", { first: 3 }), held("log-us", { first: 2 }))).toBe(true);
    expect(fits(label, held("log-cn"), held("log-us", { first: 3 }))).toBe(false);
    expect(fits(label, held("log-cn", { first: 4 }), held("log-us"))).toBe(false);
  });

  it("that reads the heir's log needs what follows there, and nothing of the region's own", () => {
    const one = given();
    one.heirs(2, "us", say(SUCCEED));
    one.own("us", open("eve", "s5", "us"));
    const label = labelOf(one);
    expect(label.over?.get("cn")).toEqual({ logId: "log-cn", position: 2 });
    expect(positionIn(label, "cn", "log-cn")).toBe(2);
    expect([doneIn(label, "us", "log-us"), doneIn(label, "cn", "log-cn")]).toEqual([2, 2]);
    const us = held("log-us", { first: 3 });
    expect(fits(label, held("log-cn", { first: 8 }), us)).toBe(true);
    expect(fits(label, ABSENT, us)).toBe(true);
    expect(fits(label, held("log-cn-1", { base: { logId: "log-cn", position: 9 } }), us)).toBe(true);
    expect(fits(label, held("log-cn"), held("log-us", { first: 4 }))).toBe(false);
    expect(fits(label, held("log-cn"), held("log-us-2"))).toBe(false);
    const again = held("log-us-2", { base: { logId: "log-us", position: 3 } });
    expect(fits(label, held("log-cn"), again)).toBe(false);
  });

  it("leads on to the log with which the region takes over again, where both are held from there", () => {
    const one = given();
    one.heirs(2, "us", say(SUCCEED));
    const label = labelOf(one);
    const cn = held("log-cn-2", { base: NEXT });
    expect(fits(label, cn, held("log-us", { first: 3 }))).toBe(true);
    expect(fits(label, cn, held("log-us", { first: 4 }))).toBe(false);
    expect(fits(label, held("log-cn-2", { first: 2 }), held("log-us"))).toBe(false);
    expect(fits(label, held("log-cn-2", { base: { logId: "log-us", position: 1 } }), held("log-us"))).toBe(
      false,
    );
  });

  it("that has all that the heir says needs no more of the heir's log for the region", () => {
    const one = given();
    one.heirs(2, "us", say(SUCCEED));
    one.both("us", say("yield 1"));
    one.own("us", open("eve", "s5", "us"));
    const label = labelOf(one);
    expect(label.needed?.size).toBe(0);
    expect(doneIn(label, "us", "log-us")).toBe(4);
    const us = held("log-us", { first: 5 });
    expect(fits(label, held("log-cn", { first: 8 }), us)).toBe(true);
    expect(fits(label, held("log-cn-2", { base: { logId: "log-us", position: 3 } }), us)).toBe(true);
    expect(fits(label, held("log-cn-2", { base: NEXT }), us)).toBe(false);
  });

  it("cannot be used where its label's places cannot be read", () => {
    const label = { region: "eu", node: "n", atMs: 1, vector: "1." };
    expect(parseLabel(JSON.stringify(label))).toMatchObject({ region: "eu" });
    for (const more of [{ over: "?" }, { needed: 1 }, { vector: 1 }])
      expect(parseLabel(JSON.stringify({ ...label, ...more }))).toBeUndefined();
  });
});
