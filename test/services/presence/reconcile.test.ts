/** Reconcile finds every live lease that no log has, and every session of this region in view that has no lease. */
import { describe, expect, it } from "vitest";
import type { Command, Region } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { Leases } from "../../../services/presence/leases.ts";
import { Reconcile, isInLog } from "../../../services/presence/reconcile.ts";
import { REGIONS, accept, close, forward, frame, open, sessionOf } from "../../core/samples.ts";

class Bench {
  readonly replica = new Replica(REGIONS);
  readonly leases = new Leases(0);
  isBack = false;
  readonly reconcile = new Reconcile(
    "cn",
    this.leases,
    () => this.replica,
    () => this.isBack,
  );

  fold(region: Region, ...commands: Command[]): this {
    const position = (this.replica.fold(region)?.position ?? 0) + 1;
    const result = this.replica.apply(region, position, frame(region, ...commands));
    if (result !== "applied") throw new Error(result);
    return this;
  }

  lease(user: string, session: string): this {
    this.leases.open(user, sessionOf(session));
    return this;
  }

  /** Every slice of one round. */
  missing(monoMs: number): string[] {
    const found: string[] = [];
    for (;;) {
      const slice = this.reconcile.missing(monoMs).map(({ session }) => session.session);
      found.push(...slice);
      if (slice.length === 0) return found;
    }
  }

  /** Of one round; a hurried one takes fewer ticks. */
  orphans(ticks = this.replica.online.buckets): string[] {
    const rounds = Array.from({ length: ticks }, () => this.reconcile.orphans());
    return rounds.flat().map(({ user, session }) => `${user} ${session.session}`);
  }
}

describe("missing", () => {
  it("a lease that no log has", () => {
    expect(new Bench().lease("ann", "s1").missing(0)).toEqual(["s1"]);
  });

  it("not one that is handed over, and the new home has not taken yet", () => {
    const bench = new Bench().lease("ann", "s1").fold("us", open("ann", "s1"));
    bench.fold("us", { kind: "release", user: "ann", to: "cn" });
    expect(bench.missing(0)).toEqual([]);
  });

  it("not one in its home's record, whichever region that is", () => {
    expect(new Bench().lease("ann", "s1").fold("us", open("ann", "s1")).missing(0)).toEqual([]);
  });

  it("not one on its way there", () => {
    const bench = new Bench().lease("ann", "s1").fold("cn", forward("us", open("ann", "s1")));
    expect(bench.missing(0)).toEqual([]);
  });

  it("not one that a newer forward hides: it is in a log", () => {
    const bench = new Bench().lease("ann", "s1").fold("cn", open("ann", sessionOf("s1", "cn", "phone")));
    bench.fold("us", forward("cn", open("ann", sessionOf("s2", "us", "phone"))));
    expect(bench.replica.view("ann")?.sessions.map(({ session }) => session.session)).toEqual(["s2"]);
    expect(bench.missing(0)).toEqual([]);
  });

  it("not one that a newer forward closes, though its opening is left out", () => {
    const bench = new Bench().lease("ann", "s1");
    bench.fold("cn", forward("us", open("ann", "s1")), forward("us", close("ann", "s1")));
    expect([...bench.replica.provisional.queue("cn", "us")]).toHaveLength(1);
    expect(bench.missing(0)).toEqual([]);
  });

  it("one that its home has closed since, though this region still hears it", () => {
    const bench = new Bench().lease("ann", "s1").fold("cn", open("ann", "s1"));
    bench.fold("cn", accept("us", 0, 1, close("ann", "s1")));
    expect(bench.missing(0)).toEqual(["s1"]);
  });

  it("not one whose open is on its way to the log", () => {
    const bench = new Bench().lease("ann", "s1");
    const lease = bench.leases.get("s1");
    expect(lease !== undefined && isInLog(bench.replica, lease)).toBe(false);
    if (lease !== undefined) lease.settling = 1;
    expect(bench.missing(0)).toEqual([]);
  });

  it("a round tells what it passed over, until the next one begins", () => {
    const bench = new Bench().lease("ann", "s1").lease("bob", "s2").fold("cn", open("bob", "s2"));
    for (const lease of bench.leases.all()) lease.settling = 1;
    expect(bench.missing(0)).toEqual([]);
    expect(bench.reconcile.passed.map(({ id }) => id)).toEqual(["s1"]);
    for (const lease of bench.leases.all()) lease.settling = 0;
    expect(bench.missing(LIMITS.reconcileMs)).toEqual(["s1"]);
    expect(bench.reconcile.passed).toEqual([]);
  });

  it("rounds are numbered; one that is begun again before its end is another", () => {
    const { reconcile, leases } = new Bench();
    for (let n = 0; n < 600; n++) leases.open("ann", sessionOf(`s${n}`));
    reconcile.missing(0);
    expect([reconcile.begun, reconcile.finished]).toEqual([1, 0]);
    reconcile.request();
    reconcile.missing(0);
    reconcile.missing(0);
    expect([reconcile.begun, reconcile.finished]).toEqual([2, 2]);
  });

  it("is looked for each 30 s", () => {
    const bench = new Bench();
    expect(bench.missing(0)).toEqual([]);
    bench.lease("ann", "s1");
    expect(bench.missing(LIMITS.reconcileMs - 1)).toEqual([]);
    expect(bench.missing(LIMITS.reconcileMs)).toEqual(["s1"]);
  });

  it("is looked for at once when something happened", () => {
    const bench = new Bench();
    bench.missing(0);
    bench.lease("ann", "s1").reconcile.request();
    expect(bench.missing(1)).toEqual(["s1"]);
  });

  it("a slice is bounded, and a round ends with every lease looked at", () => {
    const bench = new Bench();
    for (let n = 0; n < 1_200; n++) bench.lease("ann", `s${n}`);
    expect(bench.reconcile.missing(0)).toHaveLength(500);
    expect(bench.reconcile.missing(0)).toHaveLength(500);
    expect(bench.reconcile.missing(0)).toHaveLength(200);
    expect(bench.reconcile.missing(1)).toEqual([]);
  });

  it("a lease removed in the middle of a round is not reopened", () => {
    const bench = new Bench();
    for (let n = 0; n < 600; n++) bench.lease("ann", `s${n}`);
    expect(bench.reconcile.missing(0)).toHaveLength(500);
    bench.leases.remove("s550");
    expect(bench.reconcile.missing(0).map(({ session }) => session.session)).not.toContain("s550");
  });
});

describe("orphans", () => {
  it("sessions that the view places here and that have no lease", () => {
    const bench = new Bench().lease("ann", "s1");
    bench.fold("cn", open("ann", "s1"), open("ann", "s2"), open("bob", sessionOf("s3", "us")));
    bench.fold("us", forward("eu", open("cleo", "s4", "cn")));
    expect(bench.orphans().toSorted()).toEqual(["ann s2", "cleo s4"]);
  });

  it("after a request are all found within 256 ticks", () => {
    const bench = new Bench();
    for (let user = 0; user < 50; user++) bench.fold("cn", open(`user${user}`, `s${user}`));
    expect(bench.orphans(256).length).toBeLessThan(50);
    bench.reconcile.request();
    expect(bench.orphans(256)).toHaveLength(50);
  });

  it("a round begins again after the last bucket", () => {
    const bench = new Bench().fold("cn", open("ann", "s1"));
    expect([bench.orphans(), bench.orphans()]).toEqual([["ann s1"], ["ann s1"]]);
  });
});
