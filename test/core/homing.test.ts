/** Who wins a user: a strict total order, the same on every replica. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Region } from "../../replicator/core/commands.ts";
import { UserRecord } from "../../replicator/core/record.ts";
import { Fold } from "../../replicator/core/fold.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import { FIRST_EPOCH, beats, compareEpochs, hash32, rank } from "../../replicator/core/homing.ts";
import { Provisional } from "../../replicator/core/provisional.ts";
import { claimants } from "../../replicator/core/claimants.ts";
import { viewOf } from "../../replicator/core/view.ts";
import { holds } from "./property.ts";
import { REGIONS, sessionOf } from "./samples.ts";

const epoch = fc.record({ generation: fc.nat(2), count: fc.nat(2) });
const region = fc.stringMatching(/^[a-z][a-z0-9-]{0,15}$/);
const claim = fc.record({ region, epoch });

const SILENT = {
  changed: ignore,
  applied: ignore,
  said: ignore,
  forwarded: ignore,
  accepting: ignore,
  processed: ignore,
  corrupt: ignore,
  refused: ignore,
  marked: ignore,
  compared: ignore,
};
function ignore(): void {}

/** A fold that holds the user at an epoch, with one session named after the region. */
function holding(name: Region, user: string, at: Epoch | undefined, movedTo = ""): Fold {
  const fold = new Fold(name, SILENT);
  const session = sessionOf(`of ${name}`, name);
  if (at !== undefined) {
    const record = new UserRecord(user, at, 0);
    fold.table.set(user, Object.assign(record, { version: 1, movedTo, sessions: [session] }));
  }
  return fold;
}

describe("the homing order", () => {
  it("of two claims by different regions exactly one beats the other", () => {
    holds(
      fc.property(fc.string(), claim, claim, (user, a, b) => {
        fc.pre(a.region !== b.region);
        expect(beats(user, a, b)).toBe(!beats(user, b, a));
      }),
      1_000,
    );
  });

  it("no claim beats itself", () => {
    holds(
      fc.property(fc.string(), claim, (user, a) => {
        expect(beats(user, a, a)).toBe(false);
      }),
      200,
    );
  });

  it("is transitive", () => {
    holds(
      fc.property(fc.string(), claim, claim, claim, (user, a, b, c) => {
        fc.pre(beats(user, a, b) && beats(user, b, c));
        expect(beats(user, a, c)).toBe(true);
      }),
      1_000,
    );
  });

  it("a higher epoch wins whatever the rank: generation first, then count", () => {
    for (const [low, high] of [
      [
        { generation: 0, count: 9 },
        { generation: 1, count: 0 },
      ],
      [
        { generation: 1, count: 1 },
        { generation: 1, count: 2 },
      ],
    ] as const) {
      expect(compareEpochs(low, high)).toBeLessThan(0);
      for (const [a, b] of [
        ["cn", "us"],
        ["us", "cn"],
      ] as const) {
        expect(beats("ann", { region: a, epoch: high }, { region: b, epoch: low })).toBe(true);
      }
    }
  });

  it("equal epochs fall to the higher rank", () => {
    const [best, ...others] = REGIONS.toSorted((a, b) => rank("ann", b) - rank("ann", a));
    for (const other of others) {
      expect(
        beats("ann", { region: best ?? "", epoch: FIRST_EPOCH }, { region: other, epoch: FIRST_EPOCH }),
      ).toBe(true);
    }
  });

  it("ranks spread users over regions", () => {
    const wins = new Map<Region, number>();
    for (let n = 0; n < 3_000; n++) {
      const [best = ""] = REGIONS.toSorted((a, b) => rank(`user-${n}`, b) - rank(`user-${n}`, a));
      wins.set(best, (wins.get(best) ?? 0) + 1);
    }
    for (const name of REGIONS) expect(wins.get(name)).toBeGreaterThan(800);
  });

  it("the hash is the same on every machine for ever", () => {
    expect([hash32(""), hash32("ann"), rank("ann", "cn"), rank("ann", "us")]).toMatchInlineSnapshot(`
      [
        2872998923,
        2778018533,
        680326283,
        1269590498,
      ]
    `);
  });
});

describe("claims to one user", () => {
  it("the winner is the same in whatever order the folds stand", () => {
    holds(
      fc.property(
        fc.array(fc.option(epoch, { nil: undefined }), { minLength: 3, maxLength: 3 }),
        fc.string(),
        (epochs, user) => {
          const folds = REGIONS.map((name, index) => holding(name, user, epochs[index]));
          const winners = [folds, folds.toReversed(), [...folds.slice(1), ...folds.slice(0, 1)]].map(
            (order) => claimants(order, user)?.winner.region,
          );
          expect(new Set(winners).size).toBe(1);
        },
      ),
      500,
    );
  });

  it("a lower generation neither wins nor shows", () => {
    const low = { generation: 0, count: 7 };
    const high = { generation: 1, count: 1 };
    for (const order of [REGIONS, REGIONS.toReversed()]) {
      const folds = order.map((name) => holding(name, "ann", name === "eu" ? high : low));
      const view = viewOf(folds, new Provisional(), "ann");
      expect(view).toMatchObject({ home: "eu", epoch: high });
      expect(view?.sessions.map(({ session }) => session.session)).toEqual(["of eu"]);
    }
  });

  it("a lower count does not win, and shows where the replica is behind no log by which the user may have come from there", () => {
    const folds = REGIONS.map((name) =>
      holding(name, "ann", { generation: 0, count: name === "eu" ? 2 : 1 }),
    );
    const provisional = new Provisional();
    const shown = (): unknown =>
      viewOf(folds, provisional, "ann")?.sessions.map(({ session }) => session.session);
    expect(viewOf(folds, provisional, "ann")).toMatchObject({ home: "eu", epoch: { count: 2 } });
    expect(shown()).toEqual(["of eu", "of cn", "of us"]);
    provisional.fallBehind([{ from: "eu", to: "cn" }]);
    expect(shown()).toEqual(["of eu", "of cn", "of us"]);
    provisional.fallBehind([{ from: "us", to: "cn" }]);
    expect(shown()).toEqual(["of eu", "of cn", "of us"]);
    provisional.fallBehind([{ from: "us", to: "eu" }]);
    expect(shown()).toEqual(["of eu", "of us"]);
    provisional.fallBehind([
      { from: "cn", to: "eu" },
      { from: "us", to: "eu" },
    ]);
    expect(shown()).toEqual(["of eu"]);
    provisional.fallBehind([{ from: "", to: "eu" }]);
    expect(shown()).toEqual(["of eu"]);
  });

  it("equal epochs show the union, the winner's sessions first", () => {
    const folds = REGIONS.map((name) => holding(name, "ann", FIRST_EPOCH));
    const claimed = claimants(folds, "ann");
    const shown = viewOf(folds, new Provisional(), "ann")?.sessions.map(({ session }) => session.session);
    expect(shown).toHaveLength(3);
    expect(shown?.[0]).toBe(`of ${claimed?.winner.region}`);
    expect(claimed?.equals.map((one) => one.region)).toEqual(
      REGIONS.filter((one) => one !== claimed?.winner.region),
    );
  });

  it("a record that was given up is no claim", () => {
    const folds = [holding("cn", "ann", FIRST_EPOCH, "us"), holding("us", "ann", undefined)];
    expect(claimants(folds, "ann")).toBeUndefined();
    expect(viewOf(folds, new Provisional(), "ann")).toBeUndefined();
  });
});
