/** What a node may be told of the end of a session, by what the world knows of it. */
import { strict as assert } from "node:assert";
import type { Close, SessionId, UserId } from "../../replicator/core/commands.ts";
import { endsFor } from "../../replicator/core/record.ts";
import type { EndedSession } from "../../replicator/core/record.ts";
import type { Truth } from "./member.ts";

type Truths = ReadonlyMap<SessionId, Truth>;

export function assertEnded(truths: Truths, user: UserId, { session, reason, by }: EndedSession): void {
  const truth = truths.get(session.session);
  assert(truth !== undefined && truth.user === user, "a session ended that nobody opened");
  const replacing = truths.get(by);
  if (reason !== "replaced" && reason !== "kicked")
    return assert(truth.closed || truth.ended, "a session was closed that nobody closed");
  const isDue = replacing !== undefined && endsFor(replacing.session, session) === reason;
  assert(isDue, `${reason} by a login that does not end it`);
}

export function assertClosed(truths: Truths, { user, session }: Close): void {
  const truth = truths.get(session);
  assert(truth?.user === user, "a session was closed that nobody opened");
  assert(truth.closed || truth.ended, "a session was closed that nobody closed");
}

export function expired({ user, session: { session } }: Truth): Close {
  return { kind: "close", user, session, reason: "expired", by: "" };
}
