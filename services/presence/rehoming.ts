/**
 * Planned re-homing of one user (decisions/0013). Rule: only the home gives a user over, and only when it is the home beyond doubt; who
 * asks elsewhere is told where, who asks too early is told to come again. A release is no forward: it speaks of the record that its own
 * log has.
 */
import type { Region, Release, UserId } from "../../replicator/core/commands.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import { homeUnsettled, notHome, unknownRegion, unknownUser } from "./failures.ts";
import type { Failure } from "./failures.ts";

/** What to append so that the user moves; nothing for a user who lives there already. */
export type Move = { readonly ok: true; readonly release: Release | undefined };

export function planMove(node: PresenceNode, user: UserId, to: Region): Move | Failure {
  const { region, replica } = node;
  if (!replica.regions.includes(to)) return unknownRegion(to);
  const home = replica.view(user)?.home;
  if (home === undefined) return unknownUser();
  if (home === to) return { ok: true, release: undefined };
  if (home !== region) return notHome(home);
  if (!node.mayRelease(user)) return homeUnsettled();
  return { ok: true, release: { kind: "release", user, to } };
}
