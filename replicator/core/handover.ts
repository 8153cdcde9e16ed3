/** What a log forwards of a record that it gives up: with a drop piece by piece, with a release as one claim at the next epoch. */
import type { Claim, Open, Prefer } from "./commands.ts";
import { nextEpoch } from "./homing.ts";
import type { UserRecord } from "./record.ts";

export function pieces({
  user,
  sessions,
  preferred,
  preferredUntilMs: untilMs,
}: UserRecord): (Open | Prefer)[] {
  const opens = sessions.map((session): Open => ({ kind: "open", user, session }));
  return preferred === "automatic" ? opens : [...opens, { kind: "prefer", user, preferred, untilMs }];
}

export function claimOf({ user, epoch, sessions, preferred, preferredUntilMs: untilMs }: UserRecord): Claim {
  return { kind: "claim", user, epoch: nextEpoch(epoch), sessions, preferred, untilMs };
}
