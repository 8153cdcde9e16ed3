/** All that can be asked of a replica, as text: the same text for the same state, however it came about. */
import { strict as assert } from "node:assert";
import type { UserId } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { ReplicaImport, exportReplica } from "../../replicator/core/transfer.ts";

/** The whole state of a fold. */
export function canonical(fold: Fold): string {
  return JSON.stringify({
    region: fold.region,
    logId: fold.logId,
    lineage: fold.lineage,
    position: fold.position,
    version: fold.version,
    table: sorted(fold.table),
    sent: sorted(fold.sent),
    processed: sorted(fold.processed),
    settings: sorted(fold.settings),
    audit: fold.audit,
    facts: fold.facts.all.map(({ fact }) => JSON.stringify(fact)).toSorted(),
  });
}

export function digestOf(fold: Fold): string {
  return Buffer.from(fold.sums()).toString("base64");
}

/** Everything but when users were last seen; of many users, what the first are to each other. */
export function observed(replica: Replica, users: readonly UserId[]): string {
  const { friends, online, provisional, regions } = replica;
  return JSON.stringify({
    applied: [...replica.applied()],
    folds: replica.folds.map((fold) => [canonical(fold), digestOf(fold)]),
    views: users.map((user) => [user, replica.view(user) ?? null, replica.winner(user) ?? ""]),
    overlays: users.map((user) => provisional.of(user)),
    ahead: provisional.ahead.export(),
    pending: provisional.size,
    queues: regions.map((from) => regions.map((to) => [...provisional.queue(from, to)])),
    contested: [...replica.contested].toSorted(),
    online: users.filter((user) => online.has(user)),
    totals: online.totals,
    byRegion: regions.map((region) => online.byRegion.get(region) ?? { users: 0, sessions: 0 }),
    pairs: users.slice(0, 20).map((user) => users.slice(0, 20).map((other) => friends.pairOf(user, other))),
    inboxes: users.map((user) => [friends.inboxOf(user), friends.outgoingOf(user), friends.friendsOf(user)]),
    page: online.page(undefined, 1_000, () => true),
  });
}

/** Of the users that a log has ever claimed: of others no snapshot tells. */
export function lastSeen(replica: Replica, users: readonly UserId[]): Map<UserId, number> {
  const claimed = users.filter((user) => replica.folds.some((fold) => fold.table.get(user) !== undefined));
  return new Map(claimed.map((user) => [user, replica.online.lastSeenMs(user) ?? 0]));
}

/** The parts as another process gets them. */
export function partsOf(replica: Replica): SnapshotPart[] {
  return structuredClone([...exportReplica(replica)]);
}

export function imported(parts: readonly SnapshotPart[], regions: Replica["regions"]): Replica {
  const intake = new ReplicaImport(regions);
  for (const part of structuredClone(parts)) assert.equal(intake.take(part), undefined);
  assert(intake.result !== undefined, "all parts of a snapshot make a replica");
  return intake.result;
}

function sorted<T>(map: Iterable<[string, T]>): [string, T][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
