/**
 * What two replicas say differently at equal positions of a log. Rule: buckets whose digests differ lead to the users, so that equal
 * replicas cost no comparison of records.
 */
import type { Fact, Region, UserId } from "../../replicator/core/commands.ts";
import { bucketOf, differingBuckets } from "../../replicator/core/digest.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { pause } from "../../replicator/runtime/pause.ts";

/** A record that differs between a replica and the logs. */
export interface Difference {
  readonly region: Region;
  readonly bucket: number;
  readonly user: UserId;
}

/** Differences named at most. */
const DIFFERENCES_MAX = 100;
const SCRUBBED_AT_ONCE = 2_000;

/** In these logs, of which both stand at one position. */
export function differencesOf(made: Replica, had: Replica, regions: readonly Region[]): Difference[] {
  const differences: Difference[] = [];
  for (const region of regions) {
    const [a, b] = [made.fold(region), had.fold(region)];
    if (a === undefined || b === undefined) continue;
    for (const user of differingUsers(a, b)) {
      if (differences.length === DIFFERENCES_MAX) return differences;
      differences.push({ region, bucket: bucketOf(user), user });
    }
  }
  return differences;
}

/** Brings the digests to what the records say now, whatever they were made of. */
export async function scrub(replica: Replica): Promise<void> {
  for (const fold of replica.folds) {
    let looked = 0;
    for (const record of fold.table.values()) {
      fold.isIntact(record);
      looked += 1;
      if (looked % SCRUBBED_AT_ONCE === 0) await pause(0);
    }
  }
}

/** Users of the buckets whose digests differ. */
function* differingUsers(a: Fold, b: Fold): Generator<UserId> {
  const buckets = new Set(differingBuckets(a.sums(), b.sums()));
  if (buckets.size === 0) return;
  for (const record of a.table.values()) {
    const { user } = record;
    if (!buckets.has(bucketOf(user))) continue;
    if (!isEqual(record, b.table.get(user)) || factsOf(a, user) !== factsOf(b, user)) yield user;
  }
  for (const user of b.table.keys()) {
    if (buckets.has(bucketOf(user)) && a.table.get(user) === undefined) yield user;
  }
}

function isEqual(a: UserRecord, b: UserRecord | undefined): boolean {
  return b !== undefined && JSON.stringify(stated(a)) === JSON.stringify(stated(b));
}

/** What the user says, as text. */
function factsOf({ facts }: Fold, user: UserId): string {
  return JSON.stringify([...facts.of(user)].map(({ fact }) => statedFact(fact)).toSorted());
}

/** Field by field, in an order of its own. */
function statedFact(fact: Fact): string {
  return JSON.stringify(Object.entries(fact).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function stated({ epoch, version, movedTo, preferred, preferredUntilMs, sessions }: UserRecord): unknown[] {
  const { generation, count } = epoch;
  const texts = sessions.map((one) => [
    one.session,
    one.region,
    one.device,
    one.platform,
    one.policy,
    one.status,
    one.state,
    one.sinceMs,
  ]);
  return [generation, count, version, movedTo, preferred, preferredUntilMs, texts];
}
