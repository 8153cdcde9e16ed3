/**
 * The port through which everything else sees logs: one `LogStore` is one region's NATS (or its in-memory twin), holding that
 * region's own log `LOG_<region>` and a copy `COPY_<peer>` of each peer's.
 * Rule: an acknowledged append is at its position for good; positions are dense; every append is fenced or carries a message id.
 */
import type { LogId, Position, Region } from "../core/commands.ts";
import type { Seal } from "../core/seal.ts";

/** Names one message of a log: `position` is where it stands in the *origin's* log, in a copy too. */
export interface Entry {
  readonly position: Position;
  readonly logId: LogId;
  /** One encoded frame. */
  readonly bytes: Uint8Array;
}

export interface Extent {
  readonly logId: LogId;
  /** First position held; `head + 1` when empty. */
  readonly first: Position;
  /** Newest position ever given, truncated or not; 0 before the first. */
  readonly head: Position;
  /** Bytes held, as the server counts them. */
  readonly bytes: number;
}

export type AppendFailure =
  /** The server did not answer in time or is not connected: the append may or may not have happened; retry with the same message id. */
  | "unavailable"
  /** Another writer was first (copies only): reload the checkpoint. */
  | "fenced"
  /** The server refuses for good: too large, full, wrong stream. */
  | "rejected";

export type AppendResult =
  | { readonly ok: true; readonly position: Position; readonly duplicate: boolean }
  | { readonly ok: false; readonly reason: AppendFailure; readonly detail: string };

export type OpenFailure =
  | "unavailable"
  /** The stream does not exist (and was not to be created). */
  | "absent"
  /** The stream exists and is not one of Rollcall's: wrong subjects, storage, retention or description. */
  | "wrong-shape";

export type Opened<T> =
  | { readonly ok: true; readonly log: T }
  | { readonly ok: false; readonly reason: OpenFailure; readonly detail: string };

export type BrokenReason = "missing" | "identity-changed" | "malformed";

export interface ReadHandlers {
  /**
   * Called in order, each position once, but that after an interruption the newest comes again, if it is still held: whoever reads on sees
   * whether it is the same. Must not throw. May return a promise: the next entry waits for it (backpressure).
   */
  entry(entry: Entry): void | Promise<void>;
  /**
   * The reader stands still and tries again by itself: link or server down, stream missing. Called once per spell, with the reason.
   */
  interrupted(detail: string): void;
  /** Entries flow again, or the end is reached again, after `interrupted`. */
  resumed(): void;
  /**
   * The position asked for is not held any more (`missing`), or the log has another identity than before (`identity-changed`), or it
   * holds a message that is not an entry (`malformed`). The reader has stopped for good.
   */
  broken(reason: BrokenReason, detail: string): void;
}

export interface Reader {
  /** Ends reading; resolves when no handler will be called any more. */
  stop(): Promise<void>;
}

export type Done<T> =
  | ({ readonly ok: true } & T)
  | { readonly ok: false; readonly reason: OpenFailure; readonly detail: string };

export interface ReadableLog {
  readonly region: Region;
  /** Asks the server; `unavailable` when it does not answer in time. */
  extent(): Promise<{ ok: true; extent: Extent } | { ok: false; reason: OpenFailure; detail: string }>;
  /**
   * Reads from `from` on, for ever, across reconnects and server restarts. Needs round trips only to start, never per entry.
   * A `from` beyond the end waits until that position is written: whoever goes on from an old checkpoint compares `extent` first.
   */
  read(from: Position, handlers: ReadHandlers): Reader;
  /** The entry at `position`; `undefined` when it is not held. */
  entry(position: Position): Promise<Done<{ readonly entry: Entry | undefined }>>;
}

/** The region's own log. */
export interface OriginLog extends ReadableLog {
  readonly logId: LogId;
  /** Drops what is held before position `below`, but never the newest entry; `head` and positions stay as they are. Idempotent. */
  truncate(below: Position): Promise<Done<object>>;
  /**
   * Puts an entry back at the end of a log that lost its tail: stored only if it gets exactly `entry.position`, else `fenced`. Also while
   * appends are held back because the tail is missing.
   */
  putBack(entry: Entry): Promise<AppendResult>;
  /** What is known of the log's end since the server started. */
  proof(): Promise<Done<{ readonly proof: Proof }>>;
  /** The log has all that the peers' copies have. Known until the server stops. */
  compared(): Promise<Done<object>>;
  /**
   * Appends at the end. Nothing is appended (`unavailable`) before the end was proven since the server started: by somebody's handle that
   * was appending until the server stopped, and finds all that it was acknowledged or has read. While the log ends before that, its tail
   * is lost: until it is put back, or the log is renewed. Retried with the same `messageId` within two minutes it takes
   * effect once (`duplicate: true`). Leave `bytes` as they are until it settles.
   */
  append(bytes: Uint8Array, messageId: string): Promise<AppendResult>;
}

/** What a writer is told while the log ends before a position that is known to have been in it. */
export function lostTail(head: Position, known: Position): string {
  return `the log ends at ${head}, ${known} was acknowledged or read: its tail is lost`;
}

/**
 * `compared`: nobody has more of the log, but what was acknowledged last may be lost with nobody to tell. `proven`: it has all that was
 * ever acknowledged, as a log has that was just made.
 */
