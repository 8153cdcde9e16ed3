/**
 * One standing request for the messages of one JetStream pull consumer.
 * Rule: what the server may still send plus what is held here unprocessed never exceeds the window, asked for by bytes, and more is
 * asked for before it runs dry, so that entries cross a long link with its one-way delay and no round trip each.
 */
import { createInbox, type Msg, type NatsConnection, type Subscription } from "nats";
import { LIMITS } from "../core/limits.ts";
import { fatal } from "./connection.ts";

const KIB = 1024;
const WINDOW_BYTES_MIN = 128 * KIB;
const WINDOW_BYTES_START = 256 * KIB;
const WINDOW_BYTES_MAX = 4 * 1024 * KIB;
/** Room for the largest message with its subject, reply and headers. */
const MESSAGE_BYTES_MAX = LIMITS.frameBytesMax + 16 * KIB;
/** A window that passes in less is too small for the link; one that takes longer would queue seconds of stale data in the server. */
const WINDOW_MS_SHORT = 500;
const WINDOW_MS_LONG = 4_000;

const HEARTBEAT_MS = 1_000;
const TICK_MS = 500;
/** Heartbeats missed for this many ticks: the consumer, the server or the link is gone. */
const SILENT_TICKS_MAX = 6;
const EXPIRES_MS = 120_000;
const NANOS_PER_MS = 1_000_000;
/** Bytes are the bound, never the count. */
const BATCH = 1_000_000;

/** How many bytes to keep on their way: grows while the link empties it quickly, shrinks on a slow link. */
export class PullWindow {
  bytes = WINDOW_BYTES_START;
  #sinceMs = 0;
  #receivedBytes = 0;

  /** Takes note of a message of `size` bytes at `nowMs`; `backlog` if the server has more to send after it. */
  received(size: number, backlog: boolean, nowMs: number): void {
    if (this.#receivedBytes === 0) this.#sinceMs = nowMs;
    this.#receivedBytes += size;
    if (!backlog) this.#receivedBytes = 0;
    if (this.#receivedBytes < this.bytes) return;
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs < WINDOW_MS_SHORT) this.bytes = Math.min(this.bytes * 2, WINDOW_BYTES_MAX);
    else if (tookMs > WINDOW_MS_LONG) this.bytes = Math.max(this.bytes / 2, WINDOW_BYTES_MIN);
    this.#receivedBytes = 0;
  }

  /** The link went silent with the window on its way: begin again with less. */
  lost(): void {
    this.bytes = Math.max(this.bytes / 2, WINDOW_BYTES_MIN);
    this.#receivedBytes = 0;
  }
}

export interface Pulled {
  readonly message: Msg;
  /** Place in the stream. */
  readonly sequence: number;
  /** As the server counts it against the request. */
  readonly size: number;
}

export interface PullHandlers {
  message(pulled: Pulled): void;
  /** The server has nothing more to send at the moment. */
  idle(): void;
  /** The request is dead. Called once; nothing else is called afterwards. */
  failed(detail: string): void;
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.…`; newer servers put `<domain>.<account>` before the stream. */
function parseReply(reply: string): { sequence: number; pending: number } {
  const tokens = reply.split(".");
  const shift = tokens.length === 9 ? 0 : 2;
  return { sequence: Number(tokens[5 + shift]), pending: Number(tokens[8 + shift]) };
}

/** Bytes of the header block as it travelled: a status line, `name: value` lines, an empty line. */
function headerBytes(message: Msg): number {
  if (message.headers === undefined) return 0;
  let bytes = 12;
  for (const [name, values] of message.headers)
    for (const value of values) bytes += name.length + value.length + 4;
  return bytes;
}

export class Pull {
  readonly #client: NatsConnection;
  readonly #nextSubject: string;
  readonly #window: PullWindow;
  readonly #handlers: PullHandlers;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  readonly #ticker: NodeJS.Timeout;
  #requests = 0;
  #openRequests = 0;
  #grantedBytes = 0;
  #heldBytes = 0;
  /** Requests the server ended because the next message did not fit, since the last message. */
  #tooSmall = 0;
  /** The most that was left of one of them. */
  #refusedBytes = 0;
  #silentTicks = 0;
  #done = false;

  constructor(
    client: NatsConnection,
    stream: string,
    consumer: string,
    window: PullWindow,
    handlers: PullHandlers,
  ) {
    this.#client = client;
    this.#nextSubject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#window = window;
    this.#handlers = handlers;
    this.#subscription = client.subscribe(`${this.#inbox}.*`, {
      callback: fatal((error: Error | null, message: Msg) => {
        if (this.#done) return;
        if (error !== null) this.fail(error.message);
        else this.#hear(message);
      }),
    });
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ask();
  }

