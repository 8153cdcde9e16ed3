/**
 * Builds one frame command by command, for a node's batcher; the only encoder there is.
 * Rule: a command is encoded when it is added, so what waits is bounded by bytes, and what does not fit is refused whole:
 * the frame is then exactly as it was before.
 */
import { assert } from "../core/assert.ts";
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
import { ByteWriter } from "./byte-writer.ts";
import { END_REASON_CODES, KIND, LINK_STATE_CODES, PREFERRED_CODES, STATUS_CODES } from "./codes.ts";
import { ENVELOPE_BYTES, sealEnvelope } from "./envelope.ts";
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

/** No command is larger. The largest is a watermark of 16 peers, each with the longest names and reason: about 5.3 KB. */
export const COMMAND_BYTES_MAX = 8 * 1024;

export type FrameHeader = Omit<Frame, "commands">;

export class FrameWriter {
  readonly #writer = new ByteWriter(LIMITS.frameBytesMax + COMMAND_BYTES_MAX);
  readonly #regions = new NameTable(REGION);
  readonly #logs = new NameTable(LOG_ID);
  #committedAtMs = 0;
  #begun = false;
  #commandCount = 0;

  /** Size of the frame if it were finished now, in bytes. */
  get byteLength(): number {
    return this.#writer.at;
  }

  get commandCount(): number {
    return this.#commandCount;
  }

  /** Starts an empty frame; commands added to an unfinished one are forgotten. Throws on a header that cannot be encoded. */
  begin(header: FrameHeader): void {
    const writer = this.#writer;
    this.#begun = false;
    this.#commandCount = 0;
    this.#regions.clear();
    this.#logs.clear();
    writer.at = ENVELOPE_BYTES;
    for (let index = 0; index < 4; index++) writer.byte(0);
    writer.id(REGION, header.region);
    writer.id(LOG_ID, header.logId);
    writer.text(NODE, header.node);
    writer.signed("committedAtMs", header.committedAtMs);
    this.#regions.seed(header.region);
    this.#committedAtMs = header.committedAtMs;
    this.#begun = true;
  }

