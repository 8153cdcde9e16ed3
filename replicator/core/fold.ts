/**
 * The fold of one log: `fold(state, frame) → state`. Rule (invariant 1): it reads its own log and nothing else (no clock, no
 * other log, no IO), so equal positions of one log identity mean equal state in every region.
 *
 * What each command does to a user, by what this log holds of that user:
 *
 *   command          | nothing            | a record              | moved to R
 *   -----------------+--------------------+-----------------------+------------------------------
 *   open, prefer     | claim, then apply  | apply                 | becomes a forward to R
 *   stance, read, bookmark | the same: the fact is held beside the record, if it stands above what is held; else refused
 *   update, close    | refuse             | apply                 | becomes a forward to R
 *   claim at E       | claim at E         | E if higher, else refuse | a record at E if E is higher, else becomes a forward to R
 *   drop to R        | refuse             | every session and the preference become forwards to R, then moved to R | refuse
 *   release to R     | refuse             | the record becomes one forward to R, a claim at the next epoch; then moved to R | refuse
 *
 * A drop is for a record that nobody gave, at the first epoch. One at a higher epoch it releases: the drop was meant for what the record
 * was before a claim came, and two logs that each say that the user moved to the other would pass commands on for ever.
 *
 * A log may go on where another ended (decisions/0011), also in the log of an heir (decisions/0021), where only what is said for this region
 * counts. Its identity and positions are new; its lineage is the same, and versions and ordinals go on far above any that the end of the
 * old log may have given out.
 */
import type {
  Accept,
  Command,
  Drop,
  Fact,
  Frame,
  LogId,
  Position,
  RecordCommand,
  Region,
  Release,
  UserCommand,
  UserId,
} from "./commands.ts";
import { deputyOf, writerOf } from "./deputy.ts";
import { FoldDigest } from "./digest.ts";
import { FoldExport, restOf, stateOf } from "./export.ts";
import { Facts, isFact } from "./facts.ts";
import type { FoldListener, FoldResult } from "./fold-listener.ts";
import { claimOf, pieces } from "./handover.ts";
import { FIRST_EPOCH, compareEpochs } from "./homing.ts";
import { prefetchFor } from "./prefetch.ts";
import { EMPTY_STATE, UserRecord, applyToState } from "./record.ts";
import type { EndedSession } from "./record.ts";
import { Settings } from "./settings.ts";
import type { FoldState, RecordState } from "./snapshot.ts";
import { inOrder, isSucceeding, noteOn } from "./succession.ts";
import { AHEAD, Table } from "./table.ts";

/** Added at each renewal to versions and ordinals: more than the lost end of a log can have used. */
const RENEWAL_STEP = 2 ** 32;

export class Fold {
  readonly region: Region;
  /** Identity of the log folded; empty before its first frame. */
  logId: LogId = "";
  /** Identity of the first of the logs that went on from each other to this one. */
  lineage: LogId = "";
  /** Position of the newest frame applied. */
  position: Position = 0;
  /** Of that frame. A log that lost its end may hold another at that position. */
  checksum = 0;
  /** Every user this log has ever claimed, moved ones included. */
  readonly table = new Table<UserRecord>((record) => record.user);
  /** The last ordinal this log gave to a forward, per target. */
  readonly sent = new Map<Region, number>();
  /** The last ordinal accepted, per lineage that forwards here. */
  readonly processed = new Map<LogId, number>();
  /** What its users say of each other. */
  readonly facts = new Facts();
  readonly #decided = new Settings();
  /** What operators decided, by key. */
  readonly settings = this.#decided.byKey;
  /** The newest decisions, oldest first. */
  readonly audit = this.#decided.audit;
  readonly digest = new FoldDigest();
  /** What renewals have added to versions and ordinals. */
  #base = 0;
  #export: FoldExport | undefined;
  readonly #listener: FoldListener;

  constructor(region: Region, listener: FoldListener) {
    this.region = region;
    this.#listener = listener;
  }

