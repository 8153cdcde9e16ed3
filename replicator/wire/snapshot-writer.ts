/**
 * The parts of a snapshot as bytes. The format is specified in README.md beside this file.
 * Rule: built of the fields that frames are built of; a part that grows too large goes on in the next, so that whoever reads or writes
 * a snapshot of any size holds a bounded piece of it.
 */
import { assert } from "../core/assert.ts";
import type { Fact, Region } from "../core/commands.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { LIMITS } from "../core/limits.ts";
import type { FoldState, PendingState, RecordState, Setting, SnapshotPart } from "../core/snapshot.ts";
import { ByteWriter } from "./byte-writer.ts";
import { PART, PREFERRED_CODES, STANDING } from "./codes.ts";
import { CommandWriter } from "./command-writer.ts";
import { BY, LOG_ID, PEER_LOG_ID, REASON, REGION, SETTING_KEY, SETTING_VALUE, USER } from "./fields.ts";
import { NameTable } from "./names.ts";

/** No part has more bytes. The largest is a head of 16 folds, each with as many and as long settings as may be: about 8.5 MB. */
export const PART_BYTES_MAX = 16 * 1024 * 1024;
/** Regions one part may name: as many as one byte can number. Frames name fewer, but a record gathers those of many frames. */
export const PART_NAMES_MAX = 255;
/** A part of pendings, records or facts that has so many bytes is full. */
const PART_BYTES_TARGET = 192 * 1024;
/** No record and no pending has more bytes: 32 sessions of at most 420 each. */
const ITEM_BYTES_MAX = 16 * 1024;
const SETTING_BYTES_MAX = 480;
const FOLD_BYTES_MAX = DIGEST_BYTES + 256;
/** A region or a log, and a number. */
const COUNTER_BYTES_MAX = LIMITS.logIdBytesMax + 16;

/** One writer serves any number of snapshots, one after another. */
export class SnapshotWriter {
  readonly #writer = new ByteWriter(PART_BYTES_TARGET + 2 * ITEM_BYTES_MAX);
  readonly #regions = new NameTable(REGION, PART_NAMES_MAX);
  readonly #commands = new CommandWriter(this.#writer, this.#regions);

  /** The part's bytes, as one part or several; each in memory of its own. Throws `InvariantError` on what cannot be encoded. */
  write(part: SnapshotPart): Uint8Array[] {
    switch (part.kind) {
      case "head":
        return [encodeHead(part.folds)];
      case "pending":
        return this.#split(part.pendings, () => this.#begin(PART.pending), this.#pending);
      case "records":
        return this.#split(part.records, () => this.#begin(PART.records, part.region), this.#record);
      case "facts":
        return this.#split(part.facts, () => this.#begin(PART.facts, part.region), this.#fact);
      case "end":
        return [Uint8Array.of(PART.end)];
    }
  }

  /** Starts a part; the number of its items is filled in at the end. */
  #begin(kind: number, region?: Region): void {
    const writer = this.#writer;
    writer.at = 0;
    this.#regions.clear();
    writer.byte(kind);
    for (let index = 0; index < 4; index++) writer.byte(0);
    if (region !== undefined) this.#regions.write(writer, region);
    this.#regions.keep();
  }

  #split<T>(items: readonly T[], begin: () => void, write: (item: T) => void): Uint8Array[] {
    const parts: Uint8Array[] = [];
    begin();
    let count = 0;
    for (const item of items) {
      const start = this.#writer.at;
      write(item);
      if (this.#regions.overfull) {
        this.#writer.at = start;
        this.#regions.undo();
        parts.push(this.#finish(count));
        begin();
        count = 0;
        write(item);
      }
      assert(this.#writer.at - start <= ITEM_BYTES_MAX, "no item exceeds the room kept for it");
      this.#regions.keep();
      count++;
      if (this.#writer.at < PART_BYTES_TARGET) continue;
      parts.push(this.#finish(count));
      begin();
      count = 0;
    }
    if (count > 0 || parts.length === 0) parts.push(this.#finish(count));
    return parts;
  }

  #finish(count: number): Uint8Array {
    const bytes = this.#writer.bytes.slice(0, this.#writer.at);
    new DataView(bytes.buffer).setUint32(1, count, true);
    return bytes;
  }

  readonly #pending = ({ pending, processed, over }: PendingState): void => {
    const writer = this.#writer;
    this.#regions.write(writer, pending.from);
    this.#regions.write(writer, pending.to);
    writer.varint("ordinal", pending.ordinal);
    writer.varint("position", pending.position);
    writer.byte(over ? STANDING.over : processed ? STANDING.processed : STANDING.pending);
    this.#commands.userCommand(pending.command);
  };

  readonly #fact = (fact: Fact): void => this.#commands.fact(fact);

  readonly #record = (record: RecordState): void => {
    const writer = this.#writer;
    const { sessions } = record;
    assert(sessions.length <= LIMITS.sessionsPerUserMax, "a record has a bounded number of sessions");
    writer.id(USER, record.user);
    writer.varint("generation", record.epoch.generation);
    writer.varint("count", record.epoch.count);
    writer.varint("version", record.version);
    writer.byte(record.movedTo === "" ? 0 : 1);
    if (record.movedTo !== "") this.#regions.write(writer, record.movedTo);
    writer.byte(sessions.length);
    for (const session of sessions) this.#commands.session(session);
    writer.code(PREFERRED_CODES, record.preferred);
    writer.signed("preferredUntilMs", record.preferredUntilMs);
    writer.signed("lastSeenMs", record.lastSeenMs);
  };
}

