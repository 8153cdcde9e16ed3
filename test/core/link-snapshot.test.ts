/** When a link begins behind a snapshot instead of reading on, and what it does without one. */
import { describe, expect, it } from "vitest";
import type { LinkEffect, LinkEvent } from "../../replicator/core/link-events.ts";
import { Bench, GOOD, ID, TICK, opened } from "./link-bench.ts";

const MIB = 1024 * 1024;

function give(event: LinkEvent): { bench: Bench; effects: LinkEffect[] } {
  const bench = new Bench();
  bench.give(TICK);
  return { bench, effects: bench.give(event) };
}

const FETCHING: [string, LinkEvent, object][] = [
  [
    "another identity than the copy's",
    opened({ logId: "new", head: 9 }, { logId: ID, position: 3 }),
    { logId: "new", atLeast: 0, head: 9 },
  ],
  [
    "positions gone at the origin",
    opened({ first: 5, head: 9 }, { logId: ID, position: 3 }),
    { logId: ID, atLeast: 4, head: 9 },
  ],
  ["an empty copy of a truncated log", opened({ first: 2, head: 9 }), { logId: ID, atLeast: 1, head: 9 }],
  ["an empty copy of a long log", opened({ head: 10_001 }), { logId: ID, atLeast: 0, head: 10_001 }],
  [
    "an empty copy of a large log",
    opened({ head: 9, bytes: 16 * MIB + 1 }),
    { logId: ID, atLeast: 0, head: 9 },
  ],
];

describe("a snapshot is fetched for", () => {
  it.each(FETCHING)("%s; what it has is not read again", (_what, event, wanted) => {
    const { bench, effects } = give(event);
    expect(effects).toEqual([{ kind: "fetch", attempt: 1, ...wanted }]);
    expect(bench.state).toBe("snapshotting");
    bench.give({ kind: "fetching", attempt: 1, percent: 40 });
    expect(bench.link.report()).toMatchObject({ state: "snapshotting", reason: "a snapshot is 40 % here" });
    expect(bench.give({ kind: "fetched", attempt: 1, position: 8, sequence: 21 })).toEqual([
      { kind: "read", from: 9 },
    ]);
    const [append] = bench.entry(9, {
      ...GOOD,
      logId: event.kind === "opened" ? event.origin.logId : "",
    });
    expect(append).toMatchObject({ kind: "append", fence: 21 });
  });

  it("an empty copy of a log whose first frame goes on from another: it is not copied", () => {
    const bench = new Bench();
    bench.open(9);
    const goesOn = { ...GOOD, goesOn: true };
    expect(bench.entry(1, goesOn)).toEqual([
      { kind: "stop" },
      { kind: "fetch", attempt: 1, logId: ID, atLeast: 0, head: 9 },
    ]);
    expect(bench.state).toBe("snapshotting");
  });

  it("nothing else: not for a copy that has begun, nor for a log that is short and small", () => {
    for (const event of [
      opened({ head: 50_000, bytes: 99 * MIB }, { logId: ID, position: 1 }),
      opened({ head: 10_000, bytes: 16 * MIB }),
    ])
      expect(give(event).effects[0]?.kind).toBe("read");
  });
});

function failed(event: LinkEvent): Bench {
  const { bench } = give(event);
  expect(bench.give({ kind: "fetch-failed", attempt: 1, detail: "none there" })).toEqual([{ kind: "stop" }]);
  expect(bench.link.report()).toMatchObject({ reason: "no snapshot: none there" });
  expect(bench.link.report().errors["no-snapshot"]).toBe(1);
  return bench;
}

/** Everything that may answer to a fetch. */
function answers(attempt: number): LinkEvent[] {
  return [
    { kind: "fetched", attempt, position: 8, sequence: 8 },
    { kind: "fetching", attempt, percent: 99 },
    { kind: "fetch-failed", attempt, detail: "late" },
  ];
}

describe("without a snapshot", () => {
  it("the state says what is wrong, and it is asked for again after 500 ms", () => {
    const states = FETCHING.map(([, event]) => {
      const bench = failed(event);
      expect(bench.pass(500).give(TICK)).toEqual([{ kind: "open" }]);
      expect(bench.give(event)).toMatchObject([{ kind: "fetch", attempt: 2 }]);
      return bench.give({ kind: "fetch-failed", attempt: 2, detail: "none" }).length && bench.state;
    });
    expect(states).toEqual(["blocked", "overrun", "overrun", "snapshotting", "snapshotting"]);
  });

  it.each(FETCHING)(
    "asked for twenty times for %s: the log is read if it is whole and the copy empty",
    (_what, event) => {
      const { bench } = give(event);
      const isWhole = event.kind === "opened" && event.origin.first === 1 && event.copy.position === 0;
      for (let attempt = 1; attempt <= 20; attempt++) {
        const effects = bench.give({ kind: "fetch-failed", attempt, detail: "none" });
        const reads = isWhole && attempt === 20;
        expect(effects).toEqual(reads ? [{ kind: "read", from: 1 }] : [{ kind: "stop" }]);
        bench.pass(500).give(TICK);
        if (!reads) bench.give(event);
      }
    },
  );

  it("answers of an earlier attempt, or after it is over, mean nothing", () => {
    const bench = failed(opened({ head: 10_001 }));
    for (const event of answers(1)) expect(bench.give(event)).toEqual([]);
    bench.pass(500).give(TICK);
    bench.give(opened({ head: 10_001 }));
    for (const event of answers(1)) expect(bench.give(event)).toEqual([]);
    expect(bench.link.report()).toMatchObject({ state: "snapshotting", errors: { "no-snapshot": 1 } });
  });
});
