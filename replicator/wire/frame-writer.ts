/**
 * Builds one frame command by command, for a node's batcher; the only encoder there is.
 * Rule: a command is encoded when it is added, so what waits is bounded by bytes, and what does not fit is refused whole:
 * the frame is then exactly as it was before.
 */
import { assert } from "../core/assert.ts";
import type { Accept, Command, Frame, PeerProgress, SettingCommand, Watermark } from "../core/commands.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { LIMITS } from "../core/limits.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DEPUTED, KIND, LINK_STATE_CODES } from "./codes.ts";
import { CommandWriter } from "./command-writer.ts";
import { ENVELOPE_BYTES, sealEnvelope } from "./envelope.ts";
import { BY, LOG_ID, NODE, PEER_LOG_ID, REASON, REGION, SETTING_KEY, SETTING_VALUE, USER } from "./fields.ts";
import { NameTable } from "./names.ts";

/** No command is larger. The largest is a claim of 32 sessions, each with the longest strings: about 13.4 KB. */
export const COMMAND_BYTES_MAX = 16 * 1024;

export type FrameHeader = Omit<Frame, "commands">;

export class FrameWriter {
  readonly #writer = new ByteWriter(LIMITS.frameBytesMax + COMMAND_BYTES_MAX);
  readonly #regions = new NameTable(REGION, LIMITS.regionsMax);
  readonly #lineages = new NameTable(LOG_ID, LIMITS.regionsMax);
  readonly #commands = new CommandWriter(this.#writer, this.#regions);
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
    this.#lineages.clear();
    writer.at = ENVELOPE_BYTES;
    for (let index = 0; index < 4; index++) writer.byte(0);
    writer.id(REGION, header.region);
    writer.id(LOG_ID, header.logId);
    writer.text(NODE, header.node);
    writer.signed("committedAtMs", header.committedAtMs);
    this.#regions.seed(header.region);
    this.#commands.baseMs = header.committedAtMs;
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
    if (this.#writer.at > LIMITS.frameBytesMax || this.#regions.overfull || this.#lineages.overfull) {
      this.#undo(start);
      assert(this.#commandCount > 0, "any one command fits into an empty frame");
      return "full";
    }
    this.#regions.keep();
    this.#lineages.keep();
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
    this.#lineages.undo();
  }

  #command(command: Command): void {
    const writer = this.#writer;
    switch (command.kind) {
      case "open":
      case "update":
      case "close":
      case "prefer":
      case "claim":
      case "stance":
      case "read":
      case "bookmark":
        return this.#commands.userCommand(command);
      case "forward":
        writer.byte(KIND.forward);
        this.#regions.write(writer, command.to);
        return this.#commands.userCommand(command.command);
      case "accept":
        return this.#accept(command);
      case "drop":
        writer.byte(KIND.drop);
        writer.id(USER, command.user);
        return this.#regions.write(writer, command.to);
      case "release":
        writer.byte(KIND.release);
        writer.id(USER, command.user);
        return this.#regions.write(writer, command.to);
      case "watermark":
        return this.#watermark(command);
      case "renewed":
        writer.byte(KIND.renewed);
        writer.id(LOG_ID, command.logId);
        writer.varint("position", command.position);
        return writer.uint32("checksum", command.checksum);
      case "mark":
        return writer.byte(KIND.mark);
      case "digest":
        writer.byte(KIND.digest);
        writer.varint("at", command.at);
        return writer.raw("sums", command.sums, DIGEST_BYTES);
      case "set":
        return this.#set(command);
      case "deputed":
        writer.byte(KIND.deputed);
        this.#regions.write(writer, command.region);
        assert(
          DEPUTED.has(KIND[command.command.kind]),
          "a region is stood for in what its own log says of users",
        );
        return this.#command(command.command);
      default:
        assert(false, "a command is of a known kind");
    }
  }

  #accept(accept: Accept): void {
    assert(accept.after < accept.at, "an accepted forward comes after the one before it");
    const writer = this.#writer;
    writer.byte(KIND.accept);
    this.#regions.write(writer, accept.from);
    this.#lineages.write(writer, accept.lineage);
    writer.varint("after", accept.after);
    writer.varint("at", accept.at);
    this.#commands.userCommand(accept.command);
  }

  #set({ key, value, by, reason }: SettingCommand): void {
    const writer = this.#writer;
    writer.byte(KIND.set);
    writer.id(SETTING_KEY, key);
    writer.text(SETTING_VALUE, value);
    writer.text(BY, by);
    writer.text(REASON, reason);
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
    writer.text(REASON, peer.reason);
    writer.signed("loopLagMs", peer.loopLagMs);
    writer.signed("visibleP50Ms", peer.visibleP50Ms);
    writer.signed("visibleP99Ms", peer.visibleP99Ms);
    writer.signed("visibleP999Ms", peer.visibleP999Ms);
  }
}
