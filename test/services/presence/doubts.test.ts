/** Which snapshots are in doubt: those that say what a replica said that was found wrong, unless another node has said the same. */
import { describe, expect, it } from "vitest";
import { Doubts } from "../../../services/presence/doubts.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { REGIONS, frame, open } from "../../core/samples.ts";

/** A replica that has so many frames of the log of cn. */
function replicaAt(position: number): Replica {
  const replica = new Replica(REGIONS);
  for (let at = 1; at <= position; at++) replica.apply("cn", at, frame("cn", open("ann", `s${at}`)));
  return replica;
}

describe("a snapshot", () => {
  it("shares what was found wrong with the replica it was taken of, or that was made from it", () => {
    const doubts = new Doubts();
    doubts.adopted(["base"], replicaAt(1));
    doubts.taken("taken", replicaAt(2));
    expect(["base", "taken"].map((name) => doubts.has(name))).toEqual([false, false]);
    doubts.contradicted("cn");
    expect(["base", "taken", "other"].map((name) => doubts.has(name))).toEqual([true, true, false]);
  });

  it("shares nothing that came after another node said the same; of another log that counts for nothing", () => {
    const doubts = new Doubts();
    doubts.adopted([], replicaAt(1));
    doubts.taken("before", replicaAt(2));
    doubts.taken("after", replicaAt(4));
    doubts.confirmed("us", 9);
    doubts.confirmed("cn", 3);
    doubts.contradicted("cn");
    expect(["before", "after"].map((name) => doubts.has(name))).toEqual([false, true]);
  });

  it("is out of doubt when another node says the same after all, as long as the replica is the same", () => {
    const doubts = new Doubts();
    doubts.taken("taken", replicaAt(2));
    doubts.contradicted("cn");
    doubts.confirmed("cn", 2);
    expect(doubts.has("taken")).toBe(false);
    doubts.taken("spoilt", replicaAt(2));
    doubts.contradicted("cn");
    doubts.adopted([], replicaAt(2));
    doubts.confirmed("cn", 2);
    expect(doubts.has("spoilt")).toBe(true);
  });

  it("is no longer in doubt where a replica was made from it, until that one is found wrong", () => {
    const doubts = new Doubts();
    doubts.taken("taken", replicaAt(2));
    doubts.contradicted("cn");
    doubts.adopted(["taken"], replicaAt(3));
    expect(doubts.has("taken")).toBe(false);
    doubts.contradicted("cn");
    expect(doubts.has("taken")).toBe(true);
  });

  it("is forgotten when it is removed", () => {
    const doubts = new Doubts();
    for (const name of ["kept", "removed"]) doubts.taken(name, replicaAt(2));
    doubts.contradicted("cn");
    doubts.taken("new", replicaAt(2));
    doubts.keep(new Set(["kept"]));
    doubts.contradicted("cn");
    expect(["kept", "removed", "new"].map((name) => doubts.has(name))).toEqual([true, false, false]);
  });
});
