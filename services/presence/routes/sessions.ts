/**
 * A session's life: opened, updated, closed. Every answer carries the token of the write, in the body and in the header.
 */
import { LIMITS } from "../../../replicator/core/limits.ts";
import { acknowledged } from "../acknowledge.ts";
import { invalidRequest, Refusal, unwrap } from "../problems.ts";
import { TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["sessions"];

export function sessionRoutes(app: Scope, { service, operations }: RouteContext): void {
  app.post(
    "/v1/sessions",
    {
      schema: {
        tags,
        summary: "Open a session (log in)",
        body: schemas.OpenSession,
        querystring: schemas.WriteQuery,
        response: { 201: schemas.OpenedSession },
      },
    },
    async (request, reply) => {
      const { state, ...input } = request.body;
      if (input.home !== undefined) assertKnownRegion(service.regions, input.home, "home");
      const opened = unwrap(
        await service.openSession({ ...input, ...(state !== undefined && { state: stateText(state) }) }),
      );
      const { session } = opened;
      const token = await acknowledged(operations, request.query.ack, opened.token, { session });
      return reply
        .code(201)
        .header(TOKEN_HEADER, token)
        .send({ ...opened, token });
    },
  );

  app.patch(
    "/v1/sessions/:session",
    {
      schema: {
        tags,
        summary: "Change a session's status or state",
        params: schemas.SessionPath,
        querystring: schemas.WriteQuery,
        body: schemas.UpdateSession,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const { status, state } = request.body;
      const written = await service.updateSession(request.params.session, {
        ...(status !== undefined && { status }),
        ...(state !== undefined && { state: stateText(state) }),
      });
      const token = await acknowledged(operations, request.query.ack, unwrap(written).token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );

  app.delete(
    "/v1/sessions/:session",
    {
      schema: {
        tags,
        summary: "Close a session (log out); idempotent",
        params: schemas.SessionPath,
        querystring: schemas.WriteQuery,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const closed = unwrap(await service.closeSession(request.params.session));
      const token = await acknowledged(operations, request.query.ack, closed.token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );
}

/** Refuses a region that is not part of this deployment; `field` is where the caller named it. */
export function assertKnownRegion(regions: readonly string[], region: string, field: string): void {
  if (regions.includes(region)) return;
  const detail = `${field}: there is no region ${region} here; there are ${regions.join(", ")}.`;
  throw new Refusal({ name: "unknown-region", detail });
}

/** The state as the log carries it; empty for the empty object. */
function stateText(state: Record<string, unknown>): string {
  const text = JSON.stringify(state);
  if (text === "{}") return "";
  if (Buffer.byteLength(text) <= LIMITS.stateBytesMax) return text;
  const message = `must be at most ${LIMITS.stateBytesMax} bytes as JSON`;
  throw invalidRequest([{ in: "body", pointer: "/state", message }]);
}
