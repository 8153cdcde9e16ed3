/**
 * Sessions that a replica leaves out as it cannot tell whether they are over (decisions/0022). Rule: it says so only while it lags, behind
 * what a log has processed or behind the home that a log says to have given the user to; and its service tells nobody that they are offline.
 */
import type { SessionId } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { View } from "../../replicator/core/view.ts";
import { unsureSessions } from "../../services/presence/unsure.ts";
import type { NodeHost } from "./node-host.ts";
import type { World } from "./world.ts";

export class Unsure {
  readonly #world: World;
  readonly counts = { unsure: 0 };

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether the host says so of the session, which is alive. */
  has(host: NodeHost, view: View | undefined, id: SessionId): boolean {
    if (view?.unsure?.sessions.some(({ session }) => session === id) !== true) return false;
    const { user } = view;
    const { replica } = host.node;
    this.counts.unsure += 1;
    if (!lags(replica) && replica.winner(user) !== undefined)
      this.#world.machine.fail(
        `invariant 6: ${host.name} cannot tell of ${id} of ${user}, and lags behind nothing`,
      );
    if (unsureSessions(view).length > 0 && host.presence?.presence(user).status === "offline")
      this.#world.machine.fail(
        `invariant 6: ${host.name} cannot tell of ${id}, and tells ${user} as offline`,
      );
    return true;
  }
}

/** Whether a log has processed more of another than is folded of that one. */
function lags({ folds }: Replica): boolean {
  return folds.some(({ region, processed }) =>
    [...processed].some(([lineage, ordinal]) => {
      const sender = folds.find((fold) => fold.lineage === lineage);
      return ordinal > (sender?.sent.get(region) ?? 0);
    }),
  );
}