  /**
   * Adds a command at the end. `full` means that it goes into the next frame: this one would exceed the bytes, commands or
   * names a frame may have. An empty frame is never full. Throws on a command that cannot be encoded and leaves the frame
   * as it was.
   */
  add(command: Command): "added" | "full" {
    assert(this.#begun, "commands are added to a frame that was begun");
    if (this.#commandCount === LIMITS.frameCommandsMax) return "full";
    const start = this.#writer.at;
    try {
      this.#command(command);
    } catch (error) {
      this.#undo(start);
      throw error;
    }
    assert(this.#writer.at - start <= COMMAND_BYTES_MAX, "no command exceeds the room kept for it");
    if (this.#writer.at > LIMITS.frameBytesMax || this.#regions.overfull || this.#logs.overfull) {
      this.#undo(start);
      assert(this.#commandCount > 0, "any one command fits into an empty frame");
      return "full";
    }
    this.#regions.keep();
    this.#logs.keep();
    this.#commandCount++;
    return "added";
  }

  /** The frame, in memory of its own. The next one starts with `begin`. */
  finish(): Uint8Array {
    assert(this.#begun, "only a frame that was begun is finished");
    this.#begun = false;
    const bytes = this.#writer.bytes.slice(0, this.#writer.at);
    new DataView(bytes.buffer).setUint32(ENVELOPE_BYTES, this.#commandCount, true);
    sealEnvelope(bytes);
    return bytes;
  }

  #undo(start: number): void {
    this.#writer.at = start;
    this.#regions.undo();
    this.#logs.undo();
  }

  #command(command: Command): void {
    const writer = this.#writer;
    switch (command.kind) {
      case "forward":
        writer.byte(KIND.forward);
        this.#regions.write(writer, command.to);
        this.#userCommand(command.command);
        return;
      case "accept":
        this.#accept(command);
        return;
      case "drop":
        writer.byte(KIND.drop);
        writer.id(USER, command.user);
        this.#regions.write(writer, command.to);
        return;
      case "watermark":
        this.#watermark(command);
        return;
      case "open":
      case "update":
      case "close":
      case "prefer":
        this.#userCommand(command);
        return;
      default:
        assert(false, "a command is of a known kind");
    }
  }

  #userCommand(command: UserCommand): void {
    const writer = this.#writer;
    switch (command.kind) {
      case "open":
        writer.byte(KIND.open);
        writer.id(USER, command.user);
        this.#session(command.session);
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
      default:
        assert(false, "a command about a user is of a known kind");
    }
  }

  #session(session: Session): void {
    const writer = this.#writer;
    writer.id(SESSION, session.session);
    this.#regions.write(writer, session.region);
    writer.text(DEVICE, session.device);
    writer.text(PLATFORM, session.platform);
    writer.code(STATUS_CODES, session.status);
    writer.text(STATE, session.state);
    assert(Number.isSafeInteger(session.sinceMs), "sinceMs is a safe integer");
    writer.signed("sinceMs less committedAtMs", session.sinceMs - this.#committedAtMs);
  }

  #accept(accept: Accept): void {
    assert(accept.after < accept.at, "an accepted forward comes after the one before it");
    const writer = this.#writer;
    writer.byte(KIND.accept);
    this.#regions.write(writer, accept.from);
    this.#logs.write(writer, accept.logId);
    writer.varint("after", accept.after);
    writer.varint("at", accept.at);
    this.#userCommand(accept.command);
  }

  #watermark(watermark: Watermark): void {
    const { peers } = watermark;
    assert(peers.length <= LIMITS.regionsMax, "a watermark has at most one peer per region");
    this.#writer.byte(KIND.watermark);
    this.#writer.byte(peers.length);
    for (const [index, peer] of peers.entries()) {
      assert(peers.findIndex((other) => other.region === peer.region) === index, "a peer is reported once");
      this.#peer(peer);
    }
  }

  #peer(peer: PeerProgress): void {
    const writer = this.#writer;
    this.#regions.write(writer, peer.region);
    writer.id(PEER_LOG_ID, peer.logId);
    writer.varint("position", peer.position);
    writer.varint("head", peer.head);
    writer.signed("watermarkMs", peer.watermarkMs);
    writer.signed("heardMs", peer.heardMs);
    writer.code(LINK_STATE_CODES, peer.state);
    writer.signed("link sinceMs", peer.sinceMs);
    writer.text(LINK_REASON, peer.reason);
    writer.signed("loopLagMs", peer.loopLagMs);
    writer.signed("visibleP50Ms", peer.visibleP50Ms);
    writer.signed("visibleP99Ms", peer.visibleP99Ms);
    writer.signed("visibleP999Ms", peer.visibleP999Ms);
  }
}

/**
 * Names used so far in a frame. Each is spelled where it first occurs, as the number of names before it and the name, and
 * is that one-byte number from then on.
 */
class NameTable {
  readonly #field: IdField;
  readonly #names: string[] = [];
  /** Names of commands that are in the frame; those after them belong to the command being added. */
  #kept = 0;

  constructor(field: IdField) {
    this.#field = field;
  }

  get overfull(): boolean {
    return this.#names.length > LIMITS.regionsMax;
  }

  clear(): void {
    this.#names.length = 0;
    this.#kept = 0;
  }

  /** Makes a name known that the header has spelled. */
  seed(name: string): void {
    this.#names.push(name);
    this.keep();
  }

  write(writer: ByteWriter, name: string): void {
    const known = this.#names.indexOf(name);
    if (known !== -1) {
      writer.byte(known);
      return;
    }
    writer.byte(this.#names.length);
    writer.id(this.#field, name);
    this.#names.push(name);
  }

  keep(): void {
    this.#kept = this.#names.length;
  }

  undo(): void {
    this.#names.length = this.#kept;
  }
}
