/** The little statistics there is. Rule: of several rounds the median counts, and every round is shown. */

/** Of an odd count the middle value, of an even one the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** A pseudo-random generator with values in [0, 2^32): equal seeds give equal runs (xorshift32, Marsaglia 2003). */
export function random32(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Puts the items into random order, in place (Fisher-Yates). */
export function shuffle<T>(items: T[], random: () => number): T[] {
  for (let index = items.length - 1; index > 0; index--) {
    const other = random() % (index + 1);
    const held = items[index];
    const moved = items[other];
    if (held === undefined || moved === undefined) continue;
    items[index] = moved;
    items[other] = held;
  }
  return items;
}
