/**
 * A peer's snapshots as seen through a simulated WAN link.
 * Rule: questions and pieces travel through the link's lanes; a few pieces are under way at a time, and a link that carries nothing for
 * a while makes the answer `unavailable`, as with a real server.
 */
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Done, SnapshotStore, StoredSnapshot } from "../../replicator/log/port.ts";
import type { Ask, Lanes } from "./wan-store.ts";

/** Pieces under way before the far end has to wait. */
const WINDOW = 16;
const NOT_HERE = {
  ok: false,
  reason: "absent",
  detail: "snapshots are not written or removed across a link",
} as const;

type Outcome = Awaited<ReturnType<SnapshotStore["read"]>>;

export class WanSnapshots implements SnapshotStore {
  private readonly far: SnapshotStore;
  private readonly lanes: Lanes;
  private readonly ask: Ask;

  constructor(far: SnapshotStore, lanes: Lanes, ask: Ask) {
    this.far = far;
    this.lanes = lanes;
    this.ask = ask;
  }

  list(): Promise<Done<{ readonly snapshots: readonly StoredSnapshot[] }>> {
    return this.ask(() => this.far.list());
  }

  write(): Promise<Done<{ readonly bytes: number }>> {
    return Promise.resolve(NOT_HERE);
  }

  remove(): Promise<Done<object>> {
    return Promise.resolve(NOT_HERE);
  }

  read(name: string, take: (piece: Uint8Array) => void | Promise<void>): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const transfer = new Transfer(this.lanes, take, resolve, reject);
      this.lanes.forth.send(0, () => {
        this.far
          .read(name, (piece) => transfer.depart(piece))
          .then((outcome) => transfer.finish(outcome), reject);
      });
    });
  }
}

/** One snapshot on its way. */
class Transfer {
  private readonly lanes: Lanes;
  private readonly take: (piece: Uint8Array) => void | Promise<void>;
  private readonly resolve: (outcome: Outcome) => void;
  private readonly reject: (error: unknown) => void;
  private timer: NodeJS.Timeout | undefined;
  private over = false;
  private underWay = 0;
  private letOn: () => void = () => undefined;
  /** Settles when all that has departed was taken. */
  private taken: Promise<void> = Promise.resolve();

  constructor(
    lanes: Lanes,
    take: (piece: Uint8Array) => void | Promise<void>,
    resolve: (outcome: Outcome) => void,
    reject: (error: unknown) => void,
  ) {
    this.lanes = lanes;
    this.take = take;
    this.resolve = resolve;
    this.reject = reject;
    this.progressed();
  }

  depart(piece: Uint8Array): void | Promise<void> {
    if (this.over) return undefined;
    this.underWay++;
    const arrived = new Promise<void>((resolve) => {
      this.lanes.back.send(piece.length, resolve);
    });
    this.taken = this.taken.then(() => arrived).then(() => this.arrive(piece));
    if (this.underWay < WINDOW) return undefined;
    return new Promise((resolve) => {
      this.letOn = resolve;
    });
  }

  finish(outcome: Outcome): void {
    this.taken.then(() => this.lanes.back.send(0, () => this.end(outcome)), this.reject);
  }

  private async arrive(piece: Uint8Array): Promise<void> {
    if (!this.over) {
      clearTimeout(this.timer);
      await this.take(piece);
      this.progressed();
    }
    this.underWay--;
    this.letOn();
  }

  private progressed(): void {
    this.timer = setTimeout(
      () => this.end({ ok: false, reason: "unavailable", detail: "no answer across the link in time" }),
      LIMITS.appendTimeoutMs,
    );
  }

  private end(outcome: Outcome): void {
    clearTimeout(this.timer);
    this.over = true;
    this.letOn();
    this.resolve(outcome);
  }
}
