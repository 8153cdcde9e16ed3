/**
 * The hot paths. A renewal changes a lease in memory and nothing else.
 * Rule: a renewal answers in the same turn of the event loop, without promises, hooks (but the key check) or logging; whether the
 * gate lets it in is one comparison in the handler. A node that is not ready renews what it holds all the same (one that stood still
 * holds its leases, and their time goes on); only what it does not know it cannot judge, before it is abreast of the region's log.
 */
import { Type, type Static } from "typebox";
import { Compile } from "typebox/compile";

import { LIMITS } from "../../../replicator/core/limits.ts";
import { AHEAD } from "../../../replicator/core/table.ts";
import { gateHook, turnedAway } from "../overload.ts";
import { Refusal, unwrap } from "../problems.ts";
import { assertReady } from "../ready.ts";
import * as schemas from "../schemas.ts";
import type { HeartbeatRefusal, Outcome, PresenceService } from "../service.ts";
import type { RouteContext, Scope } from "./scope.ts";

const tags = ["heartbeats"];
const WEAK_DEVICE = "web";
const WELL_FORMED = Compile(schemas.SessionId);
const NO_CONTENT = { 204: Type.Unsafe<undefined>({ type: "null", description: "Renewed" }) };

export function heartbeatRoutes(app: Scope, { service, gates }: RouteContext): void {
  const { heartbeats, writes } = gates;
  app.put(
    "/v1/users/:user/heartbeat",
    {
      schema: {
        tags,
        summary: "Weak presence: open the device's implicit session, or renew it",
        params: schemas.UserPath,
        querystring: schemas.TouchQuery,
        response: NO_CONTENT,
      },
    },
    (request, reply) => {
      const { user } = request.params;
      const { device = WEAK_DEVICE } = request.query;
      if (heartbeats.narrowed && turnedAway(heartbeats, reply)) return undefined;
      // The first beat of a device is a write.
      if (writes.narrowed && !service.holds(user, device) && turnedAway(writes, reply)) return undefined;
      const opening = service.touch(user, device);
      if (opening !== undefined) return opened(opening, reply);
      reply.code(204).send(undefined);
      return undefined;
    },
  );

  app.post(
    "/v1/sessions/:session/heartbeat",
    {
      schema: {
        tags,
        summary: "Renew a session",
        params: schemas.SessionPath,
        querystring: schemas.NoQuery,
        response: NO_CONTENT,
      },
    },
    (request, reply) => {
      if (heartbeats.narrowed && turnedAway(heartbeats, reply)) return undefined;
      const { session } = request.params;
      const refused = service.heartbeat(session);
      if (refused?.reason === "unknown") return renewedAbreast(service, session, reply);
      if (refused !== undefined) throw refusalOf(refused);
      reply.code(204).send(undefined);
      return undefined;
    },
  );

  app.post(
    "/v1/heartbeats",
    {
      onRequest: gateHook(heartbeats),
      schema: {
        tags,
        summary: `Renew up to ${LIMITS.batchSessionsMax} sessions; one bad id fails alone`,
        querystring: schemas.NoQuery,
        body: schemas.Heartbeats,
        response: { 200: schemas.HeartbeatsAnswer },
      },
    },
    (request, reply) => {
      const { sessions } = request.body;
      const ended: Ended[] = [];
      for (let from = 0; from < sessions.length; from += AHEAD) {
        const next = sessions.slice(from, from + AHEAD);
        service.heartbeatsFollow?.(next);
        for (const session of next) {
          // A badly formed id names no lease, so looking it up says `unknown`; only its length must be bounded.
          const refused = session.length > LIMITS.sessionBytesMax ? NOWHERE : service.heartbeat(session);
          if (refused !== undefined) ended.push({ session, reason: refused.reason });
        }
      }
      if (ended.some(({ reason }) => reason === "unknown")) return judged(service, sessions.length, ended);
      reply.code(200).send({ renewed: sessions.length - ended.length, ended });
      return undefined;
    },
  );
}

interface Reply {
  code(status: 204): unknown;
}

async function opened(opening: Promise<Outcome<undefined>>, reply: Reply): Promise<undefined> {
  unwrap(await opening);
  reply.code(204);
  return undefined;
}

const NOWHERE: HeartbeatRefusal = { reason: "unknown", by: "" };

interface Ended {
  readonly session: string;
  readonly reason: HeartbeatRefusal["reason"];
}
type Judged = Static<typeof schemas.HeartbeatsAnswer>;

/** Looks again for a session that another node of the region may have opened, when this one has folded that. */
async function renewedAbreast(service: PresenceService, session: string, reply: Reply): Promise<undefined> {
  assertReady(service);
  const reached = await service.abreast();
  const refused = service.heartbeat(session);
  if (refused?.reason === "unknown") {
    unwrap(reached);
    assertReady(service);
  }
  if (refused !== undefined) throw refusalOf(refused);
  reply.code(204);
  return undefined;
}

/** The same for those of a batch of `count` that are unknown, in one go; what cannot be judged is neither renewed nor ended. */
async function judged(service: PresenceService, count: number, first: readonly Ended[]): Promise<Judged> {
  assertReady(service);
  if (!first.some(mayBeOpen)) return { renewed: count - first.length, ended: [...first] };
  const reached = await service.abreast();
  const ended: Ended[] = [];
  const undecided: string[] = [];
  for (const one of first) {
    const { session } = one;
    const isDoubtful = mayBeOpen(one);
    const refused = isDoubtful ? service.heartbeat(session) : one;
    if (isDoubtful && refused?.reason === "unknown" && !reached.ok) undecided.push(session);
    else if (refused !== undefined) ended.push({ session, reason: refused.reason });
  }
  if (ended.some(({ reason }) => reason === "unknown")) assertReady(service);
  const renewed = count - ended.length - undecided.length;
  return { renewed, ended, ...(undecided.length > 0 && { undecided }) };
}

/** Whether another node may have opened it: a badly formed id names no session. */
function mayBeOpen({ session, reason }: Ended): boolean {
  return reason === "unknown" && WELL_FORMED.Check(session);
}

function refusalOf({ reason, by }: HeartbeatRefusal): Refusal {
  if (reason === "unknown")
    return new Refusal({ name: "unknown-session", detail: "This region knows no such session." });
  const detail = `The session has ended: ${reason}.`;
  return new Refusal({ name: "session-ended", detail, members: { reason, by } });
}
