/**
 * Where the opens went that are not folded yet. Rule: what is said of a session goes the way of its open; a new session of a user goes the
 * way of the user's newest, which may have claimed the user. What is folded is for the replica to say.
 */
import type { ClientCommand, Region, SessionId, UserId } from "../../replicator/core/commands.ts";

export class Ways {
  readonly #bySession = new Map<SessionId, Region>();
  readonly #newest = new Map<UserId, { readonly session: SessionId; readonly to: Region }>();

  went(user: UserId, session: SessionId, to: Region): void {
    this.#bySession.set(session, to);
    this.#newest.set(user, { session, to });
  }

  /** The open is folded, or was given up. */
  done(user: UserId, session: SessionId): void {
    this.#bySession.delete(session);
    if (this.#newest.get(user)?.session === session) this.#newest.delete(user);
  }

  /** Nothing more is said of the session: its end is in the log. */
  ended(session: SessionId): void {
    this.#bySession.delete(session);
  }

  of(command: ClientCommand): Region | undefined {
    switch (command.kind) {
      case "update":
      case "close":
        return this.#bySession.get(command.session);
      case "open":
        return this.#bySession.get(command.session.session) ?? this.#newest.get(command.user)?.to;
      case "prefer":
      case "stance":
      case "read":
      case "bookmark":
        return this.#newest.get(command.user)?.to;
    }
  }
}
