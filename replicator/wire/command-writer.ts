/**
 * Writes user-commands and sessions, which frames and snapshots hold alike.
 * Rule: the command reader's mirror, field by field.
 */
import { assert } from "../core/assert.ts";
import type { Fact, Session, UserCommand } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import type { ByteWriter } from "./byte-writer.ts";
import {
  END_REASON_CODES,
  KIND,
  POLICY_CODES,
  PREFERRED_CODES,
  STANCE_CODES,
  STATUS_CODES,
} from "./codes.ts";
import { BY, DEVICE, MESSAGE, OFFSET, PLATFORM, SESSION, STATE, USER } from "./fields.ts";
import type { NameTable } from "./names.ts";

export class CommandWriter {
  /** What `sinceMs` is written as the difference to. */
  baseMs = 0;
  readonly #writer: ByteWriter;
  readonly #regions: NameTable;

  constructor(writer: ByteWriter, regions: NameTable) {
    this.#writer = writer;
    this.#regions = regions;
  }

  userCommand(command: UserCommand): void {
    const writer = this.#writer;
    switch (command.kind) {
      case "open":
        writer.byte(KIND.open);
        writer.id(USER, command.user);
        this.session(command.session);
        return;
      case "update":
        writer.byte(KIND.update);
        writer.id(USER, command.user);
        writer.id(SESSION, command.session);
        writer.code(STATUS_CODES, command.status);
        writer.text(STATE, command.state);
        return;
      case "close":
        writer.byte(KIND.close);
        writer.id(USER, command.user);
        writer.id(SESSION, command.session);
        writer.code(END_REASON_CODES, command.reason);
        writer.text(BY, command.by);
        return;
      case "prefer":
        writer.byte(KIND.prefer);
        writer.id(USER, command.user);
        writer.code(PREFERRED_CODES, command.preferred);
        writer.signed("untilMs", command.untilMs);
        return;
      case "claim":
        writer.byte(KIND.claim);
        writer.id(USER, command.user);
        writer.varint("generation", command.epoch.generation);
        writer.varint("count", command.epoch.count);
        assert(
          command.sessions.length <= LIMITS.sessionsPerUserMax,
          "a claim has as many sessions as a user",
        );
        writer.byte(command.sessions.length);
        for (const session of command.sessions) this.session(session);
        writer.code(PREFERRED_CODES, command.preferred);
        writer.signed("untilMs", command.untilMs);
        return;
      case "stance":
      case "read":
      case "bookmark":
        return this.fact(command);
      default:
        assert(false, "a command about a user is of a known kind");
    }
  }

  fact(fact: Fact): void {
    const writer = this.#writer;
    writer.byte(KIND[fact.kind]);
    writer.id(USER, fact.user);
    switch (fact.kind) {
      case "stance":
        assert(fact.word === "asked" || fact.message === "", "who asks says why, nobody else");
        writer.id(USER, fact.other);
        writer.code(STANCE_CODES, fact.word);
        writer.varint("round", fact.round);
        if (fact.word === "asked") writer.text(MESSAGE, fact.message);
        return writer.signed("atMs", fact.atMs);
      case "read":
        writer.id(USER, fact.other);
        return writer.varint("round", fact.round);
      case "bookmark":
        writer.text(OFFSET, fact.offset);
        return writer.varint("count", fact.count);
    }
  }

  session(session: Session): void {
    const writer = this.#writer;
    writer.id(SESSION, session.session);
    this.#regions.write(writer, session.region);
    writer.text(DEVICE, session.device);
    writer.text(PLATFORM, session.platform);
    writer.codes(STATUS_CODES, session.status, POLICY_CODES, session.policy);
    writer.text(STATE, session.state);
    assert(Number.isSafeInteger(session.sinceMs), "sinceMs is a safe integer");
    writer.signed("sinceMs less its base", session.sinceMs - this.baseMs);
  }
}
