/**
 * Openings and claims that a log has accepted from another one before this replica heard of their sending: it lags behind the log that sent
 * them. Rule: what the sender's record still says of such a session is older than what became of it where it went, so it does not count.
 * Openings are remembered only of sessions that the sender carried along out of its record and that are not of its own region: the end of
 * one of its own comes by its own log, and who has that end has heard of all before.
 */
import type { Region, Session, SessionId, UserCommand, UserId } from "./commands.ts";
import type { Pending } from "./provisional.ts";

const NONE: readonly Pending[] = [];

export class Ahead {
  /** By the log that sent and the one that accepted; oldest first, as a log accepts in the order of the ordinals. */
  readonly #queues = new Map<string, Map<number, Pending>>();
  readonly #byUser = new Map<UserId, readonly Pending[]>();

  /** Takes what was accepted, if it is to be remembered. */
  add(from: Region, to: Region, ordinal: number, command: UserCommand): void {
    if (carriedBy(command, from).length === 0) return;
    const { user } = command;
    const pending = { from, to, ordinal, command, position: 0 };
    const queue = this.#queues.get(way(from, to)) ?? new Map<number, Pending>();
    this.#queues.set(way(from, to), queue.set(ordinal, pending));
    this.#byUser.set(user, [...this.#of(user), pending]);
  }

  /** What `from` has sent to `to` is heard of up to `ordinal`. Returns the users concerned. */
  heard(from: Region, to: Region, ordinal: number): UserId[] {
    const queue = this.#queues.get(way(from, to));
    if (queue === undefined) return [];
    const users: UserId[] = [];
    for (const pending of queue.values()) {
      if (pending.ordinal > ordinal) break;
      queue.delete(pending.ordinal);
      const { user } = pending.command;
      users.push(user);
      const left = this.#of(user).filter((one) => one !== pending);
      if (left.length === 0) this.#byUser.delete(user);
      else this.#byUser.set(user, left);
    }
    if (queue.size === 0) this.#queues.delete(way(from, to));
    return users;
  }

  /** Whether the session is known to have gone on from the record of `from`. */
  has(from: Region, user: UserId, session: SessionId): boolean {
    return this.#of(user).some(
      ({ from: sender, command }) =>
        sender === from && carriedBy(command, from).some((one) => one.session === session),
    );
  }

  export(): Pending[] {
    return [...this.#queues.values()].flatMap((queue) => [...queue.values()]);
  }

  #of(user: UserId): readonly Pending[] {
    return this.#byUser.get(user) ?? NONE;
  }
}

function way(from: Region, to: Region): string {
  return `${from}>${to}`;
}

/** The sessions that the command takes out of the record of `from`; an opening of that region's own may never have been in it. */
function carriedBy(command: UserCommand, from: Region): readonly Session[] {
  if (command.kind === "claim") return command.sessions;
  return command.kind === "open" && command.session.region !== from ? [command.session] : [];
}
