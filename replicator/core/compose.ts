/**
 * Puts a replica together out of several: each fold, with what its log forwarded, from the replica that is named for it. Rule: a fold
 * depends on its own log alone, so any folds go together; of the forwards those are pending that the chosen fold of their target has not
 * processed. Forwards that only the left-out fold of a target had processed are missing until the chosen one is as far: whoever composes
 * lets it catch up first.
 */
import { defined } from "./assert.ts";
import type { Region } from "./commands.ts";
import type { FoldState, PendingState, SnapshotPart } from "./snapshot.ts";
import { exportReplica } from "./transfer.ts";
import type { Replica } from "./replica.ts";

/** The parts of a snapshot of the replica that has each region's fold from the replica given for it. None of them may go on meanwhile. */
export function* composed(sources: ReadonlyMap<Region, Replica>): Generator<SnapshotPart> {
  const head = new Map<Region, FoldState>();
  const pendings: PendingState[] = [];
  for (const [replica, part] of partsOf(sources)) {
    if (part.kind === "head")
      for (const state of part.folds)
        if (sources.get(state.region) === replica) head.set(state.region, state);
    if (part.kind === "pending")
      for (const one of part.pendings) if (sources.get(teller(one)) === replica) pendings.push(one);
  }
  yield { kind: "head", folds: [...head.values()] };
  const counting = pendings.filter((one) => !isHeard(one, head));
  yield { kind: "pending", pendings: counting.map((one) => judged(one, head)) };
  for (const [replica, part] of partsOf(sources))
    if ((part.kind === "records" || part.kind === "facts") && sources.get(part.region) === replica)
      yield part;
  yield { kind: "end" };
}

function* partsOf(sources: ReadonlyMap<Region, Replica>): Generator<[Replica, SnapshotPart]> {
  for (const replica of new Set(sources.values()))
    for (const part of exportReplica(replica)) yield [replica, part];
}

/** Whose fold it comes of: the sender's, or the target's while the sending was not heard of. */
function teller({ pending: { from, to, position } }: PendingState): Region {
  return position === 0 ? to : from;
}

/** Whether it was remembered until the sending is heard of, and the sender's fold is as far. */
function isHeard({ pending }: PendingState, head: ReadonlyMap<Region, FoldState>): boolean {
  const { from, to, ordinal, position } = pending;
  const { sent } = defined(head.get(from), "every region has a fold");
  return position === 0 && ordinal <= (sent.get(to) ?? 0);
}

/** With what the target's fold says of it. */
function judged({ pending, over }: PendingState, head: ReadonlyMap<Region, FoldState>): PendingState {
  const { from, to, ordinal } = pending;
  const { lineage } = defined(head.get(from), "every region has a fold");
  const done = defined(head.get(to), "every region has a fold").processed.get(lineage) ?? 0;
  return { pending, processed: ordinal <= done, over };
}
