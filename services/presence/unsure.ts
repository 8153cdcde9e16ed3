/**
 * What a node cannot tell of users yet (decisions/0022). Rule: of the invisible nothing is told, so there is nothing to be unsure of; and the
 * region that a session is connected to knows that it is alive.
 */
import type { Region, Session, UserId } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { View } from "../../replicator/core/view.ts";
import type { Leases } from "./leases.ts";

const NONE: readonly never[] = [];

/** The sessions that the view leaves out though they may be alive; none where the user is invisible, by the view or by a record left out. */
export function unsureSessions(view: View | undefined): readonly Session[] {
  const { sessions = NONE, invisible = false } = view?.unsure ?? {};
  return invisible || view?.preferred === "invisible" ? NONE : sessions;
}

/** Those of them that have a lease here. */
export function connectedOf(view: View | undefined, leases: Leases): readonly Session[] {
  return unsureSessions(view).filter(({ session }) => leases.get(session) !== undefined);
}

/** The logs of which more has to be folded before this node can tell of each session of the user that it knows. */
export function unsureOf(replica: Replica, leases: Leases, user: UserId): readonly Region[] {
  const view = replica.view(user);
  const isKnown = unsureSessions(view).length === connectedOf(view, leases).length;
  return isKnown ? NONE : (view?.unsure?.logs ?? NONE);
}

/** The same of the first user of whom there are such. */
export function unsureOfAny(replica: Replica, leases: Leases): readonly Region[] {
  for (const user of replica.disputed()) {
    const logs = unsureOf(replica, leases, user);
    if (logs.length > 0) return logs;
  }
  return NONE;
}
