/**
 * What became of the end of a log that stopped to count: how much of each, and for a bounded number of users what. Rule: all is counted;
 * those are listed first of whom something was lost.
 */
import { BECAME, LOST_WORDS, userOf, wordOf } from "../../replicator/core/lost-end.ts";
import type { LostWord, Said, Verdict } from "../../replicator/core/lost-end.ts";
import type { UserId } from "../../replicator/core/commands.ts";

export type Became = (typeof BECAME)[number];
export type ReturnedCounts = Record<LostWord, Record<Became, number>>;

export interface ReturnedItem {
  readonly what: LostWord;
  readonly became: Became;
  readonly why: string;
}

export interface ReturnedUser {
  /** Empty for what operators decided. */
  readonly user: UserId;
  readonly items: readonly ReturnedItem[];
}

export interface ReturnedReport {
  /** All of the end was gone through; until then nothing is counted. */
  readonly finished: boolean;
  readonly generation: number;
  /** When the region came back, in wall-clock milliseconds. */
  readonly sinceMs: number;
  /** Frames of the end. */
  readonly frames: number;
  readonly users: number;
  readonly counts: ReturnedCounts;
  readonly listed: readonly ReturnedUser[];
}

const USERS_MAX = 1_000;
const ITEMS_MAX = 32;

export function noCounts(): ReturnedCounts {
  return {
    opened: none(),
    changed: none(),
    closed: none(),
    preferred: none(),
    friends: none(),
    moved: none(),
    decided: none(),
  };
}

function none(): Record<Became, number> {
  return { back: 0, again: 0, superseded: 0, lost: 0 };
}

export class Returned {
  readonly counts = noCounts();
  users = 0;
  readonly #lost = new Map<UserId, ReturnedItem[]>();
  readonly #others = new Map<UserId, ReturnedItem[]>();
  #seen = new Set<UserId>();

  add(said: Said, { became, why }: Verdict): void {
    const what = wordOf(said);
    const user = userOf(said);
    this.counts[what][became] += 1;
    if (user !== "" && !this.#seen.has(user)) {
      this.#seen.add(user);
      this.users += 1;
    }
    const list = became === "lost" ? this.#lost : this.#others;
    const items = list.get(user) ?? (list.size < USERS_MAX ? [] : undefined);
    if (items === undefined || items.length === ITEMS_MAX) return;
    items.push({ what, became, why });
    list.set(user, items);
  }

  /** What follows is about other users than all before. */
  nextUsers(): void {
    this.#seen = new Set();
  }

  get listed(): ReturnedUser[] {
    const users = [...new Set([...this.#lost.keys(), ...this.#others.keys()])].slice(0, USERS_MAX);
    return users.map((user) => ({
      user,
      items: [...(this.#lost.get(user) ?? []), ...(this.#others.get(user) ?? [])].slice(0, ITEMS_MAX),
    }));
  }
}

/** The report in a text of the store; `undefined` where it is none. */
export function parseReport(text: string): ReturnedReport | undefined {
  const value = parseJson(text);
  return isReport(value) ? value : undefined;
}

/** Only nodes of the region write it. */
function isReport(value: unknown): value is ReturnedReport {
  if (typeof value !== "object" || value === null) return false;
  const report = value as Partial<Record<keyof ReturnedReport, unknown>>;
  const { generation, sinceMs, frames, users } = report;
  const isCounted = [generation, sinceMs, frames, users].every(Number.isSafeInteger);
  return isCounted && report.finished === true && areCounts(report.counts) && Array.isArray(report.listed);
}

function areCounts(value: unknown): value is ReturnedCounts {
  if (typeof value !== "object" || value === null) return false;
  const counts = value as Partial<Record<string, unknown>>;
  return LOST_WORDS.every((word) => {
    const each = counts[word];
    if (typeof each !== "object" || each === null) return false;
    const numbers = each as Partial<Record<string, unknown>>;
    return BECAME.every((became) => Number.isSafeInteger(numbers[became]));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
