/**
 * Brings a snapshot from a peer's region to this one, for a log of which too much is missing here. Rule: a snapshot that is here already
 * and reaches far enough is used, so that the copies of all logs begin behind the same one, unless it is known to be of no use; one that is
 * damaged on the way is not stored.
 */
import type { LogId, Position, Region } from "./core/commands.ts";
import type { LogStore, SnapshotStore, StoredSnapshot } from "./log/port.ts";
import { SNAPSHOT_WANTED_TOPIC } from "./runtime/announcement.ts";
import { pause } from "./runtime/pause.ts";
import { parseLabel, positionIn } from "./runtime/snapshot-label.ts";

export interface FetchOptions {
  readonly origin: Region;
  readonly logId: LogId;
  /** The snapshot must have the log up to here. */
  readonly atLeast: Position;
  /** Where the log ends: one that is far behind is only taken when the peer makes no newer one. */
  readonly head: Position;
  /** Names of those that are of no use, here or there. */
  readonly useless?: readonly string[];
  /** The region that it is brought from; the log's own, unless told otherwise. */
  readonly peer?: Region;
  readonly remote: LogStore;
  readonly local: LogStore;
  readonly progress: (percent: number) => void;
}

export type Fetched =
  | { readonly ok: true; readonly position: Position }
  | { readonly ok: false; readonly detail: string };

interface Candidate {
  readonly stored: StoredSnapshot;
  readonly position: Position;
}

/** A snapshot this far behind the log's end is worth asking for a newer one: 25 s of an idle region's watermarks. */
const FAR_BEHIND = 100;
/** So long the peer has to make a newer one. */
const FRESH_MS = 10_000;
const LOOK_EVERY_MS = 500;

export async function fetchSnapshot(options: FetchOptions): Promise<Fetched> {
  const { local, remote, head, peer = options.origin } = options;
  const here = await newest(local.snapshots(), options);
  if (here.ok && here.found !== undefined) return { ok: true, position: here.found.position };
  if (!here.ok) return here;
  for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
    const there = await newest(remote.snapshots(), options);
    if (!there.ok) return there;
    const { found } = there;
    const fresh = found !== undefined && head - found.position <= FAR_BEHIND;
    if (found !== undefined && (fresh || waitedMs >= FRESH_MS)) return bring(found, options);
    if (waitedMs >= FRESH_MS) {
      const wanted = `log ${options.logId} up to ${options.atLeast}`;
      return { ok: false, detail: `no snapshot in ${peer} has ${wanted}` };
    }
    remote.announce(SNAPSHOT_WANTED_TOPIC, new Uint8Array());
    await pause(LOOK_EVERY_MS);
  }
}

async function newest(
  store: SnapshotStore,
  { origin, logId, atLeast, useless = [] }: FetchOptions,
): Promise<{ ok: true; found: Candidate | undefined } | { ok: false; detail: string }> {
  const listed = await store.list();
  if (!listed.ok) return { ok: false, detail: listed.detail };
  for (const stored of listed.snapshots) {
    const label = parseLabel(stored.label);
    const position = label === undefined ? undefined : positionIn(label, origin, logId);
    if (position === undefined || position < atLeast || useless.includes(stored.name)) continue;
    return { ok: true, found: { stored, position } };
  }
  return { ok: true, found: undefined };
}

async function bring(
  { stored, position }: Candidate,
  { remote, local, progress, origin, peer = origin }: FetchOptions,
): Promise<Fetched> {
  const pieces = new Pieces();
  const { name, label, bytes } = stored;
  let taken = 0;
  const reading = remote.snapshots().read(name, (piece) => {
    taken += piece.byteLength;
    progress(Math.floor((100 * taken) / Math.max(1, bytes)));
    return pieces.push(piece.slice());
  });
  const writing = local
    .snapshots()
    .write(name, label, pieces.all())
    .catch((error: unknown) => {
      if (error instanceof CutOff) return { ok: false as const, detail: error.message };
      throw error;
    });
  const read = await Promise.race([reading, writing]);
  pieces.end(read.ok ? undefined : read.detail);
  const [readAll, written] = await Promise.all([reading, writing]);
  if (!readAll.ok) return { ok: false, detail: `snapshot ${name} of ${peer}: ${readAll.detail}` };
  if (!written.ok) return { ok: false, detail: `snapshot ${name} here: ${written.detail}` };
  return { ok: true, position };
}

/** Ends the writing of what could not be read to its end. */
class CutOff extends Error {}

/** Pieces handed from whoever reads to whoever writes, one at a time. */
class Pieces {
  #piece: Uint8Array | undefined;
  #ended = false;
  #failure: string | undefined;
  #filled: () => void = () => undefined;
  #emptied: () => void = () => undefined;

  /** Resolves when there is room for the next. */
  push(piece: Uint8Array): Promise<void> | undefined {
    if (this.#ended) return undefined;
    this.#piece = piece;
    this.#filled();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** No more come; with a failure, what came is not to be kept. */
  end(failure: string | undefined): void {
    this.#ended = true;
    this.#failure = failure;
    this.#filled();
    this.#emptied();
  }

  async *all(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#piece;
      if (piece !== undefined) {
        this.#piece = undefined;
        yield piece;
        this.#emptied();
      } else if (this.#failure !== undefined) throw new CutOff(this.#failure);
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#filled = resolve;
        });
      }
    }
  }
}
