/** Evacuating this region and restoring it: for operators, at a node of that region. The plan comes first, then the progress. */
import { formatToken } from "../../../replicator/core/token.ts";
import { evacuationAnswer } from "../answers.ts";
import type { Role } from "../auth.ts";
import * as evacuation from "../evacuation-schemas.ts";
import { unwrap } from "../problems.ts";
import { TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { EvacuationAnswer } from "../evacuation-view.ts";
import type { Outcome } from "../service.ts";
import { checkedReason } from "./decisions.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["operators"];
const BY: Role = "operator";

export function evacuationRoutes(app: Scope, { service, now }: RouteContext): void {
  app.post(
    "/v1/regions/:region/evacuate",
    {
      schema: {
        tags,
        summary:
          "Give all users of this region another home, until it is restored or for a time; sessions live on",
        params: schemas.RegionPath,
        querystring: schemas.NoQuery,
        body: evacuation.Evacuate,
        response: { 200: evacuation.Evacuation },
      },
    },
    async (request, reply) => {
      const { to, reason, dryRun = false, force = false, expiresInSeconds } = request.body;
      const outcome = await service.evacuate({
        region: request.params.region,
        to,
        by: BY,
        reason: checkedReason(reason),
        dryRun,
        force,
        ...(expiresInSeconds === undefined ? {} : { untilMs: now() + expiresInSeconds * 1_000 }),
      });
      return reply
        .code(200)
        .headers(tokenOf(outcome))
        .send(evacuationAnswer(unwrap(outcome)));
    },
  );

  app.post(
    "/v1/regions/:region/restore",
    {
      schema: {
        tags,
        summary: "End the evacuation: the users that were moved, and are still with the heir, come back",
        params: schemas.RegionPath,
        querystring: schemas.NoQuery,
        body: evacuation.Restore,
        response: { 200: evacuation.Evacuation },
      },
    },
    async (request, reply) => {
      const { reason, dryRun = false, force = false } = request.body;
      const { region } = request.params;
      const asked = { region, by: BY, reason: checkedReason(reason), dryRun, force };
      const outcome = await service.restore(asked);
      return reply
        .code(200)
        .headers(tokenOf(outcome))
        .send(evacuationAnswer(unwrap(outcome)));
    },
  );
}

function tokenOf(outcome: Outcome<EvacuationAnswer>): Record<string, string> {
  const { token } = unwrap(outcome);
  return token === undefined ? {} : { [TOKEN_HEADER]: formatToken(token) };
}
