/** The refusals of friend requests, as problems that name what to do. */
import type { UserId } from "../../replicator/core/commands.ts";
import type { PairState } from "../../replicator/core/pair.ts";
import { formatToken } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Refused } from "../presence/problems.ts";
import type { Consistency } from "../presence/service.ts";

const RETRY_AFTER_SECONDS = 1;

export const MALFORMED_ID: Refused = {
  ok: false,
  problem: { name: "malformed-request-id", detail: "The id of the friend request cannot be read." },
};

export const MALFORMED_OFFSET: Refused = {
  ok: false,
  problem: { name: "malformed-read-offset", detail: "The offset cannot be read." },
};

export const UNKNOWN: Refused = {
  ok: false,
  problem: {
    name: "unknown-friend-request",
    detail: "This region has heard of no such friend request.",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  },
};

/** What is not here could change what the write decides. */
export function tokenNotMet({ waitedMs, missing = {} }: Consistency): Refused {
  const detail = `What the token speaks of has not arrived in this region within ${waitedMs} ms.`;
  return {
    ok: false,
    problem: {
      name: "token-not-met",
      detail,
      members: { missing },
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  };
}

export function tooManyOthers(whose: UserId): Refused {
  const detail = `There are as many requests of or to ${whose} as the logs have room for, answered ones included.`;
  return { ok: false, problem: { name: "too-many-friends", detail, members: { whose } } };
}

export function wrongUser(verb: string, user: UserId): Refused {
  return {
    ok: false,
    problem: { name: "wrong-user", detail: `Only ${user} may ${verb} this request.`, members: { user } },
  };
}

export function notInState(verb: string, state: PairState, isOvertaken: boolean): Refused {
  const detail = isOvertaken
    ? `A newer request has taken its place; the two are now: ${state}.`
    : `A request that is ${state === "friends" ? "accepted" : state} takes no ${verb}.`;
  return { ok: false, problem: { name: "friend-request-state", detail, members: { state } } };
}

export function tooManyPending(whose: UserId, max: number): Refused {
  const detail = `${max} friend requests of or to ${whose} wait for an answer.`;
  return { ok: false, problem: { name: "too-many-pending", detail, members: { whose, max } } };
}

export function tooSoon(waitMs: number): Refused {
  const detail = "The user has sent as many friend requests as a minute has room for.";
  const retryAfterSeconds = Math.ceil(waitMs / 1_000);
  return { ok: false, problem: { name: "too-many-friend-requests", detail, retryAfterSeconds } };
}

/** The log has it, and this node has not folded it: who asks again is told what came of it. */
export function notFolded(token: Token): Refused {
  const detail = "The log has the request, but this node cannot say yet what came of it.";
  const members = { token: formatToken(token) };
  return {
    ok: false,
    problem: { name: "not-ready", detail, members, retryAfterSeconds: RETRY_AFTER_SECONDS },
  };
}
