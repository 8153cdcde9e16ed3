/**
 * The shapes of the regions and of their evacuation in the HTTP API.
 * Rule: as for all shapes (schemas.ts): closed objects, and every bound from LIMITS.
 */
import { Type } from "typebox";

import { LINK_STATES } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import {
  choice,
  count,
  dateTime,
  decision,
  FreshnessName,
  nullable,
  object,
  Reason,
  RegionName,
  TokenText,
} from "./schemas.ts";
import { HOLDS, PLAN_REFUSALS, SUCCESSION_PHASES } from "./evacuation-view.ts";

const asked = {
  reason: Reason,
  dryRun: Type.Optional(Type.Boolean({ description: "Only the plan: nothing is decided" })),
  force: Type.Optional(Type.Boolean({ description: "In spite of the refusals that say `canForce`" })),
};
export const Evacuate = object({
  to: RegionName,
  ...asked,
  expiresInSeconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.switchSecondsMax,
      description:
        "The region is restored by itself then. Asked again for the same heir: another end takes the place of the one that stands; without it what stands is kept",
    }),
  ),
});
export const Restore = object(asked);

const Progress = object({
  state: choice(
    ["home", "evacuating", "evacuated", "restoring"],
    "home: its users are at home. evacuating: users are on their way to the heir. evacuated: none is left. restoring: they come back",
  ),
  usersLeft: Type.Optional(nullable(count("Still to move, away or back; null while they are being counted"))),
  holds: Type.Optional(
    Type.Array(object({ reason: choice(HOLDS), detail: Type.String() }), {
      description:
        "Why users may stay where they are for now. heir-evacuated: all do. is-heir: those of the other region do. not-in-touch: those do whom some region has not said it knows",
    }),
  ),
  to: Type.Optional(RegionName),
  until: Type.Optional(dateTime("When it is restored by itself")),
  decision: Type.Optional(object(decision)),
});

const SuccessionState = object({
  heir: RegionName,
  generation: count("Counts the successions of the region"),
  phase: choice(
    SUCCESSION_PHASES,
    "fence: the heir asks how far the log is folded. succeed: the heir's log goes on for the region's. yield: the region writes again. given-up: the fence came to nothing, `reason` says why",
  ),
  since: dateTime("When that was decided"),
  reason: Type.String(),
});

export const Regions = object({
  region: RegionName,
  regions: Type.Array(
    object({
      region: RegionName,
      users: nullable(count("Online there")),
      sessions: nullable(count("Connected there")),
      freshness: FreshnessName,
      homes: count("Users whose home it is, online or not"),
      nodes: Type.Array(Type.String(), { description: "Its nodes that were heard lately" }),
      evacuation: Progress,
      succession: Type.Optional(SuccessionState),
      writtenOff: Type.Optional(object(decision)),
    }),
  ),
});

export const Evacuation = object({
  plan: object({
    users: count("Whose home is to be another"),
    sessions: count("Connected to the region; they stay connected"),
    positions: Type.Record(Type.String(), count(), { description: "Folded here, of every log" }),
    late: Type.Array(
      object({
        origin: RegionName,
        replica: RegionName,
        state: choice([...LINK_STATES, "unknown"] as const),
        reason: Type.String(),
        eventsBehind: nullable(Type.Number()),
      }),
      {
        description:
          "Links that are not live: their replicas hear of it late, and users whose record such a replica lacks stay until it has it",
      },
    ),
    refusals: Type.Array(
      object({ reason: choice(PLAN_REFUSALS), detail: Type.String(), canForce: Type.Boolean() }),
    ),
    lost: Type.Optional(
      object({
        position: count("How far its log is folded here"),
        folded: Type.Record(Type.String(), count(), { description: "And elsewhere, of the same log" }),
        watermarkAgeMs: nullable(
          count("Since it was last heard: what it took in this long may be known to nobody else"),
        ),
      }),
    ),
  }),
  evacuation: Progress,
  succession: Type.Optional(SuccessionState),
  homes: count("Users whose home the region is now"),
  token: Type.Optional(TokenText),
});
