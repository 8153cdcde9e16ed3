/**
 * Reads user-commands and sessions, which frames and snapshots hold alike.
 * Rule: the command writer's mirror, field by field. Fields are read in the order of the literals below, which is the order on the wire.
 */
import type { Fact, Session, Stance, UserCommand } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import {
  END_REASON_CODES,
  KIND,
  POLICY_CODES,
  PREFERRED_CODES,
  STANCE_CODES,
  STATUS_CODES,
} from "./codes.ts";
import { BY, DEVICE, MESSAGE, OFFSET, PLATFORM, SESSION, STATE, USER } from "./fields.ts";
import type { NameList } from "./names.ts";

export class CommandReader {
  /** What `sinceMs` is the difference to. */
  baseMs = 0;
  readonly #reader: ByteReader;
  readonly #regions: NameList;

  constructor(reader: ByteReader, regions: NameList) {
    this.#reader = reader;
    this.#regions = regions;
  }

  /** The rest of a user-command whose first byte was `kind`. */
  userCommand(kind: number): UserCommand {
    const reader = this.#reader;
    if (kind >= KIND.stance && kind <= KIND.bookmark) return this.fact(kind);
    const known = (kind >= KIND.open && kind <= KIND.prefer) || kind === KIND.claim;
    if (!known) reader.fail("kind", "no such command here");
    const user = reader.id(USER);
    switch (kind) {
      case KIND.open:
        return { kind: "open", user, session: this.session() };
      case KIND.update:
        return {
          kind: "update",
          user,
          session: reader.id(SESSION),
          status: reader.code(STATUS_CODES),
          state: reader.text(STATE),
        };
      case KIND.close:
        return {
          kind: "close",
          user,
          session: reader.id(SESSION),
          reason: reader.code(END_REASON_CODES),
          by: reader.text(BY),
        };
      case KIND.prefer:
        return {
          kind: "prefer",
          user,
          preferred: reader.code(PREFERRED_CODES),
          untilMs: reader.signed("untilMs"),
        };
      case KIND.claim:
        return {
          kind: "claim",
          user,
          epoch: { generation: reader.varint("generation"), count: reader.varint("count") },
          sessions: this.#sessions(),
          preferred: reader.code(PREFERRED_CODES),
          untilMs: reader.signed("untilMs"),
        };
      default:
        // Never seen: the failure noted above refuses the whole.
        return { kind: "prefer", user, preferred: "automatic", untilMs: 0 };
    }
  }

  /** The rest of a fact whose first byte was `kind`. */
  fact(kind: number): Fact {
    const reader = this.#reader;
    if (kind < KIND.stance || kind > KIND.bookmark) reader.fail("kind", "no fact");
    const user = reader.id(USER);
    if (kind === KIND.stance) return this.#stance(user);
    if (kind === KIND.read)
      return { kind: "read", user, other: reader.id(USER), round: reader.varint("round") };
    return { kind: "bookmark", user, offset: reader.text(OFFSET), count: reader.varint("count") };
  }

  #stance(user: string): Stance {
    const reader = this.#reader;
    const other = reader.id(USER);
    const word = reader.code(STANCE_CODES);
    const round = reader.varint("round");
    const message = word === "asked" ? reader.text(MESSAGE) : "";
    return { kind: "stance", user, other, word, round, message, atMs: reader.signed("atMs") };
  }

  #sessions(): Session[] {
    const reader = this.#reader;
    const count = reader.byte("session count");
    if (count > LIMITS.sessionsPerUserMax) reader.fail("session count", "too many");
    const sessions: Session[] = [];
    while (sessions.length < count && reader.failure === undefined) sessions.push(this.session());
    return sessions;
  }

  session(): Session {
    const reader = this.#reader;
    const session = reader.id(SESSION);
    const region = this.#regions.read(reader);
    const device = reader.text(DEVICE);
    const platform = reader.text(PLATFORM);
    const [status, policy] = reader.codes(STATUS_CODES, POLICY_CODES);
    const state = reader.text(STATE);
    return { session, region, device, platform, policy, status, state, sinceMs: this.#sinceMs() };
  }

  #sinceMs(): number {
    const sinceMs = this.baseMs + this.#reader.signed("sinceMs");
    if (!Number.isSafeInteger(sinceMs)) this.#reader.fail("sinceMs", "not a safe integer");
    return sinceMs;
  }
}
