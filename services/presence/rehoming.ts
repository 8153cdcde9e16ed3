/**
 * Planned re-homing of one user (decisions/0013). Rule: only the home gives a user over, and only when it is the home beyond doubt; who
 * asks elsewhere is told where, who asks too early is told to come again. A release is no forward: it speaks of the record that its own
 * log has. Another command that stands before it may have given the user up elsewhere, and then it changes nothing: so the answer waits
 * until the release is folded, and says what came of it.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Region, Release, UserId } from "../../replicator/core/commands.ts";
import { compareEpochs } from "../../replicator/core/homing.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import { homeUnsettled, notHome, unknownRegion, unknownUser } from "./failures.ts";
import type { Failure } from "./failures.ts";

/** What to append so that the user moves, and the epoch of the record it is for; nothing for a user who lives there already. */
export type Move = {
  readonly ok: true;
  readonly planned: { readonly release: Release; readonly epoch: Epoch } | undefined;
};

export function planMove(node: PresenceNode, user: UserId, to: Region): Move | Failure {
  const { region, replica } = node;
  if (!replica.regions.includes(to)) return unknownRegion(to);
  const home = replica.view(user)?.home;
  if (home === undefined) return unknownUser();
  if (home === to) return { ok: true, planned: undefined };
  if (home !== region) return notHome(home);
  if (!node.mayRelease(user)) return homeUnsettled();
  const { epoch } = defined(replica.fold(region)?.homed(user), "who may be released has a record here");
  return { ok: true, planned: { release: { kind: "release", user, to }, epoch } };
}

/** Why the user did not move, now that the release is folded; nothing where they did, wherever they may have gone since. */
export function moveFault(
  { region, replica }: PresenceNode,
  { user, to }: Release,
  before: Epoch,
): Failure | undefined {
  const record = defined(replica.fold(region)?.table.get(user), "a log keeps every user it has claimed");
  const isFirst = compareEpochs(record.epoch, before) === 0;
  return isFirst && record.movedTo !== to ? notHome(record.movedTo) : undefined;
}
