/**
 * Group commit to the region's log: commands gather for a few milliseconds or 64 KiB and become one frame; one frame is under way at
 * a time, so frames stand in the log in the order they were made. Rule: a frame whose outcome is unknown is retried with the same
 * message id, before anything later, until it is answered or its id might be forgotten by the server; a frame never sent is given
 * back to its callers as not done. A frame is for one log: when another takes its place, or the log is taken away, what is left for the old
 * one is given up.
 */
import { randomBytes } from "node:crypto";
import { assert } from "../../replicator/core/assert.ts";
import type { Command, LogId, Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { OriginLog } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { FrameWriter } from "../../replicator/wire/frame-writer.ts";

export type AppendOutcome =
  | { readonly ok: true; readonly logId: LogId; readonly position: Position }
  | {
      readonly ok: false;
      /** All but `unanswered` say that it is not done, and never will be. */
      readonly reason: "unavailable" | "unanswered" | "overloaded" | "rejected" | "not-ready";
      readonly detail: string;
    };

type Failure = Extract<AppendOutcome, { ok: false }>;

interface Batch {
  readonly log: OriginLog;
  readonly bytes: Uint8Array;
  readonly commands: number;
  readonly messageId: string;
  readonly madeAtMs: number;
  readonly settle: ((outcome: AppendOutcome) => void)[];
}

interface Open {
  readonly log: OriginLog;
  readonly madeAtMs: number;
  readonly settle: ((outcome: AppendOutcome) => void)[];
}

/** The server forgets message ids after two minutes: from then on a retry could be stored twice. */
const RETRY_FOR_MS = 90_000;
const RETRY_PAUSE_MS = 100;

export class Appender {
  readonly stats = { frames: 0, commands: 0, failures: new Map<string, number>() };
  readonly #region: Region;
  readonly #node: string;
  readonly #clock: Clock;
  readonly #connected: () => boolean;
  readonly #writer = new FrameWriter();
  readonly #sealed: Batch[] = [];
  /** Message ids differ between lives of a node. */
  readonly #life = randomBytes(6).toString("base64url");
  #log: OriginLog | undefined;
  /** Why there is no log to append to, where it was taken away. */
  #withdrawn: string | undefined;
  #open: Open | undefined;
  #sealedBytes = 0;
  #made = 0;
  #sending = false;
  #stopped = false;
  /** Since when, by the monotonic clock, nothing could be appended; 0 while appends succeed. */
  #failingSinceMs = 0;
  #wake: (() => void) | undefined;

  constructor(options: { region: Region; node: string; clock: Clock; connected: () => boolean }) {
    this.#region = options.region;
    this.#node = options.node;
    this.#clock = options.clock;
    this.#connected = options.connected;
  }

  /** From now on this is the region's log. */
  use(log: OriginLog): void {
    if (this.#log?.logId !== log.logId) this.#seal();
    this.#log = log;
    this.#withdrawn = undefined;
    this.#wake?.();
  }

  /**
   * Nothing is appended from now on, until there is a log to use. What was never sent is not done; nobody can say what will become of a
   * frame under way, stored or not.
   */
  withdraw(detail: string): void {
    this.#withdrawn = detail;
    this.#log = undefined;
    this.#failingSinceMs = 0;
    this.#seal();
    for (const batch of this.#sealed.splice(0)) settle(batch, this.#failed("not-ready", detail));
    this.#sealedBytes = 0;
    this.#wake?.();
  }

  /** Why the region's log was taken away; nothing where it was not. */
  get withdrawn(): string | undefined {
    return this.#withdrawn;
  }

  /** There is nothing known against an append. */
  canAppend(): boolean {
    return this.#withdrawn === undefined && this.#failingSinceMs === 0;
  }

  get queuedBytes(): number {
    return this.#sealedBytes + (this.#open === undefined ? 0 : this.#writer.byteLength);
  }

  /** How long the frame at the head has been failing, in milliseconds; 0 while appends succeed. */
  failingMs(): number {
    return this.#failingSinceMs === 0 ? 0 : this.#clock().monoMs - this.#failingSinceMs;
  }

  /** Appends the commands next to each other, in one frame where they fit. Settles when the last of them is in the log, or cannot be. */
  append(commands: readonly Command[]): Promise<AppendOutcome> {
    assert(commands.length > 0, "an append has commands");
    const log = this.#log;
    if (this.#withdrawn !== undefined) return Promise.resolve(this.#failed("not-ready", this.#withdrawn));
    if (log === undefined || !this.#connected() || this.#stopped) {
      return Promise.resolve(this.#failed("unavailable", "the region's NATS cannot be reached"));
    }
    if (this.queuedBytes > LIMITS.appendQueueBytesMax) {
      return Promise.resolve(this.#failed("overloaded", `${this.queuedBytes} bytes wait to be appended`));
    }
    return new Promise((resolve) => {
      for (const command of commands) this.#add(log, command);
      this.#open?.settle.push(resolve);
      if (this.#writer.byteLength >= LIMITS.frameBytesTarget) this.#seal();
      this.#pump();
    });
  }

  /** Gives up what is queued. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  #add(log: OriginLog, command: Command): void {
    if (this.#open === undefined) this.#begin(log);
    if (this.#writer.add(command) === "added") return;
    this.#seal();
    this.#begin(log);
    this.#writer.add(command);
  }

  #begin(log: OriginLog): void {
    const { monoMs, wallMs } = this.#clock();
    this.#open = { log, madeAtMs: monoMs, settle: [] };
    this.#writer.begin({ region: this.#region, logId: log.logId, node: this.#node, committedAtMs: wallMs });
  }

  #seal(): void {
    if (this.#open === undefined) return;
    this.#made += 1;
    const commands = this.#writer.commandCount;
    const bytes = this.#writer.finish();
    this.#sealed.push({
      ...this.#open,
      bytes,
      commands,
      messageId: `${this.#node}.${this.#life}.${this.#made}`,
    });
    this.#sealedBytes += bytes.byteLength;
    this.#open = undefined;
  }

  #pump(): void {
    if (this.#sending) return;
    this.#sending = true;
    // Nothing in the loop throws but a broken invariant; then the rejection, handled nowhere, ends the process.
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#open !== undefined || this.#sealed.length > 0) {
      if (this.#sealed.length === 0) {
        const leftMs = LIMITS.frameLingerMs - (this.#clock().monoMs - (this.#open?.madeAtMs ?? 0));
        if (leftMs > 0) await this.#pause(leftMs);
        if (this.#sealed.length === 0) this.#seal();
      }
      const batch = this.#sealed.shift();
      if (batch === undefined) break;
      this.#sealedBytes -= batch.bytes.byteLength;
      await this.#deliver(batch);
    }
    this.#sending = false;
  }

  async #deliver(batch: Batch): Promise<void> {
    const { log } = batch;
    for (;;) {
      if (this.#log?.logId !== log.logId)
        return this.#giveUp(batch, this.#withdrawn ?? `log ${log.logId} was replaced`);
      const result = await log.append(batch.bytes, batch.messageId);
      if (this.#withdrawn !== undefined) return this.#giveUp(batch, this.#withdrawn);
      if (result.ok) {
        this.#failingSinceMs = 0;
        this.stats.frames += 1;
        this.stats.commands += batch.commands;
        settle(batch, { ok: true, logId: log.logId, position: result.position });
        return;
      }
      const { monoMs } = this.#clock();
      if (this.#failingSinceMs === 0) this.#failingSinceMs = monoMs;
      const waitedMs = monoMs - batch.madeAtMs;
      if (result.reason === "rejected") {
        settle(batch, this.#failed("rejected", result.detail));
        return;
      }
      if (waitedMs > LIMITS.appendTimeoutMs || this.#stopped) {
        this.#giveUp(batch, result.detail);
        this.#giveBack(monoMs);
      }
      if (this.#stopped) return;
      await this.#pause(RETRY_PAUSE_MS);
      // Its age counts at the moment of sending: the process may have stood still meanwhile.
      if (this.#clock().monoMs - batch.madeAtMs > RETRY_FOR_MS) {
        return this.#giveUp(batch, result.detail);
      }
    }
  }

  /** Tells the callers, if they still wait, that nobody knows what became of it. */
  #giveUp(batch: Batch, detail: string): void {
    if (batch.settle.length > 0) settle(batch, this.#failed("unanswered", detail));
  }

  /** Frames that were never sent and are past their time are not done, and never will be. */
  #giveBack(monoMs: number): void {
    this.#seal();
    while (this.#sealed.length > 0) {
      const [batch] = this.#sealed;
      if (batch === undefined || (monoMs - batch.madeAtMs <= LIMITS.appendTimeoutMs && !this.#stopped))
        return;
      this.#sealed.shift();
      this.#sealedBytes -= batch.bytes.byteLength;
      settle(batch, this.#failed("unavailable", "not appended in time"));
    }
  }

  #failed(reason: Failure["reason"], detail: string): Failure {
    this.stats.failures.set(reason, (this.stats.failures.get(reason) ?? 0) + 1);
    return { ok: false, reason, detail };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      this.#wake = done;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }
}

/** Tells every caller, once. */
function settle(batch: Batch, outcome: AppendOutcome): void {
  for (const resolve of batch.settle.splice(0)) resolve(outcome);
}
