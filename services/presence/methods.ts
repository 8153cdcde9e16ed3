/**
 * Tells "no such path" from "not with that method": the 404 and 405 answers.
 * Rule: what the router serves is recorded from the router itself, so a new route cannot be forgotten here.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";

import { type HttpProblem, refuse } from "./problems.ts";

interface Served {
  readonly path: RegExp;
  readonly methods: Set<string>;
}

/** Must be called before any route is registered. */
export function answerUnserved(app: FastifyInstance): void {
  const routes = new Map<string, Served>();
  app.addHook("onRoute", ({ url, method }) => {
    const served = routes.get(url) ?? { path: pathPattern(url), methods: new Set() };
    routes.set(url, served);
    for (const name of [method].flat()) served.methods.add(name.toUpperCase());
  });
  app.setNotFoundHandler((request, reply) => refuse(reply, unserved(request, routes.values())));
}

function pathPattern(url: string): RegExp {
  const segments = url.split("/").map((segment) => {
    if (segment.startsWith(":")) return "[^/]+";
    return segment === "*" ? ".*" : segment.replaceAll(/[^A-Za-z0-9_-]/g, "\\$&");
  });
  return new RegExp(`^${segments.join("/")}$`);
}

function unserved(request: FastifyRequest, routes: Iterable<Served>): HttpProblem {
  const [path = ""] = request.url.split("?", 1);
  const methods = new Set([...routes].filter((r) => r.path.test(path)).flatMap((r) => [...r.methods]));
  if (methods.size === 0 || methods.has(request.method)) {
    return { name: "not-found", detail: "Nothing is served at this path." };
  }
  const allow = [...methods].toSorted().join(", ");
  const detail = `This path takes ${allow}, not ${request.method}.`;
  return { name: "method-not-allowed", detail, headers: { allow } };
}
