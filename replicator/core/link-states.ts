/** What the states of a link are worth: which is worse, and what a count of frames means in it. Rule: nobody claims 0 out of contact. */
import type { LinkState, Position } from "./commands.ts";

const BADNESS: Record<LinkState | "unknown", number> = {
  live: 0,
  "catching-up": 1,
  snapshotting: 2,
  unknown: 3,
  stalled: 4,
  disconnected: 5,
  overrun: 6,
  blocked: 7,
};

export function badness(state: LinkState | "unknown"): number {
  return BADNESS[state];
}

/** Whether frames come. */
export function isMoving(state: LinkState): boolean {
  return state === "live" || state === "catching-up";
}

/** In contact the difference is the truth; out of contact the origin may have gone on, so 0 would be a guess. */
export function behind(state: LinkState, head: Position, position: Position): number | null {
  const known = head - position;
  return isMoving(state) || known > 0 ? known : null;
}
