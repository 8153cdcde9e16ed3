/**
 * Every way a request can be refused, as RFC 9457 problems: one table from name to HTTP status.
 * Rule: a refusal leaves this node only through this file, as `application/problem+json`, and is counted by name.
 */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";

import { LIMITS } from "../../replicator/core/limits.ts";
import { FRIEND_PROBLEMS } from "./friend-problems.ts";
import type { Outcome, Problem, ProblemName } from "./service.ts";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** What the caller can do about it; served at `/problems/{name}`. */
  readonly advice: string;
}

const SERVICE_PROBLEMS = {
  "session-ended": {
    status: 410,
    title: "The session has ended",
    advice: "`reason` and `by` say why. Open a new session, or show the user that they were logged out.",
  },
  "unknown-session": {
    status: 404,
    title: "No such session",
    advice: "This region neither has nor recently had that session. Open a new one.",
  },
  "unknown-region": {
    status: 422,
    title: "No such region",
    advice: "GET /v1/regions names the regions of this deployment.",
  },
  "unknown-user": {
    status: 404,
    title: "No such user",
    advice: "A user exists from the first login or preferred status on; a first login may name the home.",
  },
  "not-home": {
    status: 409,
    title: "This region is not the user's home",
    advice: "Send the request to a node of the region that `home` names.",
  },
  "home-unsettled": {
    status: 409,
    title: "The user's home is not settled",
    advice:
      "Nothing was written. Retry after the given delay; while a link between any two regions is down, users cannot be moved.",
  },
  "other-region": {
    status: 409,
    title: "That is for another region to decide",
    advice: "Send the request to a node of the region that `region` names.",
  },
  "evacuation-refused": {
    status: 409,
    title: "The region cannot be evacuated or restored now",
    advice:
      "Nothing was decided. `reasons` says why; where all of them say `canForce`, `force` with a reason decides it all the same.",
  },
  "nothing-returned": {
    status: 404,
    title: "The region has not come back from anywhere",
    advice: "There is a report from when a region takes over again from its heir.",
  },
  "token-log-replaced": {
    status: 409,
    title: "The token speaks of a log that was replaced",
    advice: "Drop the token and read again; the region it names has started a new log since.",
  },
  "log-unavailable": {
    status: 503,
    title: "The region's log does not accept writes",
    advice: "Nothing was written. Retry after the given delay.",
  },
  "not-copied": {
    status: 503,
    title: "No other region has the write yet",
    advice:
      "It is in this region's log (`token`) and will be copied. Wait for the token, or take the risk of `ack=local`.",
  },
  overloaded: {
    status: 503,
    title: "This node is overloaded",
    advice:
      "Retry after the given delay; it differs from client to client. Writes are the last thing to be refused.",
  },
  "not-ready": {
    status: 503,
    title: "This node is not ready",
    advice: "`checks` names what is missing. Send the request to another node of the region.",
  },
} as const satisfies Record<ProblemName, ProblemKind>;

const HTTP_PROBLEMS = {
  "invalid-request": {
    status: 400,
    title: "The request does not match the schema",
    advice: "`errors` names each field. Unknown fields are refused, never ignored.",
  },
  "malformed-json": {
    status: 400,
    title: "The body is not acceptable JSON",
    advice:
      "The body must be one well-formed JSON value; the keys `__proto__` and `constructor.prototype` are refused.",
  },
  "malformed-http": {
    status: 400,
    title: "The request is not well-formed HTTP",
    advice: "Check the request line, the header lines and the percent-encoding of the path.",
  },
  "malformed-token": {
    status: 400,
    title: "Not a consistency token",
    advice: "Send back exactly what a write returned in `token` or in the header `Rollcall-Token`.",
  },
  "conflicting-tokens": {
    status: 400,
    title: "Two different consistency tokens",
    advice: "Send the token in the header `Rollcall-Token` or as `?token=`, not both.",
  },
  "missing-token": {
    status: 400,
    title: "A token is needed",
    advice: "`consistency=token` needs a token in the header `Rollcall-Token` or as `?token=`.",
  },
  "conflicting-consistency": {
    status: 400,
    title: "Read options that do not go together",
    advice: "Send maxStalenessMs with consistency=bounded and with no other, a token with token or latest.",
  },
  "invalid-cursor": {
    status: 400,
    title: "Not a cursor of this list",
    advice: "Begin again without a cursor, or send back exactly the `cursor` of the page before.",
  },
  unauthorized: {
    status: 401,
    title: "A valid key is needed",
    advice: "Send `Authorization: Bearer KEY` with a key this node was configured with.",
  },
  forbidden: {
    status: 403,
    title: "The key's role may not do this",
    advice: "`roles` names the roles that may.",
  },
  "not-found": {
    status: 404,
    title: "No such resource",
    advice: "GET /openapi.json lists every path.",
  },
  "method-not-allowed": {
    status: 405,
    title: "This resource does not take that method",
    advice: "The header `Allow` lists the methods it takes.",
  },
  "switched-off": {
    status: 503,
    title: "An operator switched this kind of request off",
    advice:
      "`detail` has the operator's reason, `until` the end where one is set. Retry after the given delay.",
  },
  "own-region": {
    status: 409,
    title: "Not for this region itself",
    advice: "Name a peer, or send the request to a node of another region.",
  },
  "client-aborted": {
    status: 400,
    title: "The client went away before its request was complete",
    advice: "Nobody reads this answer: it is counted in `rollcall_problems_total`.",
  },
  "request-timeout": {
    status: 408,
    title: "The request did not arrive in time",
    advice: "Send headers and body without pauses.",
  },
  "body-too-large": {
    status: 413,
    title: "The body is too large",
    advice: "Bodies are at most 256 KiB; split the batch.",
  },
  "uri-too-long": {
    status: 414,
    title: "A path segment is too long",
    advice: "User ids have at most 64 characters, session ids at most 32.",
  },
  "unsupported-media-type": {
    status: 415,
    title: "The body must be JSON",
    advice: "Send `Content-Type: application/json`.",
  },
  "headers-too-large": {
    status: 431,
    title: "The request line and headers are too large",
    advice: "Send fewer or shorter headers; they are at most 16 KiB with the request line.",
  },
  internal: {
    status: 500,
    title: "The node failed",
    advice: "This is a defect of the node, and it is in its log. Retrying may help.",
  },
} as const satisfies Record<string, ProblemKind>;

