/**
 * What operators decide for their region: classes of requests switched off and on, peers written off; and the trail of it.
 * Rule: a decision has a reason, goes to the region's log and is in effect when it comes back from there, so every node of the region
 * follows it and it survives restarts. Switches and trail belong to no class: whoever finds everything off can read why, and switch it on.
 */
import { LIMITS } from "../../../replicator/core/limits.ts";
import { formatToken } from "../../../replicator/core/token.ts";
import { auditAnswer, switchesAnswer } from "../answers.ts";
import type { Role } from "../auth.ts";
import { REQUEST_CLASSES } from "../gates.ts";
import { invalidRequest, Refusal, unwrap } from "../problems.ts";
import { TOKEN_HEADER } from "../reading.ts";
import * as schemas from "../schemas.ts";
import { KEPT, peerKey, switchKey, switchValue, WRITTEN_OFF } from "../switches.ts";
import type { RouteContext, Scope } from "./scope.ts";
import { assertKnownRegion } from "./sessions.ts";

const tags = ["operators"];
/** Only keys of this role come here; a node without keys takes everybody for one. */
const BY: Role = "operator";
const ENTRIES = 100;

export function decisionRoutes(app: Scope, { service, gates, now }: RouteContext): void {
  app.get(
    "/v1/switches",
    {
      schema: {
        tags,
        summary: "Every class of requests, lowest first: switched off or not, and how much this node lets in",
        querystring: schemas.NoQuery,
        response: { 200: schemas.Switches },
      },
    },
    (_request, reply) => {
      const views = REQUEST_CLASSES.map((name) => gates[name]);
      reply.code(200).send(switchesAnswer(views, service.settings()));
    },
  );

  app.put(
    "/v1/switches/:class",
    {
      schema: {
        tags,
        summary: "Switch a class of requests off, until further notice or for a time; or on again",
        params: schemas.SwitchPath,
        querystring: schemas.NoQuery,
        body: schemas.PutSwitch,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const { open, reason, expiresInSeconds } = request.body;
      if (open && expiresInSeconds !== undefined) {
        const message = "belongs to a switch that is turned off";
        throw invalidRequest([{ in: "body", pointer: "/expiresInSeconds", message }]);
      }
      const untilMs = expiresInSeconds === undefined ? undefined : now() + expiresInSeconds * 1_000;
      const key = switchKey(request.params.class);
      const decided = await service.decide(key, switchValue(open, untilMs), BY, checkedReason(reason));
      const token = formatToken(unwrap(decided).token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );

  app.put(
    "/v1/regions/:region/write-off",
    {
      schema: {
        tags,
        summary: "Write a peer off, so that this region's log need not be kept for it; or keep it again",
        params: schemas.RegionPath,
        querystring: schemas.NoQuery,
        body: schemas.PutWriteOff,
        response: { 200: schemas.Written },
      },
    },
    async (request, reply) => {
      const { region } = request.params;
      const { writtenOff, reason } = request.body;
      assertKnownRegion(service.regions, region, "region");
      if (region === service.region) {
        throw new Refusal({
          name: "own-region",
          detail: `${region} is this region; only a peer can be written off.`,
        });
      }
      const value = writtenOff ? WRITTEN_OFF : KEPT;
      const decided = await service.decide(peerKey(region), value, BY, checkedReason(reason));
      const token = formatToken(unwrap(decided).token);
      return reply.code(200).header(TOKEN_HEADER, token).send({ token });
    },
  );

  app.get(
    "/v1/audit",
    {
      schema: {
        tags,
        summary: "What operators decided, newest first",
        querystring: schemas.AuditQuery,
        response: { 200: schemas.Audit },
      },
    },
    (request, reply) => {
      const { limit = ENTRIES } = request.query;
      reply.code(200).send(auditAnswer(service.audit().slice(-limit)));
    },
  );
}

/** Half of a surrogate pair, what drives a terminal, and what turns the direction of text: operators read it elsewhere. */
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/** The schema counts characters, the log bytes. */
export function checkedReason(reason: string): string {
  const isShort = Buffer.byteLength(reason) <= LIMITS.reasonBytesMax;
  if (isShort && !UNSHOWABLE.test(reason)) return reason;
  const message = isShort
    ? "must have no control characters"
    : `must be at most ${LIMITS.reasonBytesMax} bytes in UTF-8`;
  throw invalidRequest([{ in: "body", pointer: "/reason", message }]);
}
