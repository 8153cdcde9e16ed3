/**
 * How an operator makes sure of a node: verification of its replica against snapshot and logs, and a snapshot on request.
 */
import { formatToken } from "../../../replicator/core/token.ts";
import { unwrap } from "../problems.ts";
import { TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";
import { assertKnownRegion } from "./sessions.ts";

const tags = ["operators"];

export function integrityRoutes(app: Scope, { service, operations }: RouteContext): void {
  app.post(
    "/v1/verify",
    {
      schema: {
        tags,
        summary:
          "Compare this node's replica, record by record, with one made of a snapshot and the logs; with repair, take that one",
        querystring: schemas.NoQuery,
        body: schemas.Verify,
        response: { 200: schemas.Verification },
      },
    },
    async (request, reply) => {
      const { origin, repair = false } = request.body;
      if (origin !== undefined) assertKnownRegion(service.regions, origin, "origin");
      const options = { repair, ...(origin !== undefined && { origin }) };
      const { compared, differences, repaired } = unwrap(await operations.verify(options));
      return reply.code(200).send({ compared, differences: [...differences], repaired });
    },
  );

  app.post(
    "/v1/snapshots",
    {
      schema: {
        tags,
        summary: "Take a snapshot of this node's replica now",
        querystring: schemas.NoQuery,
        response: { 201: schemas.SnapshotTaken },
      },
    },
    async (_request, reply) => {
      const { name, bytes, token } = unwrap(await operations.snapshot());
      const text = formatToken(token);
      return reply.code(201).header(TOKEN_HEADER, text).send({ name, bytes, token: text });
    },
  );
}