  /** Applies the frame at `position`. Everything but "applied" leaves the state as it was. */
  apply(position: Position, frame: Frame): FoldResult {
    if (frame.logId === this.logId && position <= this.position) return "duplicate";
    const succeeds = isSucceeding(frame, this);
    const mayWrite = succeeds || frame.region === this.region || frame.region === writerOf(this);
    if (!mayWrite) return "authority";
    if (frame.logId !== this.logId) {
      if (this.logId === "" && position !== 1) return "gap";
      if (!succeeds && !this.#isBeginning(position, frame)) return "identity";
      this.#begin(position, frame);
    }
    if (position !== this.position + 1) return "gap";
    this.position = position;
    const { commands, checksum = 0 } = frame;
    this.checksum = checksum;
    for (let from = 0; from < commands.length; from += AHEAD) {
      const next = commands.slice(from, from + AHEAD);
      prefetchFor(next, this.table);
      for (const command of next) this.#read(command, frame);
    }
    return "applied";
  }

  /** What renewals have added to versions and ordinals: more than this log's records had before the newest of them. */
  get base(): number {
    return this.#base;
  }

  /** Order of the newest frame among all of this log and of those it went on from. */
  get version(): number {
    return this.#base + this.position;
  }

  /** Ordinal up to which the forwards of the lineage are processed here. */
  processedOf(lineage: LogId): number {
    return this.processed.get(lineage) ?? 0;
  }

  /** The record of a user homed in this log. */
  homed(user: UserId): UserRecord | undefined {
    const record = this.table.get(user);
    return record === undefined || record.movedTo !== "" ? undefined : record;
  }

  /** The digest of this fold as it is. */
  sums(): Uint8Array {
    return this.digest.sums(restOf(this));
  }

  /** Reads this fold out as it is now, while it goes on; one at a time, until `done`. */
  export(): FoldExport {
    this.#export = new FoldExport(stateOf(this), this.table, this.facts);
    return this.#export;
  }

  exportDone(): void {
    this.#export = undefined;
  }

  /** Takes the place of a fold that was exported; what it restores follows. Only for a fold without frames. */
  begin(state: FoldState): void {
    this.logId = state.logId;
    this.lineage = state.lineage;
    this.position = state.position;
    this.checksum = state.checksum;
    this.#base = state.base;
    for (const [to, ordinal] of state.sent) this.sent.set(to, ordinal);
    for (const [lineage, ordinal] of state.processed) this.processed.set(lineage, ordinal);
    for (const [key, setting] of state.settings) this.settings.set(key, setting);
    this.audit.push(...state.audit);
  }

  restore(state: RecordState): UserRecord {
    const record = new UserRecord(state.user, state.epoch, this.table.size);
    record.version = state.version;
    record.movedTo = state.movedTo;
    record.sessions = state.sessions;
    record.preferred = state.preferred;
    record.preferredUntilMs = state.preferredUntilMs;
    this.table.set(state.user, record);
    this.digest.touch(record);
    return record;
  }

  restoreFact(fact: Fact): void {
    this.digest.settleFact(this.facts.put(fact));
  }

  /** Whether the record, and the facts of its user, still say what commands made of them: {@link FoldDigest.isIntact}. */
  isIntact(record: UserRecord): boolean {
    let intact = this.digest.isIntact(record);
    for (const held of this.facts.of(record.user)) if (this.digest.settleFact(held)) intact = false;
    return intact;
  }

  /** The first frame of a log: the very first, or one that goes on exactly from here. */
  #isBeginning(position: Position, { region, commands: [first] }: Frame): boolean {
    if (position !== 1 || region !== writerOf(this)) return false;
    if (first?.kind !== "renewed") return this.logId === "";
    const { logId, position: ended, checksum } = first;
    return this.logId !== "" && logId === this.logId && ended === this.position && checksum === this.checksum;
  }

