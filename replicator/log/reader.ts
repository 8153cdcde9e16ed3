/**
 * Reads one JetStream stream as a log, for ever: across reconnects, server restarts and vanished consumers.
 * Rule: positions are handed out in order, each once, none skipped; what cannot be continued so is `broken`, never guessed. After an
 * interruption the newest is handed out again: a server that lost the end of a log may have another entry there.
 */
import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Msg } from "nats";
import type { LogId, Position } from "../core/commands.ts";
import type { Connection } from "./connection.ts";
import type { BrokenReason, Entry, ReadHandlers, Reader } from "./port.ts";
import { Pull, PullWindow, type Pulled } from "./pull.ts";

/** A consumer left behind by a lost connection disappears after this long. */
const INACTIVE_NANOS = 30_000 * 1_000_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;
const OFFLINE_CHECK_MS = 60_000;

export interface Progress {
  /** Position of the next entry to hand out; that of `delivered` is handed out again before it if it is held. */
  readonly wanted: Position;
  /** Identity of the log so far; empty while unknown. */
  readonly logId: LogId;
  /** Newest position handed out; 0 before the first. */
  readonly delivered: Position;
}

export type Plan =
  /** `again`: with the one that was handed out last. */
  | { readonly kind: "start"; readonly sequence: number; readonly again: boolean }
  | { readonly kind: "wait"; readonly detail: string }
  | { readonly kind: "broken"; readonly reason: BrokenReason; readonly detail: string };

/** What differs between the log and a copy of it. */
export interface Source {
  readonly stream: string;
  /** Looks at the stream and says where in it to go on, or why not. */
  plan(progress: Progress): Promise<Plan>;
  /** The entry in a message, or what is wrong with it. */
  decode(message: Msg, sequence: number): Entry | string;
}

let readersStarted = 0;

export class LogReader implements Reader {
  readonly #connection: Connection;
  readonly #source: Source;
  readonly #handlers: ReadHandlers;
  readonly #window = new PullWindow();
  readonly #unhook: () => void;
  readonly #ended: Promise<void>;
  #wanted: Position;
  #delivered: Position = 0;
  #logId: LogId = "";
  #stopped = false;
  #interrupted = false;
  /** The position before which a gap was seen once already; a second look decides. */
  #gapAt: Position = 0;
  #failures = 0;
  #pull: Pull | undefined;
  #queue: Pulled[] = [];
  #cursor = 0;
  #busy = false;
  #wake: () => void = () => undefined;

