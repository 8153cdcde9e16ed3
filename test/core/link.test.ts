/** The link machine: every row of its table, the fence, and what it counts. */
import { describe, expect, it } from "vitest";
import type { Inspection, LinkEffect } from "../../replicator/core/link-events.ts";
import { IN_FLIGHT_MAX } from "../../replicator/core/link.ts";
import { Bench, CHECKSUM, GOOD, ID, TICK, opened } from "./link-bench.ts";

const OTHER: Inspection = { ok: true, region: "us", logId: ID, checksum: CHECKSUM + 1 };

function kinds(effects: readonly LinkEffect[]): string[] {
  return effects.map(({ kind }) => kind);
}

describe("opening", () => {
  it("starts with the first tick, once", () => {
    const bench = new Bench();
    expect(bench.give(TICK)).toEqual([{ kind: "open" }]);
    expect(bench.pass(60_000).give(TICK)).toEqual([]);
    expect(bench.link.report()).toMatchObject({ state: "disconnected", reason: "not connected yet" });
  });

  it("both ends opened: reads on from the checkpoint", () => {
    expect(new Bench().open(10, 0)).toEqual([{ kind: "read", from: 1 }]);
    expect(new Bench().open(10, 7)).toEqual([{ kind: "read", from: 7 }]);
  });

  it("an end that cannot be opened: idle, disconnected, and tried again after 500 ms", () => {
    const bench = new Bench();
    bench.give(TICK);
    expect(bench.give({ kind: "open-failed", reason: "unavailable", detail: "no route" })).toEqual([
      { kind: "stop" },
    ]);
    expect(bench.link.report()).toMatchObject({ state: "disconnected", reason: "no route" });
    expect(bench.pass(499).give(TICK)).toEqual([]);
    expect(bench.pass(1).give(TICK)).toEqual([{ kind: "open" }]);
  });

  it.each([
    ["a log rewound behind the copy", opened({ head: 2 }, { logId: ID, position: 3 }), "rewound"],
    [
      "another identity, of a log that is empty yet",
      opened({ logId: "new" }, { logId: ID, position: 3 }),
      "identity",
    ],
  ] as const)("%s: blocked, said why, its region has 500 ms to mend it", (_what, event, counted) => {
    const bench = new Bench();
    bench.give(TICK);
    expect(bench.give(event)).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state: "blocked", errors: { [counted]: 1 } });
    expect(bench.link.report().reason).not.toBe("");
    expect(bench.entry(4)).toEqual([]);
    expect(bench.pass(499).give(TICK)).toEqual([]);
    expect(bench.pass(1).give(TICK)).toEqual([{ kind: "open" }]);
  });

  it("a checkpoint just before the first position held is no overrun", () => {
    const bench = new Bench();
    bench.give(TICK);
    expect(bench.give(opened({ first: 4, head: 9 }, { logId: ID, position: 3, sequence: 3 }))).toEqual([
      { kind: "read", from: 4 },
    ]);
  });

  it("answers that come when nothing is opening are ignored", () => {
    const bench = new Bench();
    expect(bench.give(opened({ head: 5 }))).toEqual([]);
    bench.open();
    expect(bench.give(opened({ head: 5 }))).toEqual([]);
    expect(bench.give({ kind: "open-failed", reason: "unavailable", detail: "late" })).toEqual([]);
    expect(bench.state).not.toBe("disconnected");
  });
});

