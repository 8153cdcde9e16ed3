/**
 * For whoever runs the process: liveness, readiness by named checks, and what each problem means. Open to everybody.
 */
import { PROBLEMS, type HttpProblemName, Refusal } from "../problems.ts";
import * as schemas from "../schemas.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["health"];
const security: [] = [];
const RETRY_AFTER_SECONDS = 1;

export function healthRoutes(app: Scope, { status }: RouteContext): void {
  app.get(
    "/livez",
    {
      schema: { tags, security, summary: "The process answers", response: { 200: schemas.Alive } },
    },
    (_request, reply) => {
      reply.code(200).send({ status: "live" });
    },
  );

  app.get(
    "/readyz",
    {
      schema: {
        tags,
        security,
        summary: "Ready when every check is ok; ?verbose lists them all",
        querystring: schemas.ReadyQuery,
        response: { 200: schemas.Ready },
      },
    },
    (request, reply) => {
      const checks = status.health();
      const failing = checks.filter((check) => !check.ok);
      const verbose = request.query.verbose !== undefined && request.query.verbose !== "false";
      if (failing.length > 0) {
        throw new Refusal({
          name: "not-ready",
          detail: `Failing: ${failing.map(({ name }) => name).join(", ")}.`,
          members: { checks: verbose ? checks : failing },
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        });
      }
      reply.code(200).send({ status: "ready", ...(verbose && { checks: [...checks] }) });
    },
  );

  app.get(
    "/problems/:name",
    {
      schema: {
        tags,
        security,
        summary: "What a problem type means",
        params: schemas.object({ name: schemas.ProblemName }),
        response: { 200: schemas.ProblemKind },
      },
    },
    (request, reply) => {
      const { name } = request.params;
      if (!isProblem(name)) {
        throw new Refusal({ name: "not-found", detail: "There is no such problem type." });
      }
      reply.code(200).send({ type: `/problems/${name}`, ...PROBLEMS[name] });
    },
  );
}

function isProblem(name: string): name is HttpProblemName {
  return Object.hasOwn(PROBLEMS, name);
}
