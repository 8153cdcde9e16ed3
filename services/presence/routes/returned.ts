/** What a region said while another one stood for it, and what became of that: for operators, at a node of that region. */
import type { Static } from "typebox";

import { iso } from "../answers.ts";
import { otherRegion } from "../failures.ts";
import { unwrap } from "../problems.ts";
import { ReturnedAnswer } from "../returned-schemas.ts";
import type { ReturnedReport } from "../returned.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";
import { assertKnownRegion } from "./sessions.ts";

export function returnedRoutes(app: Scope, { service, operations }: RouteContext): void {
  app.get(
    "/v1/regions/:region/returned",
    {
      schema: {
        tags: ["operators"],
        summary: "What the region said while another one stood for it, and what became of that, user by user",
        params: schemas.RegionPath,
        querystring: schemas.NoQuery,
        response: { 200: ReturnedAnswer },
      },
    },
    async (request, reply) => {
      const { region } = request.params;
      assertKnownRegion(service.regions, region, "region");
      const report = region === service.region ? await operations.returned() : otherRegion(region);
      return reply.code(200).send(returnedAnswer(region, unwrap(report)));
    },
  );
}

function returnedAnswer(
  region: string,
  { sinceMs, listed, ...report }: ReturnedReport,
): Static<typeof ReturnedAnswer> {
  return {
    region,
    since: iso(sinceMs),
    ...report,
    listed: listed.map(({ user, items }) => ({ user, items: [...items] })),
  };
}
