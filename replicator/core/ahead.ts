/**
 * Openings that a log has accepted from another one before this replica heard of their sending: it lags behind the log that sent them.
 * Rule: what the sender's record still says of such a session is older than what became of it where it went, so it does not count.
 * Remembered only of sessions that the sender carried along out of its record and that are not of its own region: the end of one of its
 * own comes by its own log, and who has that end has heard of all before.
 */
import type { Region, SessionId, UserCommand, UserId } from "./commands.ts";
import type { Pending } from "./provisional.ts";

const NONE: readonly Pending[] = [];

export class Ahead {
  readonly #byUser = new Map<UserId, readonly Pending[]>();

  /** Takes what was accepted, if it is to be remembered. */
  add(from: Region, to: Region, ordinal: number, command: UserCommand): void {
    if (command.kind !== "open" || command.session.region === from) return;
    const { user } = command;
    this.#byUser.set(user, [...this.#of(user), { from, to, ordinal, command, position: 0 }]);
  }

  /** What `from` has sent to `to` is heard of up to `ordinal`. Returns the users concerned. */
  heard(from: Region, to: Region, ordinal: number): UserId[] {
    const users: UserId[] = [];
    for (const [user, all] of this.#byUser) {
      const left = all.filter((one) => one.from !== from || one.to !== to || one.ordinal > ordinal);
      if (left.length === all.length) continue;
      users.push(user);
      if (left.length === 0) this.#byUser.delete(user);
      else this.#byUser.set(user, left);
    }
    return users;
  }

  /** Whether the session is known to have gone on from the record of `from`. */
  has(from: Region, user: UserId, session: SessionId): boolean {
    return this.#of(user).some(({ from: sender, command }) => sender === from && opens(command, session));
  }

  export(): Pending[] {
    return [...this.#byUser.values()].flat();
  }

  #of(user: UserId): readonly Pending[] {
    return this.#byUser.get(user) ?? NONE;
  }
}

function opens(command: UserCommand, session: SessionId): boolean {
  return command.kind === "open" && command.session.session === session;
}