describe("reading", () => {
  it("appends each entry unchanged behind a fence that grows by one", () => {
    const bench = new Bench();
    bench.open(10, 4, 17);
    const effects = [bench.entry(5), bench.entry(6), bench.entry(7)].flat();
    expect(
      effects.map(
        (effect) => effect.kind === "append" && [effect.entry.position, effect.fence, effect.logId],
      ),
    ).toEqual([
      [5, 17, ID],
      [6, 18, ID],
      [7, 19, ID],
    ]);
  });

  it("an entry received before is counted and not appended", () => {
    const bench = new Bench();
    bench.open(10, 4);
    bench.entry(5);
    expect([bench.entry(4), bench.entry(3)]).toEqual([[], []]);
    expect(bench.link.report().errors).toEqual({ duplicate: 2 });
  });

  it("the last frame of the copy is read again first, and the last received after an interruption", () => {
    const bench = new Bench();
    expect(bench.open(10, 4)).toEqual([{ kind: "read", from: 4 }]);
    expect([bench.entry(4), bench.entry(5)[0]?.kind, bench.entry(5)]).toEqual([[], "append", []]);
    expect(bench.link.report()).toMatchObject({ state: "live", errors: {} });
  });

  it.each([
    ["the copy's last", 4],
    ["the last received", 5],
  ])(
    "another frame than %s at its position: blocked, nothing appended, its region mends that",
    (_what, at) => {
      const bench = new Bench();
      bench.open(10, 4);
      if (at === 5) bench.entry(5);
      expect(bench.entry(at, OTHER)).toEqual([{ kind: "stop" }]);
      expect(bench.link.report()).toMatchObject({ state: "blocked", errors: { forked: 1 } });
      expect(bench.link.report().reason).toContain("another frame at");
      expect(bench.pass(500).give(TICK)).toEqual([{ kind: "open" }]);
    },
  );

  it("what is compared is the frame received last, not the one that the copy ended with", () => {
    const bench = new Bench();
    bench.open(10, 4);
    expect(bench.entry(5, OTHER)).toMatchObject([{ kind: "append" }]);
    expect(bench.entry(5, OTHER)).toEqual([]);
    expect(bench.entry(5, GOOD)).toEqual([{ kind: "stop" }]);
    expect(bench.link.report().errors).toEqual({ forked: 1 });
  });

  it("a frame of another log at that position is no fork of this one: whoever reads both says so", () => {
    const bench = new Bench();
    bench.open(10, 4);
    expect(bench.entry(4, { ...OTHER, logId: "other" })).toEqual([]);
    expect(bench.link.report().errors).toEqual({});
  });

  it("a frame garbled on the way is no other frame", () => {
    const bench = new Bench();
    bench.open(10, 4);
    expect(bench.entry(4, { ok: false, reason: "checksum" })).toEqual([]);
    expect(bench.link.report().errors).toEqual({});
  });

  it.each<[string, number, Inspection, string]>([
    ["a checksum that does not match", 1, { ok: false, reason: "checksum" }, "checksum"],
    ["a frame of another region", 1, { ok: true, region: "eu", logId: ID, checksum: CHECKSUM }, "authority"],
    [
      "a frame of another identity",
      1,
      { ok: true, region: "us", logId: "other", checksum: CHECKSUM },
      "identity",
    ],
    ["a gap", 2, GOOD, "gap"],
  ])("%s: blocked, nothing appended", (_what, position, inspection, counted) => {
    const bench = new Bench();
    bench.open();
    expect(bench.entry(position, inspection)).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state: "blocked", copied: 0, errors: { [counted]: 1 } });
    expect(bench.entry(1)).toEqual([]);
    expect(bench.pass(5_000).give(TICK)).toEqual([{ kind: "open" }]);
  });

  it("fenced by another replicator: as live as before, and the checkpoint is read again", () => {
    const bench = new Bench();
    bench.open(3, 1);
    bench.entry(2);
    bench.appended(2);
    expect(bench.state).toBe("live");
    bench.entry(3);
    const failed = bench.give({ kind: "append-failed", attempt: 1, reason: "fenced", detail: "" });
    expect(failed).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state: "live", errors: { "append-fenced": 1 } });
    expect(bench.pass(500).give(TICK)).toEqual([{ kind: "open" }]);
    expect(bench.give(opened({ head: 3 }, { logId: ID, position: 3, sequence: 3 }))).toEqual([
      { kind: "read", from: 3 },
    ]);
    expect(bench.link.report()).toMatchObject({ state: "live", copied: 3 });
  });

  it("two replicators of a region never write a frame twice or out of order", () => {
    const copy: number[] = [];
    const attempts = [1, 1];
    const benches = [new Bench(), new Bench()];
    for (const bench of benches) bench.open(20);
    for (let turn = 0; copy.length < 20; turn++) {
      expect(turn).toBeLessThan(200);
      const which = turn % 2;
      const bench = benches[which] ?? new Bench();
      const from = bench.link.report().copied + 1;
      const effects = [from, from + 1, from + 2].flatMap((position) => bench.entry(position));
      const attempt = attempts[which] ?? 1;
      for (const effect of effects) {
        if (effect.kind !== "append") continue;
        if (effect.fence === copy.length) {
          copy.push(effect.entry.position);
          bench.appended(effect.entry.position, attempt);
          continue;
        }
        bench.give({ kind: "append-failed", attempt, reason: "fenced", detail: "" });
        attempts[which] = attempt + 1;
        bench.pass(500).give(TICK);
        bench.give(opened({ head: 20 }, { logId: ID, position: copy.length, sequence: copy.length }));
        break;
      }
    }
    expect(copy.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(benches.some(({ link }) => (link.report().errors["append-fenced"] ?? 0) > 0)).toBe(true);
  });

  it("an append that fails: idle, and the checkpoint is read again", () => {
    const bench = new Bench();
    bench.open();
    bench.entry(1);
    const failed = bench.give({
      kind: "append-failed",
      attempt: 1,
      reason: "unavailable",
      detail: "timeout",
    });
    expect(failed).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state: "catching-up", errors: { "append-unavailable": 1 } });
    expect(bench.link.report().reason).toContain("timeout");
  });

  it.each([
    ["missing", "overrun", 500],
    ["identity-changed", "blocked", 500],
    ["malformed", "blocked", 5_000],
  ] as const)("a reader broken by %s: %s, opened again after %d ms", (reason, state, retryMs) => {
    const bench = new Bench();
    bench.open();
    expect(bench.give({ kind: "broken", reason, detail: "why" })).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state, reason: "why", errors: { [reason]: 1 } });
    expect(bench.pass(retryMs - 1).give(TICK)).toEqual([]);
    expect(bench.pass(1).give(TICK)).toEqual([{ kind: "open" }]);
  });

  it("an append of before is acknowledged though reading has ended: it is copied, and no sign of life", () => {
    const bench = new Bench();
    bench.open(3);
    bench.entry(1);
    bench.entry(2, { ok: false, reason: "checksum" });
    bench.appended(1);
    expect(bench.link.report()).toMatchObject({ state: "blocked", copied: 1 });
  });

  it("a reader that breaks when nothing is read any more says nothing", () => {
    const bench = new Bench();
    bench.open();
    bench.entry(1, { ok: false, reason: "checksum" });
    expect(bench.give({ kind: "broken", reason: "missing", detail: "late" })).toEqual([]);
    expect(bench.give({ kind: "interrupted", detail: "late" })).toEqual([]);
    expect(bench.link.report().errors).toEqual({ checksum: 1 });
  });

  it("answers to appends of an earlier attempt are ignored", () => {
    const bench = new Bench();
    bench.open();
    bench.entry(1);
    bench.give({ kind: "append-failed", attempt: 1, reason: "unavailable", detail: "" });
    bench.pass(500).open();
    bench.appended(1, 1);
    expect(kinds(bench.give({ kind: "append-failed", attempt: 1, reason: "fenced", detail: "" }))).toEqual(
      [],
    );
    expect(bench.link.report()).toMatchObject({ copied: 0, framesCopied: 0 });
    expect(kinds(bench.entry(1))).toEqual(["append"]);
  });
});

