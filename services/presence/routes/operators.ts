/**
 * What operators look at: the token of this replica, the origin × replica matrix, the regions.
 */
import { formatToken } from "../../../replicator/core/token.ts";
import { regionsAnswer, replicationAnswer } from "../answers.ts";
import { TOKEN_HEADER } from "../reading.ts";
import { Regions } from "../evacuation-schemas.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["replication"];

export function tokenRoutes(app: Scope, { service }: RouteContext): void {
  app.get(
    "/v1/token",
    {
      schema: {
        tags,
        summary: "This replica's applied vector, as a token",
        querystring: schemas.NoQuery,
        response: { 200: schemas.TokenAnswer },
      },
    },
    (_request, reply) => {
      const vector = service.applied();
      const token = formatToken(vector);
      const applied = Object.fromEntries([...vector].map(([region, { position }]) => [region, position]));
      reply.code(200).header(TOKEN_HEADER, token).send({ token, applied });
    },
  );
}

export function operatorRoutes(app: Scope, { service }: RouteContext): void {
  app.get(
    "/v1/replication",
    {
      schema: {
        tags,
        summary: "The origin × replica matrix; null is no data, never 0",
        querystring: schemas.NoQuery,
        response: { 200: schemas.Replication },
      },
    },
    (_request, reply) => {
      reply.code(200).send(replicationAnswer(service.replication()));
    },
  );

  app.get(
    "/v1/regions",
    {
      schema: {
        tags,
        summary: "Every region, with what this node knows of it",
        querystring: schemas.NoQuery,
        response: { 200: Regions },
      },
    },
    (_request, reply) => {
      reply
        .code(200)
        .send(regionsAnswer(service, service.occupancy(), service.settings(), service.evacuations()));
    },
  );
}
