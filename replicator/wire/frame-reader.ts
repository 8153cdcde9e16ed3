/**
 * Reads the header and the commands of a frame whose envelope is sound.
 * Rule: the mirror of the frame writer, field by field, and as strict as it: what the writer would not write is a failure.
 * Nothing is allocated by a count that the bytes do not back.
 */
import type {
  Accept,
  Command,
  Frame,
  PeerProgress,
  Session,
  UserCommand,
  Watermark,
} from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { END_REASON_CODES, KIND, LINK_STATE_CODES, PREFERRED_CODES, STATUS_CODES } from "./codes.ts";
import { ENVELOPE_BYTES } from "./envelope.ts";
import {
  BY,
  DEVICE,
  type IdField,
  LINK_REASON,
  LOG_ID,
  NODE,
  PEER_LOG_ID,
  PLATFORM,
  REGION,
  SESSION,
  STATE,
  USER,
} from "./fields.ts";
import type { FrameHeader } from "./frame-writer.ts";

/** A watermark without peers. */
const COMMAND_BYTES_MIN = 2;

/** Read the header first, then the commands. `failure` tells after each whether what came back means anything. */
export class FrameReader {
  readonly #reader: ByteReader;
  readonly #regions = new NameList(REGION);
  readonly #logs = new NameList(LOG_ID);
  #committedAtMs = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes, ENVELOPE_BYTES);
  }

  get failure(): string | undefined {
    return this.#reader.failure;
  }

  header(): FrameHeader & { readonly commandCount: number } {
    const reader = this.#reader;
    const commandCount = reader.uint32("command count");
    if (commandCount > LIMITS.frameCommandsMax) reader.fail("command count", "too many");
    const region = reader.id(REGION);
    const logId = reader.id(LOG_ID);
    const node = reader.text(NODE);
    const committedAtMs = reader.signed("committedAtMs");
    if (commandCount * COMMAND_BYTES_MIN > reader.remaining)
      reader.fail("command count", "more than the bytes can hold");
    this.#regions.seed(region);
    this.#committedAtMs = committedAtMs;
    return { region, logId, node, committedAtMs, commandCount };
  }

  /** Reads up to the end of the frame. */
  commands(commandCount: number): Frame["commands"] {
    const commands: Command[] = [];
    while (commands.length < commandCount && this.failure === undefined) commands.push(this.#command());
    if (this.#reader.remaining > 0) this.#reader.fail("frame", "goes on after its last command");
    return commands;
  }

  #command(): Command {
    const reader = this.#reader;
    const kind = reader.byte("kind");
    switch (kind) {
      case KIND.forward: {
        const to = this.#regions.read(reader);
        return { kind: "forward", to, command: this.#userCommand(reader.byte("kind")) };
      }
      case KIND.accept:
        return this.#accept();
      case KIND.drop: {
        const user = reader.id(USER);
        return { kind: "drop", user, to: this.#regions.read(reader) };
      }
      case KIND.watermark:
        return this.#watermark();
      default:
        return this.#userCommand(kind);
    }
  }

  // Fields are read in the order of the literals below, which is the order on the wire.
  #userCommand(kind: number): UserCommand {
    const reader = this.#reader;
    if (kind < KIND.open || kind > KIND.prefer) reader.fail("kind", "no such command here");
    const user = reader.id(USER);
    switch (kind) {
      case KIND.open:
        return { kind: "open", user, session: this.#session() };
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
      default:
        // Never seen: the failure noted above refuses the whole frame.
        return { kind: "prefer", user, preferred: "automatic", untilMs: 0 };
    }
  }

  #session(): Session {
    const reader = this.#reader;
    return {
      session: reader.id(SESSION),
      region: this.#regions.read(reader),
      device: reader.text(DEVICE),
      platform: reader.text(PLATFORM),
      status: reader.code(STATUS_CODES),
      state: reader.text(STATE),
      sinceMs: this.#sinceMs(),
    };
  }

  #sinceMs(): number {
    const sinceMs = this.#committedAtMs + this.#reader.signed("sinceMs");
    if (!Number.isSafeInteger(sinceMs)) this.#reader.fail("sinceMs", "not a safe integer");
    return sinceMs;
  }

  #accept(): Accept {
    const reader = this.#reader;
    const from = this.#regions.read(reader);
    const logId = this.#logs.read(reader);
    const after = reader.varint("after");
    const at = reader.varint("at");
    if (after >= at) reader.fail("at", "not beyond after");
    return { kind: "accept", from, logId, after, at, command: this.#userCommand(reader.byte("kind")) };
  }

  #watermark(): Watermark {
    const reader = this.#reader;
    const count = reader.byte("peer count");
    if (count > LIMITS.regionsMax) reader.fail("peer count", "too many");
    const peers: PeerProgress[] = [];
    while (peers.length < count && this.failure === undefined) {
      const peer = this.#peer();
      if (peers.some((other) => other.region === peer.region)) reader.fail("peer", "reported twice");
      peers.push(peer);
    }
    return { kind: "watermark", peers };
  }

  #peer(): PeerProgress {
    const reader = this.#reader;
    return {
      region: this.#regions.read(reader),
      logId: reader.id(PEER_LOG_ID),
      position: reader.varint("position"),
      head: reader.varint("head"),
      watermarkMs: reader.signed("watermarkMs"),
      heardMs: reader.signed("heardMs"),
      state: reader.code(LINK_STATE_CODES),
      sinceMs: reader.signed("link sinceMs"),
      reason: reader.text(LINK_REASON),
      loopLagMs: reader.signed("loopLagMs"),
      visibleP50Ms: reader.signed("visibleP50Ms"),
      visibleP99Ms: reader.signed("visibleP99Ms"),
      visibleP999Ms: reader.signed("visibleP999Ms"),
    };
  }
}

/** The reading side of the frame writer's name table. */
class NameList {
  readonly #field: IdField;
  readonly #names: string[] = [];

  constructor(field: IdField) {
    this.#field = field;
  }

  seed(name: string): void {
    this.#names.push(name);
  }

  read(reader: ByteReader): string {
    const index = reader.byte(this.#field.name);
    const known = this.#names[index];
    if (known !== undefined) return known;
    if (index > this.#names.length) reader.fail(this.#field.name, "number of no name");
    else if (index >= LIMITS.regionsMax) reader.fail(this.#field.name, "too many names");
    const name = reader.id(this.#field);
    if (this.#names.includes(name)) reader.fail(this.#field.name, "spelled twice");
    this.#names.push(name);
    return name;
  }
}
