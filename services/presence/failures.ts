/** The failures of the presence service, as problems that name what to do. */
import { formatToken } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { AppendOutcome } from "./appender.ts";
import type { PlanRefusal } from "./evacuation-view.ts";
import type { HeartbeatRefusal, Problem } from "./service.ts";

export interface Failure {
  readonly ok: false;
  readonly problem: Problem;
}

const RETRY_AFTER_SECONDS = 1;

/** `lacking` is what the node has to do or to hear first. */
export function notReady(lacking: string): Failure {
  const detail = `This node is not ready: ${lacking}.`;
  return { ok: false, problem: { name: "not-ready", detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}

export const NOT_READY = notReady("still folding the logs");

export function unknownRegion(region: string): Failure {
  return { ok: false, problem: { name: "unknown-region", detail: `There is no region ${region}.` } };
}

export function unknownUser(): Failure {
  return { ok: false, problem: { name: "unknown-user", detail: "No log has ever spoken of this user." } };
}

export function notHome(home: string): Failure {
  return {
    ok: false,
    problem: { name: "not-home", detail: `The user's home is ${home}.`, members: { home } },
  };
}

export function homeUnsettled(): Failure {
  const detail =
    "Something about the user is on its way, or a region has not said yet that it knows the home.";
  return { ok: false, problem: { name: "home-unsettled", detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}

export function otherRegion(region: string): Failure {
  const detail = `Only the nodes of ${region} decide about its evacuation, and know what returned with it.`;
  return { ok: false, problem: { name: "other-region", detail, members: { region } } };
}

export function nothingReturned(region: string): Failure {
  const detail = `No other region has stood for ${region} and given it back.`;
  return { ok: false, problem: { name: "nothing-returned", detail } };
}

export function evacuationRefused(reasons: readonly PlanRefusal[]): Failure {
  const detail = `${reasons.map((one) => one.detail).join("; ")}.`;
  return { ok: false, problem: { name: "evacuation-refused", detail, members: { reasons } } };
}

/** The release is in the log, and this node has not folded it: who asks again is told what came of it. */
export function moveUnknown(): Failure {
  const detail = "The log has the request, but this node cannot say yet whether it was in time.";
  return { ok: false, problem: { name: "not-ready", detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}

/** `unavailable` is worth a retry: what was appended all the same is found and healed by reconcile. */
export function appendFailed(outcome: Extract<AppendOutcome, { ok: false }>): Failure {
  const { reason } = outcome;
  const name = reason === "overloaded" || reason === "not-ready" ? reason : "log-unavailable";
  return { ok: false, problem: { name, detail: outcome.detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}

export function tooManyWaiters(): Failure {
  const detail = "Too many reads wait for a token.";
  return { ok: false, problem: { name: "overloaded", detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}

export function logReplaced(region: string): Failure {
  const detail = `The token is of a log of ${region} that has been replaced since.`;
  return { ok: false, problem: { name: "token-log-replaced", detail, members: { region } } };
}

export function sessionOver({ reason, by }: HeartbeatRefusal): Failure {
  if (reason === "unknown") {
    const detail = "There is no such session in this region, now or recently.";
    return { ok: false, problem: { name: "unknown-session", detail } };
  }
  return {
    ok: false,
    problem: { name: "session-ended", detail: `The session ended: ${reason}.`, members: { reason, by } },
  };
}

/** The write is in this region's log, and nowhere else yet: it is not undone. */
export function notCopied(token: Token): Failure {
  const detail =
    "The write is in this region's log, but no other region has copied it in time. It stays, and is copied when a link is back.";
  const members = { token: formatToken(token) };
  return {
    ok: false,
    problem: { name: "not-copied", detail, members, retryAfterSeconds: RETRY_AFTER_SECONDS },
  };
}

export function snapshotFailed(detail: string): Failure {
  return { ok: false, problem: { name: "log-unavailable", detail, retryAfterSeconds: RETRY_AFTER_SECONDS } };
}
