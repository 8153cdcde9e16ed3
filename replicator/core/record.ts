/**
 * One user's record and what each command does to it. The same function serves the fold of the home's log and the
 * provisional overlay, so that a login looks alike before and after its home has processed it.
 */
import { defined } from "./assert.ts";
import type {
  Claim,
  EndReason,
  PreferredStatus,
  RecordCommand,
  Region,
  Session,
  UserId,
} from "./commands.ts";
import type { Epoch } from "./homing.ts";
import { LIMITS } from "./limits.ts";
import type { Seat } from "./online.ts";

/** What a command may change. Arrays are replaced, never mutated: a view may keep one. */
export interface PresenceState {
  sessions: readonly Session[];
  preferred: PreferredStatus;
  preferredUntilMs: number;
}

export interface EndedSession {
  readonly session: Session;
  readonly reason: EndReason;
  readonly by: string;
}

export type Refusal =
  | "unknown-user"
  | "unknown-session"
  | "already-processed"
  | "out-of-order"
  | "not-homed"
  | "forward-to-self"
  | "accept-from-self"
  | "misplaced"
  | "lower-epoch"
  | "too-many-settings"
  /** A fact that stands above none that is held. */
  | "nothing-new"
  | "too-many-facts"
  | "about-oneself";

export const EMPTY_STATE: Readonly<PresenceState> = {
  sessions: [],
  preferred: "automatic",
  preferredUntilMs: 0,
};

export class UserRecord implements PresenceState {
  readonly user: UserId;
  epoch: Epoch;
  /** Of the newest command that changed this record: see `Fold.version`. */
  version = 0;
  /** Set once this log gave the user up: later commands are redirected there. Empty while homed here. */
  movedTo: Region = "";
  sessions = EMPTY_STATE.sessions;
  preferred = EMPTY_STATE.preferred;
  preferredUntilMs = EMPTY_STATE.preferredUntilMs;
  #seat: Seat | undefined;
  readonly #slot: number;

  /** `slot` is the record's number in its table. */
  constructor(user: UserId, epoch: Epoch, slot: number) {
    this.user = user;
    this.epoch = epoch;
    this.#slot = slot;
  }

  /** Where what is kept beside the records has this one's: no part of the record's state. */
  get slot(): number {
    return this.#slot;
  }

  /** The user's seat in the online index of the replica that this record is part of: at hand here, and no part of the record's state. */
  get seat(): Seat | undefined {
    return this.#seat;
  }

  set seat(seat: Seat) {
    this.#seat = seat;
  }
}

/** Applies `command` to `state` in place; sessions it ends are added to `ended`. Returns why it changed nothing, if so. */
export function applyToState(
  state: PresenceState,
  command: RecordCommand,
  ended: EndedSession[],
): Refusal | undefined {
  switch (command.kind) {
    case "open":
      open(state, command.session, ended);
      return undefined;
    case "update": {
      const index = state.sessions.findIndex((held) => held.session === command.session);
      const held = state.sessions[index];
      if (held === undefined) return "unknown-session";
      const next: Session = {
        session: held.session,
        region: held.region,
        device: held.device,
        platform: held.platform,
        policy: held.policy,
        status: command.status,
        state: command.state,
        sinceMs: held.sinceMs,
      };
      state.sessions = state.sessions.length === 1 ? [next] : state.sessions.with(index, next);
      return undefined;
    }
    case "close": {
      const held = state.sessions.find((one) => one.session === command.session);
      if (held === undefined) return "unknown-session";
      state.sessions =
        state.sessions.length === 1 ? EMPTY_STATE.sessions : state.sessions.filter((one) => one !== held);
      ended.push({ session: held, reason: command.reason, by: command.by });
      return undefined;
    }
    case "prefer":
      state.preferred = command.preferred;
      state.preferredUntilMs = command.untilMs;
      return undefined;
    case "claim":
      claim(state, command, ended);
      return undefined;
  }
}

/** What was handed over is older than what is here. */
function claim(state: PresenceState, { sessions, preferred, untilMs }: Claim, ended: EndedSession[]): void {
  const kept = [...state.sessions];
  for (const session of sessions) {
    if (kept.some((held) => held.session === session.session)) continue;
    const successor = kept.find((held) => endsFor(held, session) !== undefined);
    const reason = successor === undefined ? undefined : endsFor(successor, session);
    if (successor !== undefined && reason !== undefined)
      ended.push({ session, reason, by: successor.session });
    else if (kept.length < LIMITS.sessionsPerUserMax) kept.push(session);
    else ended.push({ session, reason: "replaced", by: "" });
  }
  state.sessions = kept;
  if (state.preferred === "automatic") {
    state.preferred = preferred;
    state.preferredUntilMs = untilMs;
  }
}

function open(state: PresenceState, session: Session, ended: EndedSession[]): void {
  if (state.sessions.length === 0) {
    state.sessions = [session];
    return;
  }
  const kept: Session[] = [];
  for (const held of state.sessions) {
    if (held.session === session.session) continue;
    const reason = endsFor(session, held);
    if (reason === undefined) kept.push(held);
    else ended.push({ session: held, reason, by: session.session });
  }
  while (kept.length >= LIMITS.sessionsPerUserMax) {
    const oldest = defined(kept.shift(), "a limit is at least 1");
    ended.push({ session: oldest, reason: "replaced", by: session.session });
  }
  kept.push(session);
  state.sessions = kept;
}

/** Whether the login leaves every other session alone. */
export function endsNobody({ device, policy }: Session): boolean {
  return device === "" && policy === "multi";
}

/**
 * Why a login ends another session that is there: its device logs in again, or its policy has no room for another. Undefined where both
 * stand. One's own device is never kicked: whoever reconnects is told `replaced`.
 */
export function endsFor(login: Session, held: Session): "replaced" | "kicked" | undefined {
  if (held.device !== "" && held.device === login.device) return "replaced";
  if (login.policy === "single") return "kicked";
  return login.policy === "per-platform" && held.platform === login.platform ? "kicked" : undefined;
}
