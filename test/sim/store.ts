/**
 * The log port (`replicator/log/port.ts`) of one process towards one server of the simulation. Rule: it keeps what the port promises and
 * no more; what the port leaves open (an unanswered append, entries read again, a reader that stands still) happens as the seed says.
 */
import type { Position, Region } from "../../replicator/core/commands.ts";
import type {
  AppendResult,
  CopyLog,
  Entry,
  Extent,
  LogStore,
  OpenFailure,
  Opened,
  OriginLog,
  ReadHandlers,
  Reader,
} from "../../replicator/log/port.ts";
import { Connection } from "./network.ts";
import type { Process } from "./machine.ts";
import { StreamReader } from "./reader.ts";
import type { Server, Stream } from "./servers.ts";
import type { World } from "./world.ts";

const APPEND_LATE_MS = 3_000;
const UNANSWERED = { ok: false, reason: "unavailable", detail: "no answer" } as const;

export class SimStore implements LogStore {
  readonly #world: World;
  readonly #process: Process;
  readonly #server: Server;
  readonly #connection: Connection;

  constructor(world: World, process: Process, server: Server) {
    this.#world = world;
    this.#process = process;
    this.#server = server;
    this.#connection = new Connection(process, server);
  }

  connected(): boolean {
    return this.#server.up;
  }

  describe(): string {
    return `simulated ${this.#server.region}`;
  }

  async openLog(region: Region, _options: { create: boolean }): Promise<Opened<OriginLog>> {
    const answer = await this.#ask(() => true);
    if (answer === undefined) return UNANSWERED;
    const stream = this.#server.log;
    return {
      ok: true,
      log: {
        region,
        logId: stream.logId,
        extent: () => this.#extent(stream),
        read: (from, handlers) => this.#read(stream, from, handlers),
        append: (bytes, messageId) => this.#append(stream, bytes, messageId),
      },
    };
  }

  async openCopy(origin: Region, { create }: { create: boolean }): Promise<Opened<CopyLog>> {
    const stream = this.#server.copy(origin);
    const answer = await this.#ask(() => {
      if (create) stream.made = true;
      return stream.made;
    });
    if (answer === undefined) return UNANSWERED;
    if (!answer) return { ok: false, reason: "absent", detail: "no such copy" };
    return {
      ok: true,
      log: {
        region: origin,
        extent: () => this.#extent(stream),
        read: (from, handlers) => this.#read(stream, from, handlers),
        checkpoint: () => this.#checkpoint(stream),
        append: (entry, fence) => this.#appendCopy(origin, stream, entry, fence),
      },
    };
  }

  announce(_topic: string, payload: Uint8Array): void {
    const { machine, network } = this.#world;
    const copy = payload.slice();
    const arrivesMs = network.arrivalUp(this.#connection);
    if (!this.#server.up || this.#server.pausedUntilMs > arrivesMs) return;
    for (const { process, handler } of this.#server.listeners()) {
      machine.schedule(process, arrivesMs, "hears", () => handler(copy));
    }
  }

  listen(_topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.#server.listen(this.#process, handler);
  }

  onConnection(): void {
    // Nobody asks for it today.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #ask<T>(serve: () => T): Promise<T | undefined> {
    return new Promise((resolve) => this.#world.network.request(this.#connection, serve, resolve));
  }

  async #extent(
    stream: Stream,
  ): Promise<{ ok: true; extent: Extent } | { ok: false; reason: OpenFailure; detail: string }> {
    const extent = await this.#ask(() => ({ logId: stream.logId, first: stream.first, head: stream.last }));
    return extent === undefined ? UNANSWERED : { ok: true, extent };
  }

  async #checkpoint(
    stream: Stream,
  ): Promise<
    | { ok: true; logId: string; position: Position; sequence: number }
    | { ok: false; reason: OpenFailure; detail: string }
  > {
    const answer = await this.#ask(() => {
      const last = stream.entries.at(-1);
      return { logId: last?.logId ?? "", position: last?.position ?? 0, sequence: stream.last };
    });
    return answer === undefined ? UNANSWERED : { ok: true, ...answer };
  }

  #read(stream: Stream, from: Position, handlers: ReadHandlers): Reader {
    return new StreamReader(this.#world, this.#connection, stream, from, handlers);
  }

  #append(stream: Stream, bytes: Uint8Array, messageId: string): Promise<AppendResult> {
    const { machine, network, mishap, bugs } = this.#world;
    const kept = bytes.slice();
    const requestLost = mishap("request-lost");
    const late = mishap("append-late");
    const answerLost = mishap("ack-lost");
    const store = (): AppendResult => {
      const known = stream.duplicateOf(messageId, machine.nowMs);
      if (known !== undefined && !mishap("message-id-forgotten")) {
        return { ok: true, position: known, duplicate: true };
      }
      if (bugs.ackBeforeApply && this.#world.bugRandom.chance(0.05)) {
        return { ok: true, position: stream.last + 1, duplicate: false };
      }
      const position = stream.append(
        { position: stream.last + 1, logId: stream.logId, bytes: kept },
        machine.nowMs,
      );
      stream.remember(messageId, machine.nowMs, position);
      machine.note(position);
      this.#world.appended(this.#server.region, position, kept);
      return { ok: true, position, duplicate: false };
    };
    return new Promise((resolve) => {
      const done = (result: AppendResult | undefined): void => resolve(result ?? UNANSWERED);
      if (requestLost) machine.after(this.#process, 1_000, "request lost", () => done(undefined));
      else network.request(this.#connection, store, done, { extraMs: late ? APPEND_LATE_MS : 0, answerLost });
    });
  }

  #appendCopy(origin: Region, stream: Stream, entry: Entry, fence: number): Promise<AppendResult> {
    const { machine, network, bugs } = this.#world;
    const store = (): AppendResult => {
      if (stream.last !== fence && !bugs.dropFencing) {
        return { ok: false, reason: "fenced", detail: `the last sequence is ${stream.last}, not ${fence}` };
      }
      const position = stream.append(entry, machine.nowMs);
      machine.note(position);
      this.#world.copied(this.#server.region, origin, entry, position);
      return { ok: true, position, duplicate: false };
    };
    const answerLost = this.#world.mishap("ack-lost");
    return new Promise((resolve) => {
      network.request(this.#connection, store, (result) => resolve(result ?? UNANSWERED), { answerLost });
    });
  }
}
