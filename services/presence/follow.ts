/**
 * Follows a region's log from where its fold stands, its own or an heir's (decisions/0021): entries become frames, frames go to the fold. A log
 * that cannot be read on (garbage, a gap, another identity) stands still with its reason, is tried again, and never stops the others. Where
 * no trying helps, because what is needed is not in the log any more, it says so: only a snapshot leads on. Rule: the frame where the fold
 * stands is read first, and again after each interruption; if the log holds another one there, it lost its end and went on, and the fold
 * is not of this log.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Frame, LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Source } from "../../replicator/core/succession.ts";
import type { LogPosition } from "../../replicator/core/token.ts";
import type { Entry, Extent, Opened, ReadableLog, Reader } from "../../replicator/log/port.ts";
import { baseIn } from "../../replicator/wire/base-in.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";

/** Where a fold stands: at the frame with this checksum; without identity before its first frame. */
export interface Place {
  readonly logId: LogId;
  readonly position: Position;
  readonly checksum: number;
}

export interface FollowOptions {
  readonly region: Region;
  /** Opens the log of that region: this one, or an heir. */
  readonly open: (of: Region) => Promise<Opened<ReadableLog>>;
  /** Whose log is to be folded next, and from where. */
  readonly source: () => Source;
  /** Beyond here nothing counts, as is known from elsewhere: whose log goes on there is still to be folded. */
  readonly end?: () => LogPosition | undefined;
  /** The region's own log of which nothing counts any more, as an heir's went on from it; nothing where there is none. */
  readonly over: () => LogId | undefined;
  /** How far the log is folded. */
  readonly at: () => Place;
  readonly fold: (position: Position, frame: Frame) => void;
  /** Something stands in the way; an empty detail means that it is over. */
  readonly trouble: (detail: string) => void;
  /** The log cannot be followed from where the fold stands; `astray`: it never had the fold's frames. Said again at each try. */
  readonly lost: (detail: string, astray: boolean) => void;
}

const RETRY_MS = 300;
/** While a reader stands still, the log is looked at so often: it may be another one now, or have to be made anew. */
const LOOK_EVERY_MS = 1_000;

/** A log as it was when it was first opened, and where it ended then. */
interface Start {
  readonly of: Region;
  readonly logId: LogId;
  readonly head: Position;
}

