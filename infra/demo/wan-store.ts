/**
 * A peer's in-memory log store as seen through a simulated WAN link: what `WanLink` is for sockets, for the embedded demo.
 * Rule: every question and every entry travels through the link's lanes; an answer that does not come in time is `unavailable`, as
 * with a real server; entries come in order, and a reader that is slow or cut off holds a bounded number of them.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type {
  CopyLog,
  Entry,
  LogStore,
  OpenFailure,
  Opened,
  OriginLog,
  ReadableLog,
  ReadHandlers,
  Reader,
  SnapshotStore,
} from "../../replicator/log/port.ts";
import type { Lane } from "../lane.ts";
import { WanSnapshots } from "./wan-snapshots.ts";

/** Entries under way before the far reader has to wait. */
const WINDOW = 256;
const NO_ANSWER = { ok: false, reason: "unavailable", detail: "no answer across the link in time" } as const;

/** The two directions, as seen from the region that asks. */
export interface Lanes {
  readonly forth: Lane;
  readonly back: Lane;
}

/** Asks the far side, and comes back with the answer. */
export type Ask = <T>(
  question: () => Promise<T>,
) => Promise<T | { ok: false; reason: OpenFailure & "unavailable"; detail: string }>;

/** Only what is done with a peer's store: opening the peer's log, reading and mending it, taking its snapshots, and announcements. */
export class WanLogStore implements LogStore {
  private readonly far: LogStore;
  private readonly lanes: Lanes;
  private readonly readers = new Set<WanReader>();

  constructor(far: LogStore, lanes: Lanes) {
    this.far = far;
    this.lanes = lanes;
  }

  connected(): boolean {
    return this.far.connected();
  }

  describe(): string {
    return `${this.far.describe()} across a simulated link`;
  }

  async openLog(region: Region, options: { create: boolean }): Promise<Opened<OriginLog>> {
    const opened = await this.ask(() => this.far.openLog(region, options));
    return opened.ok ? { ok: true, log: this.distant(opened.log) } : opened;
  }

  async renewLog(region: Region, replaced: LogId): Promise<Opened<OriginLog>> {
    const opened = await this.ask(() => this.far.renewLog(region, replaced));
    return opened.ok ? { ok: true, log: this.distant(opened.log) } : opened;
  }

  snapshots(): SnapshotStore {
    return new WanSnapshots(this.far.snapshots(), this.lanes, (question) => this.ask(question));
  }

  async openCopy(origin: Region, options: { create: boolean }): Promise<Opened<CopyLog>> {
    const opened = await this.ask(() => this.far.openCopy(origin, options));
    return opened.ok ? { ok: true, log: this.distantCopy(opened.log) } : opened;
  }

  announce(topic: string, payload: Uint8Array): void {
    const copy = payload.slice();
    this.lanes.forth.send(copy.length, () => this.far.announce(topic, copy));
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.far.listen(topic, (payload) => this.lanes.back.send(payload.length, () => handler(payload)));
  }

  onConnection(handler: (connected: boolean, detail: string) => void): void {
    this.far.onConnection(handler);
  }

  async close(): Promise<void> {
    await Promise.all([...this.readers].map((reader) => reader.stop()));
    await this.far.close();
  }

  private distant(log: OriginLog): OriginLog {
    return {
      region: log.region,
      logId: log.logId,
      extent: () => this.ask(() => log.extent()),
      entry: (position) => this.ask(() => log.entry(position)),
      truncate: (below) => this.ask(() => log.truncate(below)),
      putBack: (entry) => this.ask(() => log.putBack(entry), entry.bytes.length),
      append: (bytes, messageId) => this.ask(() => log.append(bytes, messageId), bytes.length),
      proof: () => this.ask(() => log.proof()),
      compared: () => this.ask(() => log.compared()),
      read: (from, handlers) => this.follow(log, from, handlers),
    };
  }

  private distantCopy(log: CopyLog): CopyLog {
    return {
      region: log.region,
      extent: () => this.ask(() => log.extent()),
      entry: (position) => this.ask(() => log.entry(position)),
      checkpoint: () => this.ask(() => log.checkpoint()),
      truncate: (below, logId) => this.ask(() => log.truncate(below, logId)),
      get sealed() {
        return log.sealed;
      },
      seal: (next) => this.ask(() => log.seal(next)),
      reset: (through) => this.ask(() => log.reset(through)),
      append: (entry, fence) => this.ask(() => log.append(entry, fence), entry.bytes.length),
      read: (from, handlers) => this.follow(log, from, handlers),
    };
  }

  private follow(log: ReadableLog, from: Position, handlers: ReadHandlers): Reader {
    const reader = new WanReader(log, from, handlers, this.lanes, () => this.readers.delete(reader));
    this.readers.add(reader);
    return reader;
  }

  /** There, with so many bytes, and back with the answer. */
  private ask<T>(
    question: () => Promise<T>,
    bytes = 0,
  ): Promise<T | { ok: false; reason: OpenFailure & "unavailable"; detail: string }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(NO_ANSWER), LIMITS.appendTimeoutMs);
      const arrive = (answer: T): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.lanes.forth.send(bytes, () => {
        question().then((answer) => this.lanes.back.send(0, () => arrive(answer)), reject);
      });
    });
  }
}

class WanReader implements Reader {
  private readonly handlers: ReadHandlers;
  private readonly back: Lane;
  private readonly onStopped: () => void;
  private far: Reader | undefined;
  private stopped = false;
  private underWay = 0;
  private readonly arrived: Entry[] = [];
  private busy = false;
  private letOn: (() => void) | undefined;

  constructor(log: ReadableLog, from: Position, handlers: ReadHandlers, lanes: Lanes, onStopped: () => void) {
    this.handlers = handlers;
    this.back = lanes.back;
    this.onStopped = onStopped;
    lanes.forth.send(0, () => {
      if (!this.stopped) this.far = log.read(from, this.farHandlers());
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.letOn?.();
    await this.far?.stop();
    this.onStopped();
  }

  private farHandlers(): ReadHandlers {
    return {
      entry: (entry) => this.depart(entry),
      interrupted: (detail) => this.tell(() => this.handlers.interrupted(detail)),
      resumed: () => this.tell(() => this.handlers.resumed()),
      broken: (reason, detail) => this.tell(() => this.handlers.broken(reason, detail)),
    };
  }

  private tell(say: () => void): void {
    this.back.send(0, () => {
      if (!this.stopped) say();
    });
  }

  private depart(entry: Entry): void | Promise<void> {
    this.underWay++;
    this.back.send(entry.bytes.length, () => {
      this.arrived.push(entry);
      this.hand();
    });
    if (this.underWay < WINDOW) return undefined;
    return new Promise((resolve) => {
      this.letOn = resolve;
    });
  }

  /** Hands over what has arrived, each entry after the one before was dealt with. */
  private hand(): void {
    while (!this.busy && !this.stopped) {
      const entry = this.arrived.shift();
      if (entry === undefined) return;
      const waiting = this.handlers.entry(entry);
      if (waiting === undefined) {
        this.done();
        continue;
      }
      this.busy = true;
      void waiting.then(() => {
        this.busy = false;
        this.done();
        return this.hand();
      });
    }
  }

  private done(): void {
    this.underWay--;
    if (this.underWay >= WINDOW) return;
    this.letOn?.();
    this.letOn = undefined;
  }
}
