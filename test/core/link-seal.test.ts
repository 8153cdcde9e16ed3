/** The link to a sealed copy: what it brings, where it stands, and that it asks again. */
import { describe, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import { parseSeal } from "../../replicator/core/seal.ts";
import { Bench, ID, TICK, opened } from "./link-bench.ts";

const FENCE = "cn fence 1";
const SUCCEEDED = `cn succeed 1 of ${ID} at 5 sum 0`;
const YIELDED = `cn yield 1 of ${ID} at 5 sum 0`;

function sealed(
  text: string,
  origin: { logId?: string; first?: number; head?: number },
  position = 3,
): { bench: Bench; effects: string[] } {
  const bench = new Bench();
  bench.give(TICK);
  const copy = { logId: position === 0 ? "" : ID, position, sequence: position };
  const seal = defined(parseSeal(text), text);
  const effects = bench.give(opened({ head: 9, ...origin }, { ...copy, sealed: seal }));
  return { bench, effects: effects.map(({ kind }) => kind) };
}

describe("a sealed copy", () => {
  it.each([
    [FENCE, {}, 3],
    [FENCE, {}, 0],
    [SUCCEEDED, {}, 5],
    [SUCCEEDED, { logId: "new" }, 3],
    [YIELDED, {}, 6],
  ])(
    "%s, log %j, copied up to %d: the link is blocked, says why, and opens again after 5 s",
    (text, log, at) => {
      const { bench, effects } = sealed(text, log, at);
      expect(effects).toEqual(["stop"]);
      expect(bench.link.report()).toMatchObject({ state: "blocked", errors: { sealed: 1 } });
      expect(bench.link.report().reason).toMatch(/^sealed: cn /);
      expect(bench.pass(4_999).give(TICK)).toEqual([]);
      expect(bench.pass(1).give(TICK)).toEqual([{ kind: "open" }]);
    },
  );

  it("gets what it may take, and nothing beyond", () => {
    const { bench, effects } = sealed(SUCCEEDED, {});
    expect(effects).toEqual(["read"]);
    const appended = [3, 4, 5].flatMap((position) => bench.entry(position)).map(({ kind }) => kind);
    expect(appended).toEqual(["append", "append"]);
    expect(bench.entry(6)).toEqual([{ kind: "stop" }]);
    expect(bench.link.report()).toMatchObject({ state: "blocked", reason: "sealed: cn goes on from 5" });
  });

  it("gets no snapshot of a log that may reach beyond, and one of the log that the region begins", () => {
    expect(sealed(SUCCEEDED, { first: 5 }).effects).toEqual(["stop"]);
    expect(sealed(YIELDED, { first: 5 }).effects).toEqual(["stop"]);
    expect(sealed(YIELDED, { logId: "new" }).effects).toEqual(["fetch"]);
  });
});
