/**
 * What a sweep must have done to say anything of homes, kicks, evacuation, tokens and friend requests. Rule: each is counted where it came
 * about, not where it was asked for, and from a number of seeds on too few of one fail the sweep as too few faults do.
 */
import type { Doing, Part } from "./settings.ts";

interface Deed {
  readonly name: string;
  /** Among the counts of a run. */
  readonly count: string;
  /** In the mean of the seeds. */
  readonly leastPerSeed: number;
  /** Without which there are none. */
  readonly doing?: Doing;
}

const DEEDS: readonly Deed[] = [
  { name: "tokenReads", count: "tokenReads", leastPerSeed: 500, doing: "fresh-reads" },
  { name: "latestReads", count: "latestReads", leastPerSeed: 5, doing: "fresh-reads" },
  { name: "boundedReads", count: "boundedReads", leastPerSeed: 10, doing: "fresh-reads" },
  { name: "kicks", count: "kicked", leastPerSeed: 1 },
  { name: "moves", count: "moves", leastPerSeed: 0.5 },
  { name: "automaticMoves", count: "rehomed", leastPerSeed: 0.5 },
  { name: "evacuationsBegun", count: "evacuations", leastPerSeed: 0.2 },
  { name: "evacuationsFinished", count: "evacuated", leastPerSeed: 0.05 },
  { name: "restoresFinished", count: "returned", leastPerSeed: 0.05, doing: "returns" },
  { name: "friendRequests", count: "friendRequests", leastPerSeed: 2, doing: "friend-requests" },
  { name: "pairsMade", count: "pairsMade", leastPerSeed: 0.2, doing: "friend-requests" },
];

export function deedsOf(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(DEEDS.map(({ name, count }) => [name, counts.get(count) ?? 0]));
}

/** Those of which there were too few in so many seeds, less those switched off. */
export function tooFew(
  counts: ReadonlyMap<string, number>,
  seeds: number,
  without: readonly Part[] = [],
): string[] {
  const expected = DEEDS.filter(({ doing }) => doing === undefined || !without.includes(doing));
  return expected
    .filter(({ count, leastPerSeed }) => (counts.get(count) ?? 0) < leastPerSeed * seeds)
    .map(({ name }) => name);
}
