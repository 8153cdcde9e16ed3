/** The shape of what became of a returned region's lost end in the HTTP API. Rule: as for all shapes (schemas.ts): closed objects. */
import { Type } from "typebox";

import { BECAME, LOST_WORDS } from "../../replicator/core/lost-end.ts";
import { choice, count, dateTime, object, RegionName } from "./schemas.ts";

const Became = choice(
  BECAME,
  "back: it is as was said. again: it was written again. superseded: something newer stands. lost: it is not, and was not written again",
);
const What = choice(LOST_WORDS);
const counts = object({
  back: count(),
  again: count(),
  superseded: count(),
  lost: count(),
});

export const ReturnedAnswer = object({
  region: RegionName,
  finished: Type.Boolean({
    description: "False: the end is still being gone through, and nothing is counted yet",
  }),
  generation: count("Which return of the region it was"),
  since: dateTime("When the region came back"),
  frames: count("What the region's log had beyond the place from where the heir went on"),
  users: count("All users that it spoke of"),
  counts: object({
    opened: counts,
    changed: counts,
    closed: counts,
    preferred: counts,
    friends: counts,
    moved: counts,
    decided: counts,
  }),
  listed: Type.Array(
    object({
      user: Type.String({ description: "Empty for what operators decided" }),
      items: Type.Array(object({ what: What, became: Became, why: Type.String() })),
    }),
    { description: "1,000 users at most, with 32 items each; first those of whom something was lost" },
  ),
});
