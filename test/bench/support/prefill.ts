/**
 * Fills a region's log before its node starts, by the shipped appender: what a node folds at its start becomes its state.
 */
import { randomBytes } from "node:crypto";
import type { Open } from "../../../replicator/core/commands.ts";
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { mustHold } from "./benchmark.ts";
import { openOrigin } from "./origin.ts";

/** Opens in one append; a few appends are under way, so that the next frame fills while one is written. */
const GROUP = 1_000;
const GROUPS_MAX = 4;

/** Opens a session for each of `users` users, `user-0000000` and on; returns the sessions' ids in the order of the users. */
export async function prefillSessions(region: string, natsUrl: string, users: number): Promise<string[]> {
  const { appender, store } = await openOrigin(region, natsUrl);
  const sessions: string[] = [];
  const underWay: Promise<AppendOutcome>[] = [];
  const settleOldest = async (): Promise<void> => {
    const outcome = await underWay.shift();
    mustHold(outcome?.ok === true, `prefilling failed: ${outcome?.ok === false ? outcome.detail : ""}`);
  };
  for (let from = 0; from < users; from += GROUP) {
    const opens = Array.from({ length: Math.min(GROUP, users - from) }, (_, index) =>
      openOf(region, from + index),
    );
    for (const { session } of opens) sessions.push(session.session);
    underWay.push(appender.append(opens));
    if (underWay.length >= GROUPS_MAX) await settleOldest();
  }
  while (underWay.length > 0) await settleOldest();
  appender.stop();
  await store.close();
  return sessions;
}

/** Ids are made as a node makes them. */
function openOf(region: string, index: number): Open {
  return {
    kind: "open",
    user: `user-${String(index).padStart(7, "0")}`,
    session: {
      session: randomBytes(9).toString("base64url"),
      region,
      device: "web",
      platform: "web",
      policy: "multi",
      status: "online",
      state: "",
      sinceMs: Date.now(),
    },
  };
}
