/**
 * Snapshots of a replica: parts read out while it goes on, and parts put together to a replica again. Rule: a replica made of parts is
 * given out only when all of them came and every fold has the digest that it had when it was read out.
 */
import { defined } from "./assert.ts";
import type { Region } from "./commands.ts";
import { BUCKETS, differingBuckets } from "./digest.ts";
import type { FoldExport } from "./export.ts";
import { Replica } from "./replica.ts";
import type { FoldState, PendingState, RecordState, SnapshotPart } from "./snapshot.ts";

/** Records, facts or pendings in one part. */
const PART_MAX = 1_000;

/** The state as it is when the first part is asked for. Ask for all of them, or call `return`: until then folds keep what changes. */
export function* exportReplica(replica: Replica): Generator<SnapshotPart> {
  const exports = replica.folds.map((fold) => fold.export());
  const pendings = replica.provisional.export();
  const next = (one: FoldExport): RecordState[] =>
    one.next(PART_MAX, (user) => replica.online.lastSeenMs(user) ?? 0);
  try {
    yield { kind: "head", folds: exports.map(({ state }) => state) };
    for (let from = 0; from < pendings.length; from += PART_MAX) {
      yield { kind: "pending", pendings: pendings.slice(from, from + PART_MAX) };
    }
    for (const one of exports) {
      for (let records = next(one); records.length > 0; records = next(one)) {
        yield { kind: "records", region: one.state.region, records };
      }
      for (let facts = one.nextFacts(PART_MAX); facts.length > 0; facts = one.nextFacts(PART_MAX)) {
        yield { kind: "facts", region: one.state.region, facts };
      }
    }
    yield { kind: "end" };
  } finally {
    for (const fold of replica.folds) fold.exportDone();
  }
}

/** Puts the parts together. */
export class ReplicaImport {
  readonly #regions: readonly Region[];
  readonly #replica: Replica;
  #head: ReadonlyMap<Region, FoldState> | undefined;
  #pendings: PendingState[] = [];
  #whole = false;

  /** `regions` are those of this deployment: a snapshot without one of them knows nothing of it, one with others is of another deployment. */
  constructor(regions: readonly Region[]) {
    this.#regions = regions;
    this.#replica = new Replica(regions);
  }

  /** The replica, once all parts are in. */
  get result(): Replica | undefined {
    return this.#whole ? this.#replica : undefined;
  }

  /** Takes the next part; what is wrong with it, if something is. After that nothing more may be given. */
  take(part: SnapshotPart): string | undefined {
    if (this.#whole) return "a part follows the end";
    if (part.kind === "head") return this.#begin(part.folds);
    const head = this.#head;
    if (head === undefined) return "the first part is not the head";
    switch (part.kind) {
      case "pending":
        for (const { pending } of part.pendings) {
          if (!head.has(pending.from) || !head.has(pending.to))
            return `a forward from ${pending.from} to ${pending.to}, which the head does not name`;
        }
        this.#pendings.push(...part.pendings);
        return undefined;
      case "records":
        this.#restorePendings();
        if (!head.has(part.region)) return `records of ${part.region}, which the head does not name`;
        for (const record of part.records) this.#restore(part.region, record);
        this.#replica.fold(part.region)?.digest.settle(part.records.length);
        return undefined;
      case "facts":
        if (!head.has(part.region)) return `facts of ${part.region}, which the head does not name`;
        for (const fact of part.facts) this.#replica.restoreFact(part.region, fact);
        return undefined;
      case "end":
        this.#restorePendings();
        return this.#finish(head);
    }
  }

  #begin(folds: readonly FoldState[]): string | undefined {
    if (this.#head !== undefined) return "a second head";
    const head = new Map(folds.map((state) => [state.region, state]));
    if (head.size !== folds.length) return "the head names a region twice";
    for (const [region, state] of head) {
      if (!this.#regions.includes(region)) return `${region} is no region of this deployment`;
      this.#replica.fold(region)?.begin(state);
    }
    this.#replica.lookBehind();
    this.#head = head;
    return undefined;
  }

  /** What is shown of a user on the way here was never true: going offline on that way counts for nothing. */
  #restore(region: Region, record: RecordState): void {
    this.#replica.restore(region, record);
    const seat = this.#replica.online.seat(record.user);
    seat.lastSeenMs = Math.max(seat.lastSeenMs, record.lastSeenMs);
  }

  #restorePendings(): void {
    if (this.#pendings.length === 0) return;
    this.#replica.restorePendings(this.#pendings);
    this.#pendings = [];
  }

  #finish(head: ReadonlyMap<Region, FoldState>): string | undefined {
    for (const [region, { users, facts, sums }] of head) {
      const fold = defined(this.#replica.fold(region), "the head is of the replica's regions");
      if (fold.table.size !== users) return `${fold.table.size} records of ${region}, not ${users}`;
      if (fold.facts.size !== facts) return `${fold.facts.size} facts of ${region}, not ${facts}`;
      const buckets = differingBuckets(fold.sums(), sums);
      if (buckets.length > 0)
        return `the fold of ${region} is damaged in ${buckets.length} of ${BUCKETS} buckets`;
    }
    this.#whole = true;
    return undefined;
  }
}