  /** `size` bytes handed out before have been processed, and so many more may come. */
  processed(size: number): void {
    this.#heldBytes -= size;
    this.#ask();
  }

  fail(detail: string): void {
    if (this.#done) return;
    this.stop();
    this.#handlers.failed(detail);
  }

  stop(): void {
    if (this.#done) return;
    this.#done = true;
    clearInterval(this.#ticker);
    this.#subscription.unsubscribe();
  }

  #ask(): void {
    if (this.#done) return;
    const outstanding = this.#grantedBytes + this.#heldBytes;
    // The end of a request is often too small for the next message. When all requests are, the message is larger than usual.
    const stuck = this.#tooSmall > 0 && (outstanding === 0 || this.#tooSmall > 1);
    const room = this.#window.bytes - outstanding;
    if (!stuck && outstanding > 0 && room < this.#window.bytes / 4) return;
    const bytes = stuck ? Math.max(room, Math.min(2 * this.#refusedBytes, MESSAGE_BYTES_MAX)) : room;
    if (stuck) this.#tooSmall = 0;
    this.#grantedBytes += bytes;
    const request = {
      batch: BATCH,
      max_bytes: bytes,
      expires: EXPIRES_MS * NANOS_PER_MS,
      idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS,
    };
    this.#requests += 1;
    this.#openRequests += 1;
    this.#client.publish(this.#nextSubject, JSON.stringify(request), {
      reply: `${this.#inbox}.${this.#requests}`,
    });
  }

  #hear(message: Msg): void {
    this.#silentTicks = 0;
    const reply = message.reply ?? "";
    if (reply === "") {
      this.#hearStatus(message);
      return;
    }
    const { sequence, pending } = parseReply(reply);
    const size = message.subject.length + reply.length + headerBytes(message) + message.data.length;
    this.#window.received(size, pending > 0, performance.now());
    this.#grantedBytes = Math.max(0, this.#grantedBytes - size);
    this.#heldBytes += size;
    this.#tooSmall = 0;
    this.#refusedBytes = 0;
    this.#handlers.message({ message, sequence, size });
  }

  /** 100 heartbeat · 408 expired and 409 too small: ask again · all else: the consumer, its stream or its leader is gone. */
  #hearStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? "";
    if (code === 100) {
      this.#handlers.idle();
      return;
    }
    const tooSmall = code === 409 && /exceeds maxbytes/i.test(description);
    if (code !== 408 && !tooSmall) {
      this.fail(`${code} ${description}`.trim());
      return;
    }
    const unusedBytes = Number(message.headers?.get("Nats-Pending-Bytes") ?? "");
    if (tooSmall) {
      this.#tooSmall += 1;
      this.#refusedBytes = Math.max(this.#refusedBytes, unusedBytes);
    }
    this.#openRequests -= 1;
    this.#grantedBytes = this.#openRequests <= 0 ? 0 : Math.max(0, this.#grantedBytes - unusedBytes);
    this.#ask();
  }

  /** Counts ticks and not time: a process that was itself stalled has heard nothing, and that proves nothing. */
  #tick(): void {
    this.#silentTicks = this.#grantedBytes > 0 ? this.#silentTicks + 1 : 0;
    if (this.#silentTicks > SILENT_TICKS_MAX)
      this.fail(`nothing heard for ${(SILENT_TICKS_MAX * TICK_MS) / 1000} s`);
  }
}
