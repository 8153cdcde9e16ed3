/**
 * One direction of a simulated WAN link: things put in come out in order, one-way delay later, at no more than the line rate.
 * Rule: order is kept whatever changes meanwhile; a cut lane holds everything, and releases it one delay after healing, the way
 * packets lost on a dead line arrive once they are sent again; a lost packet holds up what was sent after it. One queue and one timer
 * per lane, however much travels. Bytes arrive as they were put in, but for one bit where a flip was asked for.
 */
import { performance } from "node:perf_hooks";

interface Item {
  dueMs: number;
  readonly bytes: number;
  readonly arrive: () => void;
}

/** Where to flip a bit: `behind` bytes after the next `marker`. */
interface Flip {
  readonly marker: Uint8Array;
  readonly behind: number;
}

/** Payload of a full TCP segment on Ethernet. */
const PACKET_BYTES = 1_448;
/** Consumed entries at the front of the queue before it is compacted. */
const COMPACT_AT = 1_024;

export class Lane {
  private items: Item[] = [];
  private next = 0;
  private timer: NodeJS.Timeout | undefined;
  private delayMs: number;
  private readonly bytesPerSecond: number;
  private readonly random: () => number;
  private isCut = false;
  private lastDueMs = 0;
  private lineFreeMs = 0;
  private lossRatio = 0;
  private resendMs = 0;
  private queuedBytes = 0;
  private arrivedBytes = 0;
  private flip: Flip | undefined;

  /** `bytesPerSecond` may be `Infinity`; `random` is uniform in [0, 1). */
  constructor(delayMs: number, bytesPerSecond: number, random: () => number = Math.random) {
    this.delayMs = delayMs;
    this.bytesPerSecond = bytesPerSecond;
    this.random = random;
  }

  /** Bytes on their way or held by a cut. */
  get heldBytes(): number {
    return this.queuedBytes;
  }

  /** Bytes that have come out at the far end. */
  get carriedBytes(): number {
    return this.arrivedBytes;
  }

  get cut(): boolean {
    return this.isCut;
  }

  /** Calls `arrive` when `bytes` bytes put in now reach the far end. */
  send(bytes: number, arrive: () => void): void {
    const now = performance.now();
    this.lineFreeMs = Math.max(now, this.lineFreeMs) + (bytes * 1_000) / this.bytesPerSecond;
    const resentMs = this.isLost(bytes) ? this.resendMs : 0;
    this.lastDueMs = Math.max(this.lastDueMs, this.lineFreeMs + this.delayMs + resentMs);
    this.queuedBytes += bytes;
    this.items.push({ dueMs: this.lastDueMs, bytes, arrive });
    this.arm();
  }

  /** Holds for what is put in from now on; what is on its way keeps its time. */
  setDelay(delayMs: number): void {
    this.delayMs = delayMs;
  }

  /**
   * From now on each packet is lost with this probability, and sent again `resendMs` later; the second time it arrives. Whatever
   * connection it belongs to, all that follows waits for it, which is harsher than TCP.
   */
  setLoss(ratio: number, resendMs: number): void {
    this.lossRatio = ratio;
    this.resendMs = resendMs;
  }

  /**
   * Flips one bit, once: in the byte that follows the next `marker` put in by `behind` bytes, where both are put in together. It is what a
   * line does to a packet when its checksum does not notice.
   */
  flipOnce(marker: Uint8Array, behind: number): void {
    this.flip = { marker, behind };
  }

  /** Whether a flip that was asked for has still to happen. */
  get flipPending(): boolean {
    return this.flip !== undefined;
  }

  /** These bytes as they arrive at the far end. */
  carried(bytes: Buffer): Buffer {
    if (this.flip === undefined) return bytes;
    const { marker, behind } = this.flip;
    const at = bytes.indexOf(marker);
    const byte = bytes[at + behind];
    if (at < 0 || byte === undefined) return bytes;
    this.flip = undefined;
    const damaged = Buffer.from(bytes);
    damaged[at + behind] = byte ^ 1;
    return damaged;
  }

  setCut(cut: boolean): void {
    if (cut === this.isCut) return;
    this.isCut = cut;
    if (cut) this.disarm();
    else this.resend();
  }

  /** Forgets everything that has not arrived. */
  close(): void {
    this.disarm();
    this.items = [];
    this.next = 0;
    this.queuedBytes = 0;
  }

  /** After a cut everything held is sent again from the near end. */
  private resend(): void {
    this.lineFreeMs = performance.now();
    this.lastDueMs = 0;
    for (let i = this.next; i < this.items.length; i++) {
      const item = this.items[i];
      if (item === undefined) continue;
      this.lineFreeMs += (item.bytes * 1_000) / this.bytesPerSecond;
      item.dueMs = this.lineFreeMs + this.delayMs;
      this.lastDueMs = item.dueMs;
    }
    this.arm();
  }

  /** Whether one of the packets that carry `bytes` is lost. */
  private isLost(bytes: number): boolean {
    if (this.lossRatio === 0) return false;
    const packets = Math.max(1, Math.ceil(bytes / PACKET_BYTES));
    return this.random() >= (1 - this.lossRatio) ** packets;
  }

  private arm(): void {
    const first = this.items[this.next];
    if (first === undefined || this.isCut || this.timer !== undefined) return;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.release();
      },
      Math.max(0, Math.ceil(first.dueMs - performance.now())),
    );
  }

  private disarm(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private release(): void {
    const now = performance.now();
    while (!this.isCut) {
      const item = this.items[this.next];
      if (item === undefined || item.dueMs > now) break;
      this.next++;
      this.queuedBytes -= item.bytes;
      this.arrivedBytes += item.bytes;
      item.arrive();
    }
    this.compact();
    this.arm();
  }

  private compact(): void {
    if (this.next < COMPACT_AT && this.next < this.items.length) return;
    this.items = this.items.slice(this.next);
    this.next = 0;
  }
}