export type Proof = "none" | "compared" | "proven";

/** What a writer is told until the end is proven. */
export const UNPROVEN = "the server was started, and nobody has proven yet that the log did not lose its end";
/** A handle that sent an append so shortly before it lost the server, and was acknowledged it, knows the log's end: twice the watermark's interval. */
export const VOUCHES_MS = 500;

/** A copy of a peer's log. Its last message is the replicator's checkpoint. */
export interface CopyLog extends ReadableLog {
  /** What this handle knows of: the seal when it was opened, sealed by it or reset by it. What that forbids it does not append (`rejected`). */
  readonly sealed: Seal | undefined;
  /**
   * Seals the copy, durably: once this is ok, nothing that the seal forbids gets in any more, whoever was appending it and however late it
   * comes. A handle opened before appends nothing more (`unavailable`). A seal that was decided before the one there is leaves that. Answers
   * with the one that stands.
   */
  seal(next: Seal): Promise<Done<{ readonly sealed: Seal }>>;
  /** The origin position and identity of the last message, and this stream's own last sequence (the fence for the next append). */
  checkpoint(): Promise<
    | { ok: true; logId: LogId; position: Position; sequence: number }
    | { ok: false; reason: OpenFailure; detail: string }
  >;
  /**
   * Appends the origin's entry unchanged if this stream's last sequence is `fence`, else fails with `fenced`.
   * Calls may be pipelined: they reach the server in the order made. `position` in the result is the stream's new last sequence.
   * When one is not stored, those chained behind it are fenced too, unless another writer put an entry where theirs expect one: then
   * theirs follow. Two writers of one log agree on what belongs where, so a copy stays dense; after `fenced` let all calls settle, then
   * reload the checkpoint. What a handle appends that was opened before another reset the copy, or made it anew, is not stored
   * (`unavailable`): entries stand elsewhere since, and a fence would be right by chance.
   */
  append(entry: Entry, fence: number): Promise<AppendResult>;
  /** As of the region's own log, by positions of log `logId`: a copy that is of another by now is left as it is (`absent`). */
  truncate(below: Position, logId: LogId): Promise<Done<object>>;
  /**
   * Drops all entries up to the one with that sequence of this stream: where another writer has put some behind it meanwhile, they stay.
   * Into an empty copy the next append may be of any position and identity. Readers are told `identity-changed` or `missing`, some only
   * with that append. This handle appends on; whoever else writes opens the copy again.
   */
  reset(through: number): Promise<Done<object>>;
}

/** Of UTF-8. */
export const SNAPSHOT_LABEL_BYTES_MAX = 4 * 1024;

/** A snapshot as it is stored. */
export interface StoredSnapshot {
  readonly name: string;
  /** Written with it: at most `SNAPSHOT_LABEL_BYTES_MAX` of text. */
  readonly label: string;
  readonly bytes: number;
}

/**
 * Snapshots of one region, kept as objects of any size. Rule: one that is listed was stored whole, and what `read` hands out before it
 * answers ok may be cut off or damaged, so nobody acts on it until then.
 */
export interface SnapshotStore {
  /** Newest first. */
  list(): Promise<Done<{ readonly snapshots: readonly StoredSnapshot[] }>>;
  /** Stores the chunks one after another under a new name, or nothing. Pulls them as fast as they are sent. */
  write(
    name: string,
    label: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<Done<{ readonly bytes: number }>>;
  /** Hands out the bytes in pieces of any size, in order; a promise returned is waited for. `damaged` when they are not what was stored. */
  read(
    name: string,
    take: (piece: Uint8Array) => void | Promise<void>,
  ): Promise<
    | { readonly ok: true }
    | { readonly ok: false; readonly reason: OpenFailure | "damaged"; readonly detail: string }
  >;
  /** Idempotent. */
  remove(name: string): Promise<Done<object>>;
}

/** `detail` is a reason for people. */
export type ConnectionHandler = (connected: boolean, detail: string) => void;

export interface LogStore {
  /** True while the server can be spoken to. */
  connected(): boolean;
  /** Server software and version for operators, e.g. `nats-server 2.9.10`, or `memory`. */
  describe(): string;
  /** Opens, or with `create` creates with a fresh identity, the region's own log. */
  openLog(region: Region, options: { create: boolean }): Promise<Opened<OriginLog>>;
  /**
   * Gives the region's log up, with all it holds, and creates it anew with a fresh identity; if its identity is not `replaced` (any
   * more), only opens it. Appends to the old one fail from then on, whoever makes them.
   */
  renewLog(region: Region, replaced: LogId): Promise<Opened<OriginLog>>;
  /** The region's snapshots. */
  snapshots(): SnapshotStore;
  /** Opens, or with `create` creates, the copy of `origin`'s log. */
  openCopy(origin: Region, options: { create: boolean }): Promise<Opened<CopyLog>>;
  /** Sends a small message to whoever listens in this region now; lost when nobody does. For link reports. */
  announce(topic: string, payload: Uint8Array): void;
  /** Listens to announcements until the returned function is called. Survives reconnects. */
  listen(topic: string, handler: (payload: Uint8Array) => void): () => void;
  /** Called at each loss and return of the connection, with a reason. */
  onConnection(handler: ConnectionHandler): void;
  /** Ends readers, flushes, closes the connection. */
  close(): Promise<void>;
}
