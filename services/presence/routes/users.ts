/**
 * What concerns all sessions of one user: their list, force logout, and the preferred status.
 */
import { defined } from "../../../replicator/core/assert.ts";
import { acknowledged } from "../acknowledge.ts";
import { userSessionsAnswer } from "../answers.ts";
import { invalidRequest, unwrap } from "../problems.ts";
import { readUsers, TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["users"];

export function userWriteRoutes(app: Scope, { service, operations, now }: RouteContext): void {
  app.delete(
    "/v1/users/:user/sessions",
    {
      schema: {
        tags,
        summary:
          "Force logout: end every session of the user that this region knows of, wherever it is connected",
        params: schemas.UserPath,
        querystring: schemas.WriteQuery,
        response: { 200: schemas.LoggedOut },
      },
    },
    async (request, reply) => {
      const { ended, token } = unwrap(await service.forceLogout(request.params.user));
      const text = await acknowledged(operations, request.query.ack, token, { ended });
      return reply.code(200).header(TOKEN_HEADER, text).send({ ended, token: text });
    },
  );

  app.put(
    "/v1/users/:user/status",
    {
      schema: {
        tags,
        summary: "Set the preferred status on all devices",
        params: schemas.UserPath,
        querystring: schemas.WriteQuery,
        body: schemas.PreferStatus,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const { status, until } = request.body;
      const untilMs = until === undefined ? 0 : futureMs(until, now());
      const written = unwrap(await service.prefer(request.params.user, status, untilMs));
      const token = await acknowledged(operations, request.query.ack, written.token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );
}

export function userReadRoutes(app: Scope, { service }: RouteContext): void {
  app.get(
    "/v1/users/:user/sessions",
    {
      schema: {
        tags,
        summary: "The user's sessions, in every region",
        params: schemas.UserPath,
        querystring: schemas.ReadQuery,
        headers: schemas.ReadHeaders,
        response: { 200: schemas.UserSessions },
      },
    },
    async (request, reply) => {
      const { presences, consistency } = await readUsers(service, [request.params.user], request, reply);
      const view = defined(presences[0], "who was asked about is answered");
      return reply.code(200).send(userSessionsAnswer(view, consistency));
    },
  );
}

/** RFC 3339 allows a leap second, which is no time here. */
function futureMs(until: string, nowMs: number): number {
  const untilMs = Date.parse(until);
  if (untilMs > nowMs) return untilMs;
  throw invalidRequest([{ in: "body", pointer: "/until", message: "must be a time in the future" }]);
}
