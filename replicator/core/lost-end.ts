/**
 * What a region's log said beyond the place from where its heir went on (decisions/0021), and what becomes of it once the region writes
 * again. Rule: none of it is merged over what was decided since. What may still be said is said again, as any command; of all else it is
 * told that it was lost.
 *
 *   the lost end says                  | becomes
 *   -----------------------------------+--------------------------------------------------------------------------------------
 *   a session was opened or changed    | there again by its lease; changed again if it looks otherwise and was not changed since; lost if the lease is over
 *   a session was closed               | closed again, if it is still in view
 *   a preference                       | set again, if the user's record has not changed since; else lost
 *   a fact about friends               | said again, unless something newer about the two stands
 *   the user was given to another home | lost, unless that is the home
 *   an operator decided                | lost, unless it stands
 *   a forward was accepted             | nothing: it was pending for the heir, and is for the region
 */
import type {
  ClientCommand,
  Close,
  Command,
  Fact,
  Open,
  Prefer,
  Region,
  Release,
  Session,
  SessionId,
  SettingCommand,
  Update,
  UserId,
} from "./commands.ts";
import { isAbove, keyOf } from "./facts.ts";
import type { Replica } from "./replica.ts";

export type Said = Open | Update | Close | Prefer | Fact | Release | SettingCommand;

export const LOST_WORDS = [
  "opened",
  "changed",
  "closed",
  "preferred",
  "friends",
  "moved",
  "decided",
] as const;
export type LostWord = (typeof LOST_WORDS)[number];

/**
 * `back`: it is as was said. `again`: it is said again. `superseded`: something newer stands. `lost`: it is not, and is not said again.
 */
export const BECAME = ["back", "again", "superseded", "lost"] as const;

export interface Verdict {
  readonly became: (typeof BECAME)[number];
  /** For people; empty where there is nothing to explain. */
  readonly why: string;
  /** What to write for it. */
  readonly command?: ClientCommand;
}

/** What it is judged by. */
export interface Since {
  readonly region: Region;
  readonly replica: Replica;
  /** The session as it was changed last, if it has a lease. */
  readonly alive: (session: SessionId) => Pick<Update, "status" | "state"> | undefined;
  /** Records of a lower version were not changed in the heir's log. */
  readonly unchangedBelow: number;
  readonly wallMs: number;
}

/** What the command says for users and operators, whoever carries it; nothing of a region's own affairs. */
export function saidBy(command: Command): Said | undefined {
  switch (command.kind) {
    case "open":
    case "update":
    case "close":
    case "prefer":
    case "stance":
    case "read":
    case "bookmark":
    case "release":
    case "set":
      return command;
    case "forward":
    case "deputed":
      return saidBy(command.command);
    case "accept":
    case "drop":
    case "claim":
    case "watermark":
    case "renewed":
    case "mark":
    case "digest":
      return undefined;
  }
}

export function wordOf(said: Said): LostWord {
  switch (said.kind) {
    case "open":
      return "opened";
    case "update":
      return "changed";
    case "close":
      return "closed";
    case "prefer":
      return "preferred";
    case "release":
      return "moved";
    case "set":
      return "decided";
    case "stance":
    case "read":
    case "bookmark":
      return "friends";
  }
}

/** Whom it is about; nobody for a decision. */
export function userOf(said: Said): UserId {
  return said.kind === "set" ? "" : said.user;
}

/** What a log said last of each thing. */
export class LastWords {
  readonly #byKey = new Map<string, Said>();

  get size(): number {
    return this.#byKey.size;
  }

  /** In no particular order. */
  get all(): Iterable<Said> {
    return this.#byKey.values();
  }

  add(said: Said): void {
    const key = subjectOf(said);
    const before = this.#byKey.get(key);
    this.#byKey.set(key, before === undefined ? said : lastOf(before, said));
  }
}

/** Of two words about one thing: a session that was opened and changed was opened like that, and of facts the highest stands. */
function lastOf(before: Said, said: Said): Said {
  if (isFactual(before) && isFactual(said)) return isAbove(said, before) ? said : before;
  if (before.kind !== "open" || said.kind !== "update") return said;
  const { status, state } = said;
  return { ...before, session: { ...before.session, status, state } };
}

function isFactual(said: Said): said is Fact {
  return said.kind === "stance" || said.kind === "read" || said.kind === "bookmark";
}

function subjectOf(said: Said): string {
  switch (said.kind) {
    case "open":
      return `session ${said.user} ${said.session.session}`;
    case "update":
    case "close":
      return `session ${said.user} ${said.session}`;
    case "set":
      return `set ${said.key}`;
    case "prefer":
    case "release":
      return `${said.kind} ${said.user}`;
    case "stance":
    case "read":
    case "bookmark":
      return `fact ${said.user} ${keyOf(said)}`;
  }
}

const BACK: Verdict = { became: "back", why: "" };

export function judge(said: Said, since: Since): Verdict {
  const { replica, region } = since;
  switch (said.kind) {
    case "open":
      return judgeSession(said.user, said.session.session, said.session, since);
    case "update":
      return judgeSession(said.user, said.session, said, since);
    case "close":
      return shown(replica, said.user, said.session) === undefined ? BACK : again(said);
    case "prefer":
      return judgePreference(said, since);
    case "release": {
      const home = replica.view(said.user)?.home ?? "";
      return home === said.to ? BACK : lost(`the user's home is ${home === "" ? "nowhere" : home}`);
    }
    case "set": {
      const stands = replica.fold(region)?.settings.get(said.key)?.value === said.value;
      return stands ? BACK : lost("it is to be decided again");
    }
    case "stance":
    case "read":
    case "bookmark":
      return judgeFact(said, replica);
  }
}

function again(command: ClientCommand): Verdict {
  return { became: "again", why: "", command };
}

function lost(why: string): Verdict {
  return { became: "lost", why };
}

function judgeSession(
  user: UserId,
  session: SessionId,
  { status, state }: Pick<Update, "status" | "state">,
  { replica, alive }: Since,
): Verdict {
  const held = shown(replica, user, session);
  const lease = alive(session);
  if (lease === undefined) return held === undefined ? lost("nobody has kept the session alive") : BACK;
  if (held === undefined || (held.status === status && held.state === state)) return BACK;
  if (lease.status !== status || lease.state !== state)
    return { became: "superseded", why: "it was changed since" };
  return again({ kind: "update", user, session, status, state });
}

function shown(replica: Replica, user: UserId, id: SessionId): Session | undefined {
  return replica.view(user)?.sessions.find(({ session }) => session.session === id)?.session;
}

function judgePreference(said: Prefer, { replica, region, unchangedBelow, wallMs }: Since): Verdict {
  const { user, preferred, untilMs } = said;
  const view = replica.view(user);
  if (view?.preferred === preferred && view.preferredUntilMs === untilMs) return BACK;
  if (untilMs !== 0 && untilMs <= wallMs) return lost("its time is over");
  const record = view?.home === region ? replica.fold(region)?.homed(user) : undefined;
  if (view === undefined || (record !== undefined && record.version < unchangedBelow)) return again(said);
  return lost("the user's record has changed since");
}

function judgeFact(said: Fact, { friends }: Replica): Verdict {
  const held = friends.standing(said);
  const isNewer = said.kind === "stance" && friends.pairOf(said.user, said.other).round > said.round;
  if (held !== undefined && !isAbove(said, held) && !isAbove(held, said)) return BACK;
  if (isNewer || (held !== undefined && isAbove(held, said)))
    return { became: "superseded", why: "something newer stands" };
  return again(said);
}
