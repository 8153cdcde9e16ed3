/**
 * The HTTP face of a presence node: puts a PresenceService on routes, and nothing more.
 * Rule: bad input changes nothing and gets a problem that names what is wrong; the service sees only what passed its schema.
 */
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import Fastify, { type FastifyInstance } from "fastify";
import type { Logger } from "pino";

import { LIMITS } from "../../replicator/core/limits.ts";
import { type ApiKeys, guard, type Role } from "./auth.ts";
import { answerUnserved } from "./methods.ts";
import { buildMetrics, metricsRoutes } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { shed, watchEventLoop } from "./overload.ts";
import { type ProblemCounts, problemOfError, refuse, refuseConnection } from "./problems.ts";
import { healthRoutes } from "./routes/health.ts";
import { heartbeatRoutes } from "./routes/heartbeats.ts";
import { operatorRoutes, tokenRoutes } from "./routes/operators.ts";
import { readRoutes } from "./routes/reading.ts";
import { requireReady } from "./ready.ts";
import type { RouteContext, Scope } from "./routes/scope.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { userReadRoutes, userWriteRoutes } from "./routes/users.ts";
import { SHARED_SCHEMAS } from "./schemas.ts";
import type { NodeStatus, PresenceService } from "./service.ts";
import { compileValidator } from "./validation.ts";

export interface AppDeps {
  readonly service: PresenceService;
  readonly status: NodeStatus;
  /** Empty: everybody may call everything, and the node must bind a loopback address (`bindHost`). */
  readonly keys: ApiKeys;
  /** Gets one event for each request that failed inside the node. */
  readonly logger?: Pick<Logger, "error"> | false;
  /** Shown in `/openapi.json` and `rollcall_build_info`. */
  readonly version?: string;
  /** Wall-clock milliseconds. */
  readonly now?: () => number;
  /** Whether reads are to be shed; measured from the event loop when left out. */
  readonly overloaded?: () => boolean;
}

/** User ids of 64 characters, every one of them percent-encoded. */
const PATH_SEGMENT_CHARS_MAX = 3 * LIMITS.userBytesMax;
/** A whole request must have arrived within this time. */
const REQUEST_TIMEOUT_MS = 30_000;

export function buildApp(deps: AppDeps): FastifyInstance {
  const { version = "0.0.0", now = Date.now } = deps;
  const problemCounts: ProblemCounts = new Map();
  const app = Fastify({
    bodyLimit: LIMITS.bodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PATH_SEGMENT_CHARS_MAX },
    // Failures are logged by the error handler below; without a logger Fastify makes no child logger per request.
    logger: false,
    // Requests that arrive while the node drains are still answered, with `Connection: close`.
    return503OnClosing: false,
    frameworkErrors: (error, _request, reply) => {
      refuse(reply, problemOfError(error));
    },
    clientErrorHandler: (error, socket) => refuseConnection(problemCounts, error, socket),
  });
  app.decorate("problemCounts", problemCounts);
  answerErrors(app, deps.logger);
  answerUnserved(app);
  app.removeContentTypeParser("text/plain");
  parseJson(app);
  app.setValidatorCompiler(compileValidator);
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  describeApi(app, version);
  addRoutes(app, deps, { service: deps.service, status: deps.status, now });
  const metrics = buildMetrics({ service: deps.service, status: deps.status, problemCounts, version, now });
  routesIn(app, (scope) => metricsRoutes(scope, metrics));
  return app;
}

/** JSON as Fastify parses it; but many clients name the type on every call, so an empty body is no body. */
function parseJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body: string, done) => {
    if (body === "") done(null, undefined);
    else void parse(request, body, done);
  });
}

/** Turns whatever a hook, a validator or a handler throws into its problem. */
function answerErrors(app: FastifyInstance, logger: AppDeps["logger"]): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const problem = problemOfError(error);
    if (problem.name === "internal" && logger) {
      const route = request.routeOptions.url;
      logger.error({ event: "request-failed", method: request.method, route, err: error }, "request failed");
    }
    return refuse(reply, problem);
  });
}

/** Which role may call what, and what is shed first. */
function addRoutes(app: FastifyInstance, deps: AppDeps, context: RouteContext): void {
  const allow = (scope: Scope, ...roles: Role[]) => guard(scope, deps.keys, roles);
  const overloaded = deps.overloaded ?? measuredOverload(app);
  routesIn(app, (scope) => healthRoutes(scope, context));
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    heartbeatRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    requireReady(scope, deps.service);
    sessionRoutes(scope, context);
    userWriteRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    requireReady(scope, deps.service);
    shed(scope, overloaded);
    readRoutes(scope, context);
    userReadRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "service", "operator");
    tokenRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "operator");
    operatorRoutes(scope, context);
  });
}

function measuredOverload(app: FastifyInstance): () => boolean {
  const watch = watchEventLoop();
  app.addHook("onClose", (_app, done) => {
    watch.stop();
    done();
  });
  return watch.overloaded;
}

/** A scope of its own, so that its hooks reach no other routes. */
function routesIn(app: FastifyInstance, routes: (scope: Scope) => void): void {
  app.register((scope, _options, done) => {
    routes(scope.withTypeProvider<TypeBoxTypeProvider>());
    done();
  });
}