function encodeHead(folds: readonly FoldState[]): Uint8Array {
  assert(folds.length <= LIMITS.regionsMax, "a snapshot has at most one fold per region");
  const bytesMax = folds.reduce((sum, fold) => sum + foldBytesMax(fold), 16);
  const writer = new ByteWriter(bytesMax);
  const withFacts = folds.some(({ facts }) => facts > 0);
  writer.byte(withFacts ? PART.headWithFacts : PART.head);
  writer.byte(folds.length);
  for (const [index, fold] of folds.entries()) {
    assert(folds.findIndex(({ region }) => region === fold.region) === index, "a region has one fold");
    writeFold(writer, fold, withFacts);
  }
  assert(writer.at <= Math.min(bytesMax, PART_BYTES_MAX), "a head has the room it needs");
  return writer.bytes.slice(0, writer.at);
}

function foldBytesMax({ sent, processed, settings, audit }: FoldState): number {
  const counters = sent.size + processed.size;
  return FOLD_BYTES_MAX + counters * COUNTER_BYTES_MAX + (settings.size + audit.length) * SETTING_BYTES_MAX;
}

function writeFold(writer: ByteWriter, fold: FoldState, withFacts: boolean): void {
  assert(fold.settings.size <= LIMITS.settingsMax, "a fold has a bounded number of settings");
  assert(fold.audit.length <= LIMITS.auditMax, "a fold has a bounded audit trail");
  writer.id(REGION, fold.region);
  writer.id(PEER_LOG_ID, fold.logId);
  writer.id(PEER_LOG_ID, fold.lineage);
  writer.varint("position", fold.position);
  writer.uint32("checksum", fold.checksum);
  writer.varint("base", fold.base);
  writer.varint("sent count", fold.sent.size);
  for (const [region, ordinal] of fold.sent) {
    writer.id(REGION, region);
    writer.varint("sent", ordinal);
  }
  writer.varint("processed count", fold.processed.size);
  for (const [lineage, ordinal] of fold.processed) {
    writer.id(LOG_ID, lineage);
    writer.varint("processed", ordinal);
  }
  writer.varint("setting count", fold.settings.size);
  for (const [key, setting] of fold.settings) {
    assert(key === setting.key, "a setting is kept under its own key");
    writeSetting(writer, setting);
  }
  writer.varint("audit count", fold.audit.length);
  for (const setting of fold.audit) writeSetting(writer, setting);
  writer.varint("users", fold.users);
  if (withFacts) writer.varint("facts", fold.facts);
  writer.raw("sums", fold.sums, DIGEST_BYTES);
}

function writeSetting(writer: ByteWriter, { key, value, by, reason, atMs }: Setting): void {
  writer.id(SETTING_KEY, key);
  writer.text(SETTING_VALUE, value);
  writer.text(BY, by);
  writer.text(REASON, reason);
  writer.signed("atMs", atMs);
}