  constructor(connection: Connection, source: Source, from: Position, handlers: ReadHandlers) {
    this.#connection = connection;
    this.#source = source;
    this.#handlers = handlers;
    this.#wanted = Math.max(1, from);
    this.#unhook = connection.onChange((connected, detail) => {
      if (!connected) this.#pull?.fail(detail);
      this.#failures = 0;
      this.#wake();
    });
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#halt();
    await this.#ended;
  }

  #halt(): void {
    this.#stopped = true;
    this.#unhook();
    this.#pull?.fail("stopped");
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const detail = await this.#attempt();
      if (this.#stopped) return;
      this.#interrupt(detail);
      const backoffMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
      this.#failures += 1;
      const waitMs = this.#connection.connected() ? backoffMs * (0.5 + Math.random() / 2) : OFFLINE_CHECK_MS;
      await this.#sleep(waitMs);
    }
  }

  /** Reads until something ends it, and returns what. */
  async #attempt(): Promise<string> {
    if (!this.#connection.connected()) return "not connected";
    const next = Math.max(this.#wanted, this.#delivered + 1);
    const plan = await this.#source.plan({ wanted: next, logId: this.#logId, delivered: this.#delivered });
    if (this.#stopped) return "stopped";
    if (plan.kind === "broken") return this.#break(plan.reason, plan.detail);
    if (plan.kind === "wait") return plan.detail;
    this.#wanted = plan.again ? this.#delivered : next;
    const { stream } = this.#source;
    readersStarted += 1;
    const consumer = `reader_${process.pid}_${readersStarted}_${Math.random().toString(36).slice(2, 10)}`;
    const created = await this.#connection.api<ConsumerInfo>(`CONSUMER.CREATE.${stream}.${consumer}`, {
      stream_name: stream,
      action: "create",
      config: {
        name: consumer,
        deliver_policy: "by_start_sequence",
        opt_start_seq: plan.sequence,
        ack_policy: "none",
        max_deliver: 1,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE_NANOS,
      },
    });
    if (!created.ok) return created.detail;
    const why = await this.#pullUntilFailed(consumer, created.value.num_pending === 0);
    // Best effort: what cannot be deleted now goes by itself after INACTIVE_NANOS.
    const deleted = this.#connection.api(`CONSUMER.DELETE.${stream}.${consumer}`, {});
    if (this.#stopped) await deleted;
    return why;
  }

  #pullUntilFailed(consumer: string, atEnd: boolean): Promise<string> {
    return new Promise((resolve) => {
      const client = this.#connection.client();
      if (client === undefined || this.#stopped) {
        resolve("not connected");
        return;
      }
      this.#queue = [];
      this.#cursor = 0;
      this.#pull = new Pull(client, this.#source.stream, consumer, this.#window, {
        message: (pulled) => {
          this.#queue.push(pulled);
          this.#pump();
        },
        idle: () => this.#flowing(),
        failed: (detail) => {
          this.#window.lost();
          this.#pull = undefined;
          this.#queue = [];
          this.#cursor = 0;
          resolve(detail);
        },
      });
      if (atEnd) this.#flowing();
    });
  }

  /** Hands out what is queued until the handler asks to wait. */
  #pump(): void {
    while (!this.#busy && this.#pull !== undefined) {
      const pulled = this.#queue[this.#cursor];
      if (pulled === undefined) break;
      this.#cursor += 1;
      const pull = this.#pull;
      const waiting = this.#take(pulled);
      if (waiting === undefined) pull.processed(pulled.size);
      else this.#waitFor(waiting, pull, pulled.size);
    }
    if (this.#cursor === this.#queue.length && this.#cursor > 0) {
      this.#queue = [];
      this.#cursor = 0;
    }
  }

  /** A rejected promise breaks the rule of the port; it stays unhandled and ends the process. */
  #waitFor(waiting: Promise<void>, pull: Pull, size: number): void {
    this.#busy = true;
    void waiting.then(() => {
      this.#busy = false;
      pull.processed(size);
      return this.#pump();
    });
  }

  #take({ message, sequence }: Pulled): Promise<void> | undefined {
    const entry = this.#source.decode(message, sequence);
    if (typeof entry === "string") {
      this.#break("malformed", entry);
      return undefined;
    }
    if (this.#logId !== "" && entry.logId !== this.#logId) {
      this.#break("identity-changed", `entry ${entry.position} is of log ${entry.logId}, not ${this.#logId}`);
      return undefined;
    }
    // Servers before 2.11 start at their end when asked to start beyond it.
    if (entry.position < this.#wanted) return undefined;
    if (entry.position > this.#wanted) return this.#gap(entry.position);
    this.#logId = entry.logId;
    this.#delivered = entry.position;
    this.#wanted = entry.position + 1;
    this.#flowing();
    return this.#stopped ? undefined : (this.#handlers.entry(entry) ?? undefined);
  }

  #gap(position: Position): undefined {
    if (this.#gapAt === this.#wanted)
      this.#break("missing", `wanted ${this.#wanted}, the next held is ${position}`);
    this.#gapAt = this.#wanted;
    this.#pull?.fail(`wanted ${this.#wanted}, got ${position}`);
    return undefined;
  }

  #flowing(): void {
    this.#failures = 0;
    if (!this.#interrupted || this.#stopped) return;
    this.#interrupted = false;
    this.#handlers.resumed();
  }

  #interrupt(detail: string): void {
    if (this.#interrupted) return;
    this.#interrupted = true;
    this.#handlers.interrupted(detail);
  }

  #break(reason: BrokenReason, detail: string): string {
    if (!this.#stopped) {
      this.#halt();
      this.#handlers.broken(reason, detail);
    }
    return detail;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
