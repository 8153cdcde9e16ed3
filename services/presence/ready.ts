/**
 * Keeps a node from answering before it has folded the logs. Rule: an answer that would be wrongly empty is a 503 `not-ready`; a
 * heartbeat of a live session must never be told that its session is unknown. The 503 says what the node is waiting for.
 */
import type { FastifyInstance } from "fastify";

import { NOT_READY, notReady } from "./failures.ts";
import { Refusal } from "./problems.ts";
import type { PresenceService } from "./service.ts";

/** Makes every route of the scope answer 503 `not-ready` until the service is ready. */
export function requireReady(scope: FastifyInstance, service: PresenceService): void {
  scope.addHook("onRequest", (_request, _reply, done) => {
    if (service.ready()) return done();
    return done(refusalOf(service));
  });
}

/** The same for hot paths, without a hook. Throws {@link Refusal}. */
export function assertReady(service: PresenceService): void {
  if (!service.ready()) throw refusalOf(service);
}

function refusalOf(service: PresenceService): Refusal {
  const lacking = service.startingWith();
  return new Refusal((lacking === "" ? NOT_READY : notReady(lacking)).problem);
}