describe("in-flight bookkeeping", () => {
  it("is saturated with 256 appends under way, and not with 255", () => {
    const bench = new Bench();
    bench.open(1_000, 1);
    for (let position = 2; position <= IN_FLIGHT_MAX + 1; position++) {
      expect(bench.link.saturated).toBe(false);
      bench.entry(position);
    }
    expect(bench.link.saturated).toBe(true);
    bench.appended(2);
    expect(bench.link.saturated).toBe(false);
  });

  it("the first entry of an empty copy goes alone: another replicator may begin elsewhere", () => {
    const bench = new Bench();
    bench.open(10);
    expect(bench.link.saturated).toBe(false);
    bench.entry(1);
    expect(bench.link.saturated).toBe(true);
    bench.appended(1);
    bench.entry(2);
    expect(bench.link.saturated).toBe(false);
  });

  it("the first entry behind a snapshot goes alone, too", () => {
    const bench = new Bench();
    bench.give(TICK);
    bench.give(opened({ first: 5, head: 9 }, { logId: ID, position: 3, sequence: 3 }));
    bench.give({ kind: "fetched", attempt: 1, position: 7, sequence: 3 });
    bench.entry(8);
    expect(bench.link.saturated).toBe(true);
    bench.appended(8);
    expect(bench.link.saturated).toBe(false);
  });

  it("starts anew with a new attempt", () => {
    const bench = new Bench();
    bench.open(1_000);
    for (let position = 1; position <= IN_FLIGHT_MAX; position++) bench.entry(position);
    bench.give({ kind: "append-failed", attempt: 1, reason: "unavailable", detail: "" });
    bench.pass(500).open(1_000);
    expect(bench.link.saturated).toBe(false);
  });

  it("counts the frames and bytes copied, and the newest position", () => {
    const bench = new Bench();
    bench.open(3);
    for (const position of [1, 2, 3]) bench.entry(position);
    for (const position of [1, 2, 3]) bench.appended(position);
    expect(bench.link.report()).toMatchObject({ copied: 3, framesCopied: 3, bytesCopied: 300, head: 3 });
  });
});
