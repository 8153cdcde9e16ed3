/**
 * The reads: one presence, many, everybody online, and the counts. All answer from this node's memory, but for users of whom it has not in
 * time what the read asks for.
 */
import { defined } from "../../../replicator/core/assert.ts";
import { presenceAnswer } from "../answers.ts";
import { Refusal } from "../problems.ts";
import { readUsers, settle } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";
import { assertKnownRegion } from "./sessions.ts";

const tags = ["reading"];
const PAGE = 100;

export function readRoutes(app: Scope, { service }: RouteContext): void {
  app.get(
    "/v1/users/:user/presence",
    {
      schema: {
        tags,
        summary: "Is this user online, and how sure are we?",
        params: schemas.UserPath,
        querystring: schemas.ReadQuery,
        headers: schemas.ReadHeaders,
        response: { 200: schemas.OnePresence },
      },
    },
    async (request, reply) => {
      const { presences, consistency } = await readUsers(service, [request.params.user], request, reply);
      const presence = defined(presences[0], "who was asked about is answered");
      return reply.code(200).send({ ...presenceAnswer(presence), consistency });
    },
  );

  app.post(
    "/v1/presence",
    {
      schema: {
        tags,
        summary: "Many users, in the order asked; unknown ones are offline",
        querystring: schemas.ReadQuery,
        headers: schemas.ReadHeaders,
        body: schemas.AskPresences,
        response: { 200: schemas.ManyPresences },
      },
    },
    async (request, reply) => {
      const { presences, consistency } = await readUsers(service, request.body.users, request, reply);
      return reply.code(200).send({ presences: presences.map(presenceAnswer), consistency });
    },
  );
}

/** Over everybody: what is dear, and can wait. */
export function listRoutes(app: Scope, { service }: RouteContext): void {
  app.get(
    "/v1/online",
    {
      schema: {
        tags,
        summary: "A page of the users online; the cursor is stable while users come and go",
        querystring: schemas.OnlineQuery,
        headers: schemas.ReadHeaders,
        response: { 200: schemas.OnlinePage },
      },
    },
    async (request, reply) => {
      const { region, home, limit = PAGE, cursor } = request.query;
      if (region !== undefined) assertKnownRegion(service.regions, region, "region");
      if (home !== undefined) assertKnownRegion(service.regions, home, "home");
      const consistency = await settle(service, request, reply);
      const page = service.online({
        limit,
        ...(region !== undefined && { region }),
        ...(home !== undefined && { home }),
        ...(cursor !== undefined && { cursor }),
      });
      if ("invalidCursor" in page) {
        throw new Refusal({ name: "invalid-cursor", detail: "This list gave no such cursor." });
      }
      return reply.code(200).send({
        users: page.users.map(presenceAnswer),
        ...(page.cursor !== undefined && { cursor: page.cursor }),
        consistency,
      });
    },
  );

  app.get(
    "/v1/occupancy",
    {
      schema: {
        tags,
        summary: "How many users and sessions, by region",
        querystring: schemas.ReadQuery,
        headers: schemas.ReadHeaders,
        response: { 200: schemas.Occupancy },
      },
    },
    async (request, reply) => {
      const consistency = await settle(service, request, reply);
      return reply.code(200).send({ ...service.occupancy(), consistency });
    },
  );
}
