/**
 * Which log a command about a user is for. Rule: a command never overtakes an earlier one about the same thing, so that a close
 * finds its open and the newest status stands. Between a double claim and its end, a session may be in a record that has still to be
 * given up, or on its way through one that was: what follows goes the same way, and is carried along with it.
 *
 *   the session (or preference) is in                  | the command goes to
 *   ---------------------------------------------------+--------------------
 *   a forward of this region to X, pending or over     | X, or nothing that X has still to process would come after it
 *   a pending forward of X, which gave the user up     | X, which forwards it after the other
 *   a record of X: the winner's, or a loser's          | X
 *   none of these                                      | the user's home
 *
 * A fact goes to the home: of facts the highest stands, in whatever order they come.
 */
import type { ClientCommand, PresenceCommand, Region } from "./commands.ts";
import { isFact } from "./facts.ts";
import type { Fold } from "./fold.ts";
import { isAbout, subjectOf } from "./provisional.ts";
import type { Provisional } from "./provisional.ts";
import { endsFor, endsNobody } from "./record.ts";
import type { UserRecord } from "./record.ts";
import { sessionsOf, viewOf } from "./view.ts";

/** Where region `own` sends the command; `undefined` while no log has spoken of the user. */
export function routeOf(
  folds: readonly Fold[],
  provisional: Provisional,
  own: Region,
  command: ClientCommand,
): Region | undefined {
  const { user } = command;
  if (isFact(command)) return viewOf(folds, provisional, user)?.home;
  const subject = subjectConcerned(folds, provisional, command);
  const about = provisional.underWay(user).filter((one) => isAbout(one.command, subject));
  const mine = about.findLast(({ from }) => from === own);
  if (mine !== undefined) return mine.to;
  for (const { from } of about) {
    const gaveUp = folds.find(({ region }) => region === from)?.table.get(user)?.movedTo;
    if (gaveUp !== undefined && gaveUp !== "") return from;
  }
  const home = viewOf(folds, provisional, user)?.home;
  const holders = folds.filter((fold) => holds(fold.homed(user), command, subject));
  return holders.some(({ region }) => region === home) ? home : (holders[0]?.region ?? home);
}

/** Whether the record has what the command is about; a preference that was never set is in no record. */
function holds(
  record: UserRecord | undefined,
  command: PresenceCommand,
  subject: ReturnType<typeof subjectOf>,
): boolean {
  if (record === undefined) return false;
  if (command.kind === "prefer") return record.preferred !== "automatic";
  return record.sessions.some(({ session }) => session === subject);
}

/** For a new session, the one that it ends, or one of them. */
function subjectConcerned(
  folds: readonly Fold[],
  provisional: Provisional,
  command: PresenceCommand,
): ReturnType<typeof subjectOf> {
  if (command.kind !== "open" || endsNobody(command.session)) return subjectOf(command);
  const { session } = command;
  const { sessions } = sessionsOf(folds, provisional, command.user);
  return sessions.find((held) => endsFor(session, held) !== undefined)?.session ?? session.session;
}
