/**
 * Follows one log from where the fold stands: entries become frames, frames go to the fold. A log that cannot be read on (garbage, a
 * gap, another identity) stands still with its reason, is tried again, and never stops the others. Where no trying helps, because what
 * is needed is not in the log any more, it says so: only a snapshot leads on. Rule: the frame where the fold stands is read first, and
 * again after each interruption; if the log holds another one there, it lost its end and went on, and the fold is not of this log.
 */
import type { Frame, LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { Extent, Opened, ReadableLog, Reader } from "../../replicator/log/port.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";

/** Where a fold stands: at the frame with this checksum; without identity before its first frame. */
export interface Place {
  readonly logId: LogId;
  readonly position: Position;
  readonly checksum: number;
}

export interface FollowOptions {
  readonly region: Region;
  readonly open: () => Promise<Opened<ReadableLog>>;
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

export class Follower {
  /** The log as it was when it was first opened, and where it ended then; unknown until then. */
  #start: { readonly logId: LogId; readonly head: Position } | undefined;
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

  /** Whether all that the log had when it was first opened is folded. */
  get caughtUp(): boolean {
    if (this.#start === undefined) return false;
    const { logId, position } = this.#options.at();
    return this.#start.head === 0 || (logId === this.#start.logId && position >= this.#start.head);
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

  async #open(): Promise<void> {
    const opened = await this.#options.open();
    if (this.#stopped) return;
    if (!opened.ok) {
      // A peer's copy is made by the replicator: until then there is nothing to wait for at start.
      if (opened.reason === "absent") this.#start ??= { logId: "", head: 0 };
      return this.#again(`${opened.reason}: ${opened.detail}`);
    }
    const answer = await opened.log.extent();
    if (this.#stopped) return;
    if (!answer.ok) return this.#again(`${answer.reason}: ${answer.detail}`);
    const { extent } = answer;
    if (this.#start?.logId !== extent.logId) this.#start = extent;
    const needed = this.#needed(extent);
    if (extent.first > needed) {
      const detail = `position ${needed} is needed, the first held is ${extent.first}`;
      this.#options.lost(detail, false);
      return this.#again(detail);
    }
    const { first, head } = extent;
    this.#read(opened.log, first <= head && first < needed ? needed - 1 : needed);
  }

  /** The position to fold next. A log of another identity is read from its beginning: it may go on where the fold stands. */
  #needed({ logId }: Extent): Position {
    const at = this.#options.at();
    return at.logId !== "" && logId !== "" && logId !== at.logId ? 1 : at.position + 1;
  }

  #read(log: ReadableLog, from: Position): void {
    let refused = false;
    this.#reader = log.read(from, {
      entry: (entry) => {
        if (refused) return;
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
        if (at.logId === decoded.frame.logId && at.position >= entry.position) return;
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
    const opened = await this.#options.open();
    if (this.#stopped || !this.#interrupted) return;
    const { logId } = this.#options.at();
    if (opened.ok && "logId" in opened.log && opened.log.logId !== logId)
      this.#restart(`log ${logId} was replaced`);
    else this.#lookLater();
  }

  #restart(detail: string): void {
    this.#interrupted = false;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) this.#running = reader.stop();
    this.#again(detail);
  }

  #again(detail: string): void {
    this.#options.trouble(detail);
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#running.then(() => this.#open());
    }, RETRY_MS);
  }
}

/** Whether the log went on otherwise than with what is folded. */
function isFork(at: Place, position: Position, { logId, checksum }: Frame): boolean {
  return at.logId === logId && at.position === position && at.checksum !== checksum;
}
