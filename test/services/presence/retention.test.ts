/** What of the log may go: never what the older snapshot does not hold, nor what a peer needs that is neither written off nor overrun. */
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Retention } from "../../../services/presence/retention.ts";

const DAY_MS = 86_400_000;
const nobody = (): boolean => false;

function retention(): Retention {
  const made = new Retention({ peers: ["us", "eu"], bytesMax: 1_000_000, ageMaxMs: DAY_MS });
  made.sample("log-cn", { atMs: 0, head: 5_000, bytes: 100_000 });
  return made;
}

function copied(made: Retention, us: number, eu: number): Retention {
  made.copied({ region: "us", logId: "log-cn", position: us });
  made.copied({ region: "eu", logId: "log-cn", position: eu });
  return made;
}

describe("truncation", () => {
  it("stops at what the snapshot holds, however far the peers are", () => {
    expect(copied(retention(), 5_000, 5_000).truncateBelow(3_000, nobody, 0)).toBe(3_000 - LIMITS.framesKept);
  });

  it("stops at what the slowest peer has copied", () => {
    expect(copied(retention(), 5_000, 1_000).truncateBelow(3_000, nobody, 0)).toBe(1_000 - LIMITS.framesKept);
  });

  it("stops before everything while a peer has told nothing, or of another log", () => {
    expect(retention().truncateBelow(3_000, nobody, 0)).toBe(1);
    const other = copied(retention(), 5_000, 5_000);
    other.sample("another", { atMs: 1, head: 6_000, bytes: 1 });
    expect(other.truncateBelow(3_000, nobody, 0)).toBe(1);
  });

  it("does not wait for a peer that was written off", () => {
    const made = copied(retention(), 5_000, 1_000);
    expect(made.truncateBelow(3_000, (peer) => peer === "eu", 0)).toBe(3_000 - LIMITS.framesKept);
  });

  it("overruns a peer when the log is too large or the peer too far behind, but never the snapshot", () => {
    const large = copied(retention(), 5_000, 1_000);
    large.sample("log-cn", { atMs: 10_000, head: 6_000, bytes: 1_000_001 });
    expect(large.truncateBelow(3_000, nobody, 10_000)).toBe(3_000 - LIMITS.framesKept);
    const old = copied(retention(), 5_000, 1_000);
    expect(old.truncateBelow(3_000, nobody, DAY_MS)).toBe(1_000 - LIMITS.framesKept);
    expect(old.truncateBelow(3_000, nobody, DAY_MS + 1)).toBe(3_000 - LIMITS.framesKept);
  });

  it("a peer's word never goes back within one log", () => {
    const made = copied(retention(), 5_000, 4_000);
    made.copied({ region: "eu", logId: "log-cn", position: 10 });
    expect(made.truncateBelow(4_500, nobody, 0)).toBe(4_000 - LIMITS.framesKept);
  });

  it("strangers say nothing about it", () => {
    const made = copied(retention(), 5_000, 4_000);
    made.copied({ region: "mars", logId: "log-cn", position: 1 });
    expect(made.truncateBelow(4_500, nobody, 0)).toBe(4_000 - LIMITS.framesKept);
    expect(made.copiedBySome("log-cn")).toBe(5_000);
  });
});

describe("seconds to overrun", () => {
  it("is unknown of a peer that has everything, and before anything was measured", () => {
    expect(copied(retention(), 5_000, 5_000).secondsToOverrun("us", 0)).toBeNull();
    const fresh = new Retention({ peers: ["us"], bytesMax: 1, ageMaxMs: 1 });
    expect(fresh.secondsToOverrun("us", 0)).toBeNull();
  });

  it("is the time until the log is full at its rate, or too old, whichever is sooner", () => {
    const made = copied(retention(), 5_000, 4_000);
    made.sample("log-cn", { atMs: 10_000, head: 6_000, bytes: 200_000 });
    // 10,000 bytes a second, 800,000 left.
    expect(made.secondsToOverrun("eu", 10_000)).toBe(80);
    made.sample("log-cn", { atMs: 20_000, head: 6_000, bytes: 100_000 });
    expect(made.secondsToOverrun("eu", 20_000)).toBe(DAY_MS / 1_000 - 20);
    expect(made.secondsToOverrun("eu", 2 * DAY_MS)).toBe(0);
  });
});
