/**
 * Reads one part of a snapshot from untrusted bytes.
 * Rule: the snapshot writer's mirror, and as strict as the frame reader; it never throws, and allocates nothing by a count that the
 * bytes do not back.
 */
import type { Fact, LogId, Position, Region } from "../core/commands.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { LIMITS } from "../core/limits.ts";
import type { FoldState, PendingState, RecordState, Setting, SnapshotPart } from "../core/snapshot.ts";
import { ByteReader } from "./byte-reader.ts";
import { PART, PREFERRED_CODES, STANDING } from "./codes.ts";
import { CommandReader } from "./command-reader.ts";
import { BY, LOG_ID, PEER_LOG_ID, REASON, REGION, SETTING_KEY, SETTING_VALUE, USER } from "./fields.ts";
import { NameList } from "./names.ts";
import { PART_NAMES_MAX } from "./snapshot-writer.ts";

export type PartResult =
  | { readonly ok: true; readonly part: SnapshotPart }
  /** What is wrong first, for people. */
  | { readonly ok: false; readonly detail: string };

/** Decodes the bytes of one part. */
export function readPart(bytes: Uint8Array): PartResult {
  const reader = new ByteReader(bytes, 0);
  const part = new PartReader(reader).part();
  if (reader.remaining > 0) reader.fail("part", "goes on after its end");
  return reader.failure === undefined ? { ok: true, part } : { ok: false, detail: reader.failure };
}

class PartReader {
  readonly #reader: ByteReader;
  readonly #regions = new NameList(REGION, PART_NAMES_MAX);
  readonly #commands: CommandReader;

  constructor(reader: ByteReader) {
    this.#reader = reader;
    this.#commands = new CommandReader(reader, this.#regions);
  }

  // Fields are read in the order of the literals in this file, which is the order on the wire.
  part(): SnapshotPart {
    const reader = this.#reader;
    switch (reader.byte("part")) {
      case PART.head:
        return { kind: "head", folds: this.#folds(false) };
      case PART.headWithFacts:
        return { kind: "head", folds: this.#folds(true) };
      case PART.pending: {
        const count = reader.uint32("pending count");
        return { kind: "pending", pendings: this.#items(count, () => this.#pending()) };
      }
      case PART.records: {
        const count = reader.uint32("record count");
        const region = this.#regions.read(reader);
        return { kind: "records", region, records: this.#items(count, () => this.#record()) };
      }
      case PART.facts: {
        const count = reader.uint32("fact count");
        const region = this.#regions.read(reader);
        return { kind: "facts", region, facts: this.#items(count, () => this.#fact()) };
      }
      case PART.end:
        return { kind: "end" };
      default:
        reader.fail("part", "no such part");
        return { kind: "end" };
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    while (items.length < count && this.#reader.failure === undefined) items.push(read());
    return items;
  }

  #pending(): PendingState {
    const reader = this.#reader;
    const from = this.#regions.read(reader);
    const to = this.#regions.read(reader);
    const ordinal = reader.varint("ordinal");
    const position = reader.varint("position");
    const standing = reader.byte("standing");
    if (standing > STANDING.over) reader.fail("standing", "no such standing");
    const command = this.#commands.userCommand(reader.byte("kind"));
    return {
      pending: { from, to, ordinal, command, position },
      processed: standing === STANDING.processed,
      over: standing === STANDING.over,
    };
  }

  #fact(): Fact {
    return this.#commands.fact(this.#reader.byte("kind"));
  }

  #record(): RecordState {
    const reader = this.#reader;
    return {
      user: reader.id(USER),
      epoch: { generation: reader.varint("generation"), count: reader.varint("count") },
      version: reader.varint("version"),
      movedTo: this.#flag("moved") ? this.#regions.read(reader) : "",
      sessions: this.#sessions(),
      preferred: reader.code(PREFERRED_CODES),
      preferredUntilMs: reader.signed("preferredUntilMs"),
      lastSeenMs: reader.signed("lastSeenMs"),
    };
  }

  #sessions(): RecordState["sessions"] {
    const count = this.#reader.byte("session count");
    if (count > LIMITS.sessionsPerUserMax) this.#reader.fail("session count", "too many");
    if (count === 1) return [this.#commands.session()];
    return this.#items(count, () => this.#commands.session());
  }

  #flag(field: string): boolean {
    const value = this.#reader.byte(field);
    if (value > 1) this.#reader.fail(field, "neither 0 nor 1");
    return value === 1;
  }

  #folds(withFacts: boolean): FoldState[] {
    const count = this.#reader.byte("fold count");
    if (count > LIMITS.regionsMax) this.#reader.fail("fold count", "too many");
    const folds = this.#items(count, () => this.#fold(withFacts));
    if (new Set(folds.map(({ region }) => region)).size < folds.length)
      this.#reader.fail("region", "has two folds");
    return folds;
  }

  #fold(withFacts: boolean): FoldState {
    const reader = this.#reader;
    return {
      region: reader.id(REGION),
      logId: reader.id(PEER_LOG_ID),
      lineage: reader.id(PEER_LOG_ID),
      position: reader.varint("position"),
      checksum: reader.uint32("checksum"),
      base: reader.varint("base"),
      sent: this.#counters<Region>("sent", () => reader.id(REGION)),
      processed: this.#counters<LogId>("processed", () => reader.id(LOG_ID)),
      settings: this.#settings(),
      audit: this.#trail("audit count", LIMITS.auditMax),
      users: reader.varint("users"),
      facts: withFacts ? reader.varint("facts") : 0,
      sums: reader.raw("sums", DIGEST_BYTES),
    };
  }

  #counters<K extends string>(field: string, readKey: () => K): Map<K, Position> {
    const reader = this.#reader;
    const count = reader.varint(`${field} count`);
    const pairs = this.#items(count, (): [K, number] => [readKey(), reader.varint(field)]);
    const counters = new Map(pairs);
    if (counters.size < pairs.length) reader.fail(field, "counted twice");
    return counters;
  }

  #settings(): Map<string, Setting> {
    const trail = this.#trail("setting count", LIMITS.settingsMax);
    const settings = new Map(trail.map((setting) => [setting.key, setting]));
    if (settings.size < trail.length) this.#reader.fail("key", "set twice");
    return settings;
  }

  #trail(field: string, countMax: number): Setting[] {
    const count = this.#reader.varint(field);
    if (count > countMax) this.#reader.fail(field, "too many");
    return this.#items(count, () => this.#setting());
  }

  #setting(): Setting {
    const reader = this.#reader;
    return {
      key: reader.id(SETTING_KEY),
      value: reader.text(SETTING_VALUE),
      by: reader.text(BY),
      reason: reader.text(REASON),
      atMs: reader.signed("atMs"),
    };
  }
}