export const PROBLEMS = {
  ...SERVICE_PROBLEMS,
  ...HTTP_PROBLEMS,
  ...(FRIEND_PROBLEMS satisfies Record<string, ProblemKind>),
};

export type HttpProblemName = keyof typeof PROBLEMS;

/** A {@link Problem} that may also carry one of the names only HTTP has, and headers that go with it. */
export interface HttpProblem extends Omit<Problem, "name"> {
  readonly name: HttpProblemName;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One field that does not match its schema. */
export interface FieldError {
  readonly in: "body" | "query" | "path" | "header";
  /** JSON pointer inside that part; empty for the part itself. */
  readonly pointer: string;
  readonly message: string;
}

/** Thrown by validation, hooks and handlers, and turned into the answer by the app's one error handler. */
export class Refusal extends Error {
  readonly problem: HttpProblem;

  constructor(problem: HttpProblem) {
    super(problem.detail);
    this.name = "Refusal";
    this.problem = problem;
  }
}

/** The refusal of a request whose fields do not match; names every one of them. */
export function invalidRequest(errors: readonly FieldError[]): Refusal {
  const detail = errors.map((e) => `${e.in}${e.pointer} ${e.message}`).join("; ");
  return new Refusal({ name: "invalid-request", detail, members: { errors } });
}

/** An outcome whose problem only HTTP has a name for. */
export interface Refused {
  readonly ok: false;
  readonly problem: HttpProblem;
}

/** The value of an outcome, or its problem thrown as a {@link Refusal}. */
export function unwrap<T>(outcome: Outcome<T> | Refused): T {
  if (!outcome.ok) throw new Refusal(outcome.problem);
  return outcome.value;
}

/** How often each problem was answered since start. */
export type ProblemCounts = Map<HttpProblemName, number>;

declare module "fastify" {
  interface FastifyInstance {
    problemCounts: ProblemCounts;
    /** Uniform in [0, 1). */
    random: () => number;
  }
}

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

export function problemBody(problem: HttpProblem): string {
  const { status, title } = PROBLEMS[problem.name];
  return JSON.stringify({
    ...problem.members,
    type: `/problems/${problem.name}`,
    title,
    status,
    detail: problem.detail,
  });
}

export function countProblem(counts: ProblemCounts, name: HttpProblemName): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

const CODES: Readonly<Record<string, HttpProblemName>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body-too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported-media-type",
  FST_ERR_CTP_EMPTY_JSON_BODY: "malformed-json",
  FST_ERR_CTP_INVALID_JSON_BODY: "malformed-json",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "malformed-http",
  FST_ERR_BAD_URL: "malformed-http",
  FST_ERR_MAX_PARAM_LENGTH: "uri-too-long",
  ERR_HTTP_REQUEST_TIMEOUT: "request-timeout",
  HPE_HEADER_OVERFLOW: "headers-too-large",
};

/** The problem an error stands for. Anything unforeseen is `internal`, and its message stays in the log. */
export function problemOfError(error: Error | FastifyError): HttpProblem {
  if (error instanceof Refusal) return error.problem;
  const code = "code" in error ? error.code : "";
  const name = CODES[code];
  if (name === undefined) return { name: "internal", detail: "The node failed to answer this request." };
  return { name, detail: `${PROBLEMS[name].title}. ${PROBLEMS[name].advice}` };
}

/** Whether the error is that the connection ended in the middle of the request's body. */
export function isClientAbort(error: Error, request: FastifyRequest): boolean {
  return "code" in error && error.code === "ECONNRESET" && !request.raw.complete;
}

/** Sends the problem and counts it. Who is to retry gets a moment of their own, so that refused clients do not come back in step. */
export function refuse(reply: FastifyReply, problem: HttpProblem): FastifyReply {
  const { problemCounts, random } = reply.server;
  countProblem(problemCounts, problem.name);
  if (problem.headers !== undefined) reply.headers(problem.headers);
  if (problem.retryAfterSeconds !== undefined) {
    const spread = Math.floor(random() * (LIMITS.retrySpreadSeconds + 1));
    reply.header("retry-after", problem.retryAfterSeconds + spread);
  }
  return reply.code(PROBLEMS[problem.name].status).type(PROBLEM_MEDIA_TYPE).send(problemBody(problem));
}

/** Answers a connection whose bytes are not an HTTP request; there is no request or reply object yet. */
export function refuseConnection(
  counts: ProblemCounts,
  error: Error & { code?: string },
  socket: Socket,
): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const name = CODES[error.code ?? ""] ?? "malformed-http";
  const { status, advice } = PROBLEMS[name];
  const body = problemBody({ name, detail: advice });
  countProblem(counts, name);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