export class Follower {
  /** Unknown until a log was opened. */
  #start: Start | undefined;
  readonly #options: FollowOptions;
  #reader: Reader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #interrupted = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  get region(): Region {
    return this.#options.region;
  }

  /** Whether all is folded that the log had when it was first opened, and no other is to be read now. */
  get caughtUp(): boolean {
    const source = this.#options.source();
    if (this.#start === undefined || source.kind === "astray" || source.of !== this.#start.of) return false;
    const { logId, head } = this.#start;
    const at = this.#options.at();
    return head === 0 || (logId === at.logId && at.position >= Math.min(head, this.#through(logId, source)));
  }

  start(): void {
    this.#running = this.#open();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#reader?.stop();
  }

  /** Other frames were folded, perhaps of another log: whose log is to be read may be decided there. */
  look(): void {
    if (this.#reader !== undefined && this.#isElsewhere()) this.#turn();
  }

  async #open(): Promise<void> {
    const source = this.#options.source();
    if (source.kind === "astray") {
      const detail = "another log counts than the one folded, and no frame leads there";
      this.#options.lost(detail, true);
      return this.#again(detail);
    }
    const { of } = source;
    const opened = await this.#options.open(of);
    if (this.#stopped) return;
    if (!opened.ok) {
      // A peer's copy is made by the replicator: until then there is nothing to wait for at start.
      if (opened.reason === "absent") this.#starts({ of, logId: "", head: 0 });
      return this.#again(`${opened.reason}: ${opened.detail}`);
    }
    const answer = await opened.log.extent();
    if (this.#stopped) return;
    if (!answer.ok) return this.#again(`${answer.reason}: ${answer.detail}`);
    const { extent } = answer;
    const isOver = await this.#isOver(opened.log, extent);
    if (this.#stopped) return;
    if (isOver === undefined) return this.#again("the log's first frame cannot be read");
    this.#starts({ of, logId: extent.logId, head: isOver ? 0 : extent.head });
    if (this.#isElsewhere()) return this.#turn();
    if (isOver) return this.#again(`log ${extent.logId} is over, and the next has not begun`);
    this.#readFrom(opened.log, extent, source);
  }

  #starts(start: Start): void {
    if (this.#start?.of !== start.of || this.#start.logId !== start.logId) this.#start = start;
  }

  /** Whether another region's log is to be read than the one opened. */
  #isElsewhere(): boolean {
    const source = this.#options.source();
    return source.kind === "astray" || source.of !== this.#start?.of;
  }

  /** Of the region's own log that is over, or one that it went on with by itself, nothing counts; unknown where its beginning is not read. */
  async #isOver(log: ReadableLog, { logId, first, head }: Extent): Promise<boolean | undefined> {
    const over = this.#options.over();
    if (over === undefined || log.region !== this.region || logId === this.#options.at().logId) return false;
    if (logId === over || first > 1 || head === 0) return logId === over;
    const begun = await log.entry(1);
    return begun.ok ? begun.entry !== undefined && baseIn(begun.entry.bytes)?.logId === over : undefined;
  }

  #readFrom(log: ReadableLog, extent: Extent, { from }: Source & { readonly kind: "log" }): void {
    const { first, head, logId } = extent;
    const at = this.#options.at();
    const goesOver = from !== undefined && (at.logId !== from.logId || at.position < from.position);
    if (goesOver && logId !== from.logId)
      return this.#again(`log ${from.logId} leads on, and log ${logId} is held`);
    const needed = goesOver ? from.position : neededIn(extent, at);
    if (first > needed) {
      const detail = `position ${needed} is needed, the first held is ${first}`;
      this.#options.lost(detail, false);
      return this.#again(detail);
    }
    this.#read(log, !goesOver && first <= head && first < needed ? needed - 1 : needed);
  }

  #read(log: ReadableLog, from: Position): void {
    let refused = false;
    this.#reader = log.read(from, {
      entry: (entry) => {
        if (refused) return;
        if (this.#isBeyond(entry)) {
          refused = true;
          this.#halt();
          return this.#openIn(RETRY_MS);
        }
        const decoded = decodeFrame(entry.bytes);
        if (!decoded.ok) {
          refused = true;
          return this.#restart(`frame ${entry.position}: ${decoded.reason}, ${decoded.detail}`);
        }
        const before = this.#options.at();
        if (isFork(before, entry.position, decoded.frame)) {
          refused = true;
          const detail = `log ${before.logId} has another frame at ${before.position} than the one folded`;
          this.#options.lost(detail, true);
          return this.#restart(detail);
        }
        this.#options.fold(entry.position, decoded.frame);
        const at = this.#options.at();
        if (at.logId === decoded.frame.logId && at.position >= entry.position) {
          refused = this.#isElsewhere();
          return refused ? this.#turn() : undefined;
        }
        refused = true;
        const detail = `frame ${entry.position} of log ${decoded.frame.logId} was refused by the fold`;
        // Of a log that nothing is folded of, a later frame is a gap; only a first one that is refused leads nowhere.
        if (at.logId !== decoded.frame.logId && (at.logId !== "" || entry.position === 1))
          this.#options.lost(detail, false);
        this.#restart(detail);
      },
      interrupted: (detail) => {
        this.#interrupted = true;
        this.#options.trouble(detail);
        this.#lookLater();
      },
      resumed: () => {
        this.#interrupted = false;
        this.#options.trouble("");
      },
      broken: (reason, detail) => this.#restart(`${reason}: ${detail}`),
    });
    this.#options.trouble("");
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#look());
    }, LOOK_EVERY_MS);
  }

  /** The reader goes on by itself where the log is still the same. */
  async #look(): Promise<void> {
    if (this.#stopped || !this.#interrupted) return;
    const opened = await this.#options.open(defined(this.#start, "a log is read").of);
    if (this.#stopped || !this.#interrupted) return;
    const { logId } = this.#options.at();
    if (opened.ok && "logId" in opened.log && opened.log.logId !== logId)
      this.#restart(`log ${logId} was replaced`);
    else this.#lookLater();
  }

  /** Whether the entry is one of those behind the last that counts, or of a log that is not to be read any more. */
  #isBeyond({ logId, position }: Entry): boolean {
    const source = this.#options.source();
    if (source.kind === "astray" || source.of !== this.#start?.of) return true;
    return position > this.#through(logId, source);
  }

  /** The last position of the log that counts, as far as is known. */
  #through(
    logId: LogId,
    { through = Number.POSITIVE_INFINITY }: Source & { readonly kind: "log" },
  ): Position {
    const end = this.#options.end?.();
    const isHere = logId === this.#options.at().logId;
    return Math.min(isHere ? through : Infinity, end?.logId === logId ? end.position : Infinity);
  }

  #restart(detail: string): void {
    this.#halt();
    this.#again(detail);
  }

  #halt(): void {
    this.#interrupted = false;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) this.#running = reader.stop();
  }

  /** To whatever log is to be read now. */
  #turn(): void {
    this.#halt();
    this.#openIn(0);
  }

  #again(detail: string): void {
    this.#options.trouble(detail);
    this.#openIn(RETRY_MS);
  }

  #openIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#open());
    }, ms);
  }
}

/**
 * The position to fold next. A log of another identity is read from its beginning: it may go on where the fold stands. So is a copy that is
 * empty: it may come to be of any log, and a reader that waits for a later position leaves out what comes before.
 */
function neededIn({ logId }: Extent, at: Place): Position {
  return logId === at.logId ? at.position + 1 : 1;
}

/** Whether the log went on otherwise than with what is folded. */
function isFork(at: Place, position: Position, { logId, checksum }: Frame): boolean {
  return at.logId === logId && at.position === position && at.checksum !== checksum;
}
