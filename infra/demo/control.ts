/**
 * The demo's control API on loopback: look at links and processes, cut and heal, kill and start.
 * Rule: an answer says what is, after the change took effect; bad input changes nothing and gets a problem (RFC 9457).
 */
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { RTT_MS_MAX, type WanLink } from "../wan.ts";
import { ACTIONS, ROLES, type Action, type Role } from "./runtime.ts";
import { LINKS, REGIONS, isRegion, parseCut, parseLink } from "./topology.ts";
import type { World } from "./world.ts";

const BODY_BYTES_MAX = 4_096;

export interface Control {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens on a free port of loopback. */
export async function startControl(world: World): Promise<Control> {
  const app = fastify({ logger: false, bodyLimit: BODY_BYTES_MAX, forceCloseConnections: true });
  app.setNotFoundHandler((request, reply) =>
    problem(reply, 404, "not-found", `no ${request.method} ${request.url}`),
  );
  app.setErrorHandler((error, _request, reply) => {
    const status = statusOf(error);
    problem(
      reply,
      status,
      status < 500 ? "bad-request" : "failed",
      error instanceof Error ? error.message : "unknown",
    );
  });
  linkRoutes(app, world);
  processRoutes(app, world);
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { url, close: () => app.close() };
}

function linkRoutes(app: FastifyInstance, world: World): void {
  app.get("/links", () => ({ links: [...world.links.values()].map((link) => link.status()) }));

  app.put<{ Params: { link: string } }>("/links/:link", (request, reply) => {
    const named = parseLink(request.params.link);
    if (named === undefined)
      return problem(reply, 404, "unknown-link", `links are ${LINKS.map(({ name }) => name).join(", ")}`);
    const change = parseChange(named, request.body);
    if (typeof change === "string") return problem(reply, 400, "bad-request", change);
    const link: WanLink = world.link(named.name);
    if (change.rttMs !== undefined) link.setRtt(change.rttMs);
    if (change.cut !== undefined) link.setCut(change.cut);
    return link.status();
  });
}

function processRoutes(app: FastifyInstance, world: World): void {
  app.get("/processes", () =>
    Object.fromEntries(REGIONS.map((region) => [region, world.region(region).processes()])),
  );

  app.post<{ Params: { region: string; role: string } }>(
    "/processes/:region/:role",
    async (request, reply) => {
      const { region, role } = request.params;
      if (!isRegion(region) || !isRole(role))
        return problem(
          reply,
          404,
          "unknown-process",
          `regions are ${REGIONS.join(", ")}; roles ${ROLES.join(", ")}`,
        );
      const action = parseAction(request.body);
      if (action === undefined)
        return problem(reply, 400, "bad-request", `the body is {"action": one of ${ACTIONS.join(", ")}}`);
      const result = await world.region(region).act(role, action);
      return result.ok ? result.status : problem(reply, 409, "not-possible", result.reason);
    },
  );
}

/** What to change, or what is wrong with the body. */
function parseChange(link: (typeof LINKS)[number], body: unknown) {
  if (!isObject(body)) return "the body is an object with cut, rttMs, or both";
  const { cut: cutText, rttMs, ...others } = body;
  const unknown = Object.keys(others);
  if (unknown.length > 0) return `unknown members: ${unknown.join(", ")}`;
  if (cutText === undefined && rttMs === undefined) return "neither cut nor rttMs";
  const cut = parseCut(link, cutText);
  if (cutText !== undefined && cut === undefined)
    return `cut is true, false, "${link.a}→${link.b}" or "${link.b}→${link.a}"`;
  if (rttMs !== undefined && !(typeof rttMs === "number" && rttMs >= 0 && rttMs <= RTT_MS_MAX))
    return `rttMs is a number from 0 to ${RTT_MS_MAX}`;
  return { cut, rttMs: typeof rttMs === "number" ? rttMs : undefined };
}

function parseAction(body: unknown): Action | undefined {
  if (!isObject(body) || Object.keys(body).length !== 1) return undefined;
  return ACTIONS.find((action) => action === body["action"]);
}

function isRole(text: string): text is Role {
  return ROLES.some((role) => role === text);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function statusOf(error: unknown): number {
  const status = isObject(error) ? error["statusCode"] : undefined;
  return typeof status === "number" && status >= 400 ? status : 500;
}

function problem(reply: FastifyReply, status: number, name: string, detail: string): FastifyReply {
  const body = {
    type: `urn:rollcall-demo:problems:${name}`,
    title: name.replaceAll("-", " "),
    status,
    detail,
  };
  return reply.code(status).type("application/problem+json").send(body);
}