  #begin(position: Position, frame: Frame): void {
    if (this.logId === "") this.lineage = frame.logId;
    else this.#base += RENEWAL_STEP;
    this.logId = frame.logId;
    this.position = position - 1;
  }

  /** Of an heir's log, what it says of this region. */
  #read(command: Command, frame: Frame): void {
    if (frame.region === this.region) return this.#command(command, frame);
    const note = command.kind === "set" ? noteOn(command, frame.region, this) : undefined;
    if (note !== undefined) this.#decided.set(note, frame.committedAtMs);
    else if (command.kind === "deputed" && command.region === this.region && !deputyOf(this).hasYielded)
      this.#command(command.command, frame);
  }

  #command(command: Command, frame: Frame): void {
    switch (command.kind) {
      case "open":
      case "update":
      case "close":
      case "prefer":
      case "claim":
        return this.#apply(command, false);
      case "stance":
      case "read":
      case "bookmark":
        return this.#say(command);
      case "forward":
        if (command.to === this.region) return this.#listener.refused(this, command, "forward-to-self");
        return this.#forward(command.to, command.command);
      case "accept":
        return this.#accept(command);
      case "drop":
      case "release":
        return this.#giveUp(command);
      case "watermark":
        return;
      case "renewed":
        if (this.position !== 1 || frame.commands[0] !== command)
          this.#listener.refused(this, command, "misplaced");
        return;
      case "mark": {
        const sums = this.sums();
        this.digest.remember(this.version, sums);
        return this.#listener.marked(this, this.version, sums);
      }
      case "digest": {
        const buckets = this.digest.compare(command.at, command.sums);
        if (buckets !== undefined) this.#listener.compared(this, command.at, buckets, frame.node);
        return;
      }
      case "set": {
        const decided = inOrder(command, this);
        const refusal = decided === undefined ? "misplaced" : this.#decided.set(decided, frame.committedAtMs);
        if (refusal !== undefined) this.#listener.refused(this, command, refusal);
        return;
      }
      case "deputed":
        return;
    }
  }

  #say(fact: Fact): void {
    const record = this.table.get(fact.user);
    if (record !== undefined && record.movedTo !== "") return this.#forward(record.movedTo, fact);
    const refusal = this.facts.refusal(fact);
    if (refusal !== undefined) return this.#listener.refused(this, fact, refusal);
    const before = this.facts.held(fact);
    if (before !== undefined && this.digest.settleFact(before)) this.#listener.corrupt(this, fact.user);
    if (before !== undefined) this.#export?.keepFact(before);
    this.digest.settleFact(this.facts.put(fact));
    if (record === undefined) this.#appear(fact.user);
    this.#listener.said(this, fact, before === undefined);
  }

  #appear(user: UserId): void {
    const record = new UserRecord(user, FIRST_EPOCH, this.table.size);
    record.version = this.version;
    this.table.set(user, record);
    this.digest.touch(record);
    this.#listener.changed(this, user, true, record);
  }

  #apply(command: RecordCommand, accepted: boolean): void {
    let record = this.table.get(command.user);
    if (record !== undefined) this.#look(record);
    const appeared = record === undefined || (command.kind === "claim" && record.movedTo !== "");
    if (record === undefined) {
      if (command.kind === "update" || command.kind === "close") {
        return this.#listener.refused(this, command, "unknown-user");
      }
      const epoch = command.kind === "claim" ? command.epoch : FIRST_EPOCH;
      record = new UserRecord(command.user, epoch, this.table.size);
      this.table.set(command.user, record);
    } else if (command.kind === "claim") {
      const isHigher = compareEpochs(command.epoch, record.epoch) > 0;
      if (!isHigher && record.movedTo !== "") return this.#forward(record.movedTo, command);
      if (!isHigher) return this.#listener.refused(this, command, "lower-epoch");
      this.#export?.keep(record);
      record.epoch = command.epoch;
      record.movedTo = "";
    } else if (record.movedTo !== "") {
      return this.#forward(record.movedTo, command);
    }
    this.#export?.keep(record);
    const ended: EndedSession[] = [];
    const refusal = applyToState(record, command, ended);
    if (refusal !== undefined) return this.#listener.refused(this, command, refusal);
    record.version = this.version;
    this.digest.touch(record);
    if (command.kind !== "update") this.#listener.changed(this, command.user, appeared, record);
    this.#listener.applied(this, command, ended, accepted);
  }

  #forward(to: Region, command: UserCommand): void {
    const ordinal = Math.max(this.sent.get(to) ?? 0, this.#base) + 1;
    this.sent.set(to, ordinal);
    this.#listener.forwarded(this, to, ordinal, command);
  }

  #accept(accept: Accept): void {
    if (accept.from === this.region) return this.#listener.refused(this, accept, "accept-from-self");
    const done = this.processedOf(accept.lineage);
    if (accept.at <= done) return this.#listener.refused(this, accept, "already-processed");
    if (accept.after > done) return this.#listener.refused(this, accept, "out-of-order");
    this.processed.set(accept.lineage, accept.at);
    this.#listener.accepting(this, accept);
    if (isFact(accept.command)) this.#say(accept.command);
    else this.#apply(accept.command, true);
    this.#listener.processed(this, accept);
  }

  #giveUp(command: Drop | Release): void {
    const { user, to } = command;
    const record = this.homed(user);
    if (record !== undefined) this.#look(record);
    if (record === undefined || to === this.region) return this.#listener.refused(this, command, "not-homed");
    // Of one given at a claim, which the drop may not have known, all is given on as one: it would be nobody's.
    const isGiven = command.kind === "release" || compareEpochs(record.epoch, FIRST_EPOCH) > 0;
    for (const one of isGiven ? [claimOf(record)] : pieces(record)) this.#forward(to, one);
    this.#moved(record, to);
  }

  /** Once a record is written, no look of this node's own shows any more that it had changed by itself. */
  #look(record: UserRecord): void {
    if (!this.digest.isIntact(record)) this.#listener.corrupt(this, record.user);
  }

  #moved(record: UserRecord, to: Region): void {
    this.#export?.keep(record);
    record.movedTo = to;
    record.version = this.version;
    Object.assign(record, EMPTY_STATE);
    this.digest.touch(record);
    this.#listener.changed(this, record.user, false, record);
  }
}
