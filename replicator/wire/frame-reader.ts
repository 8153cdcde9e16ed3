/**
 * Reads the header and the commands of a frame whose envelope is sound.
 * Rule: the mirror of the frame writer, field by field, and as strict as it: what the writer would not write is a failure.
 * Nothing is allocated by a count that the bytes do not back.
 */
import type { Accept, Command, DeputedCommand, Frame, PeerProgress, Watermark } from "../core/commands.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { LIMITS } from "../core/limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { KIND, LINK_STATE_CODES } from "./codes.ts";
import { CommandReader } from "./command-reader.ts";
import { ENVELOPE_BYTES } from "./envelope.ts";
import { BY, LOG_ID, NODE, PEER_LOG_ID, REASON, REGION, SETTING_KEY, SETTING_VALUE, USER } from "./fields.ts";
import type { FrameHeader } from "./frame-writer.ts";
import { NameList } from "./names.ts";

/** Read the header first, then the commands. `failure` tells after each whether what came back means anything. */
export class FrameReader {
  readonly #reader: ByteReader;
  readonly #regions = new NameList(REGION, LIMITS.regionsMax);
  readonly #lineages = new NameList(LOG_ID, LIMITS.regionsMax);
  readonly #commands: CommandReader;

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes, ENVELOPE_BYTES);
    this.#commands = new CommandReader(this.#reader, this.#regions);
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
    if (commandCount > reader.remaining) reader.fail("command count", "more than the bytes can hold");
    this.#regions.seed(region);
    this.#commands.baseMs = committedAtMs;
    return { region, logId, node, committedAtMs, commandCount };
  }

  /** Reads up to the end of the frame. */
  commands(commandCount: number): Frame["commands"] {
    const commands: Command[] = [];
    while (commands.length < commandCount && this.failure === undefined) commands.push(this.#command());
    if (this.#reader.remaining > 0) this.#reader.fail("frame", "goes on after its last command");
    return commands;
  }

  // Fields are read in the order of the literals below, which is the order on the wire.
  #command(): Command {
    const reader = this.#reader;
    const kind = reader.byte("kind");
    switch (kind) {
      case KIND.renewed:
        return {
          kind: "renewed",
          logId: reader.id(LOG_ID),
          position: reader.varint("position"),
          checksum: reader.uint32("checksum"),
        };
      case KIND.watermark:
        return this.#watermark();
      case KIND.set:
        return {
          kind: "set",
          key: reader.id(SETTING_KEY),
          value: reader.text(SETTING_VALUE),
          by: reader.text(BY),
          reason: reader.text(REASON),
        };
      case KIND.deputed: {
        const region = this.#regions.read(reader);
        return { kind: "deputed", region, command: this.#deputed(reader.byte("kind")) };
      }
      default:
        return this.#deputed(kind);
    }
  }

  /** What a log says of its own users, or one that stands for it. */
  #deputed(kind: number): DeputedCommand {
    const reader = this.#reader;
    switch (kind) {
      case KIND.forward: {
        const to = this.#regions.read(reader);
        return { kind: "forward", to, command: this.#commands.userCommand(reader.byte("kind")) };
      }
      case KIND.accept:
        return this.#accept();
      case KIND.drop: {
        const user = reader.id(USER);
        return { kind: "drop", user, to: this.#regions.read(reader) };
      }
      case KIND.release: {
        const user = reader.id(USER);
        return { kind: "release", user, to: this.#regions.read(reader) };
      }
      case KIND.mark:
        return { kind: "mark" };
      case KIND.digest:
        return { kind: "digest", at: reader.varint("at"), sums: reader.raw("sums", DIGEST_BYTES) };
      default:
        return this.#commands.userCommand(kind);
    }
  }

  #accept(): Accept {
    const reader = this.#reader;
    const from = this.#regions.read(reader);
    const lineage = this.#lineages.read(reader);
    const after = reader.varint("after");
    const at = reader.varint("at");
    if (after >= at) reader.fail("at", "not beyond after");
    const command = this.#commands.userCommand(reader.byte("kind"));
    return { kind: "accept", from, lineage, after, at, command };
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
      reason: reader.text(REASON),
      loopLagMs: reader.signed("loopLagMs"),
      visibleP50Ms: reader.signed("visibleP50Ms"),
      visibleP99Ms: reader.signed("visibleP99Ms"),
      visibleP999Ms: reader.signed("visibleP999Ms"),
    };
  }
}
