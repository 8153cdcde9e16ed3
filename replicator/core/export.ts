/**
 * Reads one fold out, a slice at a time, as it was at one position, while the fold goes on: what is about to change is copied
 * first. Rule: what comes out is the state at that position, each record and each fact once, in no particular order.
 */
import { defined } from "./assert.ts";
import type { Fact, UserId } from "./commands.ts";
import type { Facts, HeldFact } from "./facts.ts";
import type { Fold } from "./fold.ts";
import type { FoldState, RecordState } from "./snapshot.ts";
import type { UserRecord } from "./record.ts";
import type { Table } from "./table.ts";

export class FoldExport {
  readonly state: FoldState;
  /** By slot: whether the record is out already. Records beyond came later. */
  readonly #isOut: Uint8Array;
  readonly #records: Iterator<UserRecord>;
  readonly #copied: Copy[] = [];
  /** Likewise. */
  readonly #isFactOut: Uint8Array;
  readonly #facts: Facts;
  readonly #kept: Fact[] = [];
  #factAt = 0;

  constructor(state: FoldState, table: Table<UserRecord>, facts: Facts) {
    this.state = state;
    this.#isOut = new Uint8Array(table.size);
    this.#records = table.values();
    this.#isFactOut = new Uint8Array(facts.size);
    this.#facts = facts;
  }

  /** The record is about to change. */
  keep(record: UserRecord): void {
    if (this.#isOut[record.slot] !== 0) return;
    this.#isOut[record.slot] = 1;
    this.#copied.push(copyOf(record));
  }

  /** The next records, at most `max`; none when all are out. `lastSeenMs` says when a user was last seen, as is known by now. */
  next(max: number, lastSeenMs: (user: UserId) => number): RecordState[] {
    const records = this.#copied.splice(0, max);
    while (records.length < max) {
      const { value: record, done } = this.#records.next();
      if (done === true) break;
      if (this.#isOut[record.slot] !== 0) continue;
      this.#isOut[record.slot] = 1;
      records.push(copyOf(record));
    }
    return records.map((record) => ({ ...record, lastSeenMs: lastSeenMs(record.user) }));
  }

  /** Another fact is about to take the place of this one. */
  keepFact({ slot, fact }: HeldFact): void {
    if (this.#isFactOut[slot] !== 0) return;
    this.#isFactOut[slot] = 1;
    this.#kept.push(fact);
  }

  /** The next facts, at most `max`; none when all are out. */
  nextFacts(max: number): Fact[] {
    const facts = this.#kept.splice(0, max);
    while (facts.length < max && this.#factAt < this.#isFactOut.length) {
      const held = defined(this.#facts.all[this.#factAt++], "no fact ever goes");
      if (this.#isFactOut[held.slot] !== 0) continue;
      this.#isFactOut[held.slot] = 1;
      facts.push(held.fact);
    }
    return facts;
  }
}

/** All of the fold, as it is now, but its records and facts. */
export function stateOf(fold: Fold): FoldState {
  const { region, logId, lineage, position, checksum, base, table, facts } = fold;
  return {
    region,
    logId,
    lineage,
    position,
    checksum,
    base,
    sent: new Map(fold.sent),
    processed: new Map(fold.processed),
    settings: new Map(fold.settings),
    audit: [...fold.audit],
    users: table.size,
    facts: facts.size,
    sums: fold.sums(),
  };
}

type Copy = Omit<RecordState, "lastSeenMs">;

function copyOf({ user, epoch, version, movedTo, sessions, preferred, preferredUntilMs }: UserRecord): Copy {
  return { user, epoch, version, movedTo, sessions, preferred, preferredUntilMs };
}

/** All of the fold but its records and facts, as text. */
export function restOf({ lineage, base, sent, processed, settings, audit }: Fold): string {
  const decided = [...sorted(settings).map(([, setting]) => setting), ...audit];
  const texts = decided.map(({ key, value, by, reason, atMs }) => [key, value, by, reason, atMs]);
  return JSON.stringify([lineage, base, sorted(sent), sorted(processed), texts]);
}

/** The entries of a map, in the order of their keys. */
function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([one], [other]) => (one < other ? -1 : 1));
}
