/**
 * The HTTP face of a presence node: puts a PresenceService on routes, and nothing more.
 * Rule: bad input changes nothing and gets a problem that names what is wrong; the service sees only what passed its schema.
 */
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import Fastify, { type FastifyInstance } from "fastify";
import type { Logger } from "pino";

import { LIMITS } from "../../replicator/core/limits.ts";
import { type ApiKeys, guard, type Role } from "./auth.ts";
import { HTTP_TIMES, boundConnections } from "./connections.ts";
import type { Feature } from "./feature.ts";
import { type Gates, buildGates } from "./gates.ts";
import { Line } from "./line.ts";
import { answerUnserved } from "./methods.ts";
import type { NodeOperations } from "./operations.ts";
import { buildMetrics, metricsRoutes } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { type GateDeps, gated, judgeGates, watchEventLoop } from "./overload.ts";
import {
  type HttpProblem,
  type ProblemCounts,
  isClientAbort,
  problemOfError,
  refuse,
  refuseConnection,
} from "./problems.ts";
import { decisionRoutes } from "./routes/decisions.ts";
import { evacuationRoutes } from "./routes/evacuation.ts";
import { healthRoutes } from "./routes/health.ts";
import { heartbeatRoutes } from "./routes/heartbeats.ts";
import { operatorRoutes, tokenRoutes } from "./routes/operators.ts";
import { listRoutes, readRoutes } from "./routes/reading.ts";
import { integrityRoutes } from "./routes/integrity.ts";
import { requireReady } from "./ready.ts";
import { returnedRoutes } from "./routes/returned.ts";
import { rehomingRoutes } from "./routes/rehoming.ts";
import type { RouteContext, Scope } from "./routes/scope.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { userReadRoutes, userWriteRoutes } from "./routes/users.ts";
import { SHARED_SCHEMAS } from "./schemas.ts";
import type { NodeStatus, PresenceService } from "./service.ts";
import { compileValidator } from "./validation.ts";

export interface AppDeps {
  readonly service: PresenceService;
  readonly status: NodeStatus;
  readonly operations: NodeOperations;
  /** Empty: everybody may call everything, and the node must bind a loopback address (`bindHost`). */
  readonly keys: ApiKeys;
  /** What the node serves beside presence. */
  readonly features?: readonly Feature[];
  /** Gets one event for each request that failed inside the node. */
  readonly logger?: Pick<Logger, "error"> | false;
  /** Shown in `/openapi.json` and `rollcall_build_info`. */
  readonly version?: string;
  /** Wall-clock milliseconds. */
  readonly now?: () => number;
  /** Which requests are let in; judged once a second by the event loop, the append queue and the settings when left out. */
  readonly gates?: Gates;
  /** Where lists and reads wait for a turn of the event loop; with gates of its own an app has none unless it is given. */
  readonly line?: Line;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** User ids of 64 characters, every one of them percent-encoded. */
const PATH_SEGMENT_CHARS_MAX = 3 * LIMITS.userBytesMax;
/** What a client that went away is answered; nobody reads it. */
const ABORTED: HttpProblem = { name: "client-aborted", detail: "The request ended before its body did." };

export function buildApp(deps: AppDeps): FastifyInstance {
  const { service, status, operations, version = "0.0.0", now = Date.now, random = Math.random } = deps;
  const problemCounts: ProblemCounts = new Map();
  const app = Fastify({
    bodyLimit: LIMITS.bodyBytesMax,
    ...HTTP_TIMES,
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
  app.decorate("random", random);
  const connections = boundConnections(app.server);
  const gates = deps.gates ?? measuredGates(app, { service, status, now });
  answerErrors(app, deps.logger);
  answerUnserved(app);
  app.removeContentTypeParser("text/plain");
  parseJson(app);
  app.setValidatorCompiler(compileValidator);
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  describeApi(app, version);
  addRoutes(app, deps, { service, status, operations, gates, now });
  const { features = [] } = deps;
  const metrics = buildMetrics({
    service,
    status,
    gates,
    connections,
    problemCounts,
    version,
    now,
    features,
  });
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
    const problem = isClientAbort(error, request) ? ABORTED : problemOfError(error);
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
  const { gates } = context;
  const line = deps.gates === undefined ? new Line([gates.reads, gates.lists]) : deps.line;
  routesIn(app, (scope) => healthRoutes(scope, context));
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    heartbeatRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    requireReady(scope, deps.service);
    gated(scope, gates.writes);
    sessionRoutes(scope, context);
    userWriteRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "operator");
    requireReady(scope, deps.service);
    gated(scope, gates.writes);
    rehomingRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    requireReady(scope, deps.service);
    gated(scope, gates.reads, line);
    readRoutes(scope, context);
    userReadRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "operator");
    requireReady(scope, deps.service);
    gated(scope, gates.lists, line);
    listRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "frontend", "service", "operator");
    gated(scope, gates.reads, line);
    tokenRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "operator");
    gated(scope, gates.lists, line);
    operatorRoutes(scope, context);
  });
  routesIn(app, (scope) => {
    allow(scope, "operator");
    decisionRoutes(scope, context);
    evacuationRoutes(scope, context);
    integrityRoutes(scope, context);
    returnedRoutes(scope, context);
  });
  for (const { roles, gate, routes } of deps.features?.flatMap(({ groups }) => groups) ?? [])
    routesIn(app, (scope) => {
      allow(scope, ...roles);
      requireReady(scope, deps.service);
      gated(scope, gates[gate], gate === "writes" ? undefined : line);
      routes(scope, context);
    });
}

function measuredGates(app: FastifyInstance, deps: GateDeps): Gates {
  const gates = buildGates();
  const watch = watchEventLoop((delayMs) => judgeGates(gates, delayMs, deps));
  app.addHook("onClose", (_app, done) => {
    watch.stop();
    done();
  });
  return gates;
}

/** A scope of its own, so that its hooks reach no other routes. */
function routesIn(app: FastifyInstance, routes: (scope: Scope) => void): void {
  app.register((scope, _options, done) => {
    routes(scope.withTypeProvider<TypeBoxTypeProvider>());
    done();
  });
}
