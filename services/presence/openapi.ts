/**
 * The API's own description: OpenAPI 3.1 at `/openapi.json`, made from the schemas that validate, and a page at `/docs`
 * that needs no other host. Rule: every operation is listed with its good answer and the problem it may answer instead.
 */
import swagger, { type SwaggerTransformObject } from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";

import { PROBLEM_MEDIA_TYPE } from "./problems.ts";

const PROBLEM_RESPONSE = {
  description: "A problem (RFC 9457); GET /problems/{name} explains each type",
  content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: "#/components/schemas/Problem" } } },
};

/** What the generator says of an answer whose schema has no description. */
const UNDESCRIBED = "Default Response";

const TAGS = [
  { name: "sessions", description: "Log in, change, log out. Every write returns a consistency token" },
  { name: "heartbeats", description: "Keep sessions alive" },
  { name: "users", description: "All sessions of a user" },
  { name: "reading", description: "Who is online, and how sure are we" },
  { name: "friends", description: "Who asks whom, who is friends with whom" },
  { name: "replication", description: "How far every region has come" },
  { name: "operators", description: "What operators decide for their region, and the trail of it" },
  { name: "health", description: "For whoever runs the process" },
];

/** Must be called before the routes are registered. */
export function describeApi(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Rollcall presence",
        version,
        description: "Who is online, in every datacentre, and how sure we are.",
      },
      servers: [{ url: "/" }],
      tags: TAGS,
      components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
      security: [{ key: [] }],
    },
    transformObject: (document) => completeOperations(document),
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) =>
        typeof json["$id"] === "string" ? json["$id"] : `def-${i}`,
    },
  });
  app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: true,
    // Served over plain HTTP inside a datacentre: a browser told to upgrade would find nothing.
    transformStaticCSP: (header) => header.replace(/;\s*upgrade-insecure-requests/, ""),
  });
  app.register((scope, _options, done) => {
    let text: string | undefined;
    scope.get("/openapi.json", { schema: { hide: true } }, (_request, reply) => {
      text ??= JSON.stringify(scope.swagger());
      return reply.type("application/json").send(text);
    });
    done();
  });
}

/** Adds to every operation the problem it may answer instead, and says what its good answer is. */
const completeOperations: SwaggerTransformObject = (document) => {
  if (!("openapiObject" in document)) return document.swaggerObject;
  for (const path of Object.values(document.openapiObject.paths ?? {})) {
    for (const operation of Object.values(path ?? {})) {
      if (typeof operation !== "object" || !("responses" in operation)) continue;
      for (const answer of Object.values(operation.responses ?? {})) {
        if ("description" in answer && answer.description === UNDESCRIBED) answer.description = "Done";
      }
      operation.responses = { ...operation.responses, default: PROBLEM_RESPONSE };
    }
  }
  return document.openapiObject;
};
