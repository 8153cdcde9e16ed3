/**
 * Who is a user's home when several logs claim the user. Rule (invariant 2): the highest epoch wins, then the highest
 * rendezvous rank of user × region; both are the same on every replica, whatever it saw first.
 */
import type { Region, UserId } from "./commands.ts";

/** Generations count evacuations of a region; counts, within a generation, the moves of one user. */
export interface Epoch {
  readonly generation: number;
  readonly count: number;
}

/** The epoch of a user's first claim. */
export const FIRST_EPOCH: Epoch = { generation: 0, count: 1 };

/** The epoch of the next planned move. */
export function nextEpoch({ generation, count }: Epoch): Epoch {
  return { generation, count: count + 1 };
}

/** Negative when `a` is lower, 0 when equal. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  return a.generation - b.generation || a.count - b.count;
}

/** 32-bit FNV-1a over UTF-16 code units, finished as MurmurHash3 does: cheap, and alike on every machine. */
export function hash32(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Rank of `region` for `user` (rendezvous hashing: Thaler & Ravishankar, 1998). Ties fall to the greater name. */
export function rank(user: UserId, region: Region): number {
  return hash32(user, hash32(region));
}

export interface Claim {
  readonly region: Region;
  readonly epoch: Epoch;
}

/** Whether claim `a` to `user` beats claim `b`: a strict total order over distinct regions. */
export function beats(user: UserId, a: Claim, b: Claim): boolean {
  const byEpoch = compareEpochs(a.epoch, b.epoch);
  if (byEpoch !== 0) return byEpoch > 0;
  const byRank = rank(user, a.region) - rank(user, b.region);
  return byRank !== 0 ? byRank > 0 : a.region > b.region;
}
