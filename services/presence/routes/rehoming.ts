/** Planned re-homing, one user at a time: for operators, at a node of the user's home. */
import { acknowledged } from "../acknowledge.ts";
import { unwrap } from "../problems.ts";
import { TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["operators"];

export function rehomingRoutes(app: Scope, { service, operations }: RouteContext): void {
  app.post(
    "/v1/users/:user/home",
    {
      schema: {
        tags,
        summary: "Give a user who is homed in this region over to another home; sessions live on",
        params: schemas.UserPath,
        querystring: schemas.WriteQuery,
        body: schemas.Rehome,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const written = unwrap(await service.rehome(request.params.user, request.body.home));
      const token = await acknowledged(operations, request.query.ack, written.token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );
}
