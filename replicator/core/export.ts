/**
 * Reads one fold out, a slice at a time, as it was at one position, while the fold goes on: a record that is about to change is copied
 * first. Rule: what comes out is the state at that position, each record once, in no particular order.
 */
import type { UserId } from "./commands.ts";
import type { FoldState, RecordState } from "./snapshot.ts";
import type { UserRecord } from "./record.ts";
import type { Table } from "./table.ts";

export class FoldExport {
  readonly state: FoldState;
  /** By slot: whether the record is out already. Records beyond came later. */
  readonly #isOut: Uint8Array;
  readonly #records: Iterator<UserRecord>;
  readonly #copied: Copy[] = [];

  constructor(state: FoldState, table: Table<UserRecord>) {
    this.state = state;
    this.#isOut = new Uint8Array(table.size);
    this.#records = table.values();
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
}

type Copy = Omit<RecordState, "lastSeenMs">;

function copyOf({ user, epoch, version, movedTo, sessions, preferred, preferredUntilMs }: UserRecord): Copy {
  return { user, epoch, version, movedTo, sessions, preferred, preferredUntilMs };
}
