/**
 * The log port (`replicator/log/port.ts`) of one process towards one server of the simulation. Rule: it keeps what the port promises and
 * no more; what the port leaves open (an unanswered append, entries read again, a reader that stands still) happens as the seed says.
 */
import type { LogId, Region } from "../../replicator/core/commands.ts";
import type {
  ConnectionHandler,
  CopyLog,
  LogStore,
  Opened,
  OriginLog,
  SnapshotStore,
} from "../../replicator/log/port.ts";
import { SimCopyLog, SimOriginLog, UNANSWERED } from "./logs.ts";
import { Connection } from "./network.ts";
import type { Process } from "./machine.ts";
import type { Server } from "./servers.ts";
import { snapshotStore } from "./snapshots.ts";
import type { World } from "./world.ts";

export class SimStore implements LogStore {
  readonly world: World;
  readonly server: Server;
  readonly connection: Connection;
  /** Counts the connections made: what was proven over an earlier one is unproven. */
  connects = 0;
  #connected: boolean;
  /** The handle opened last: proven at once after a reconnect, the others when they are used. */
  #newest: SimOriginLog | undefined;
  readonly #handlers: ConnectionHandler[] = [];

  constructor(world: World, process: Process, server: Server) {
    this.world = world;
    this.server = server;
    this.connection = new Connection(process, server);
    this.#connected = server.up;
    world.stores.add(this);
  }

  connected(): boolean {
    return this.server.up;
  }

  describe(): string {
    return `simulated ${this.server.region}`;
  }

  /** The server stopped or started. */
  pathChanged(): void {
    if (!this.connection.process.alive) return void this.world.stores.delete(this);
    if (this.#connected === this.server.up) return;
    this.#connected = this.server.up;
    if (!this.#connected) this.#newest?.disconnected();
    this.world.machine.after(this.connection.process, 0, "connection", () => {
      if (this.#connected) this.#newest?.check();
      for (const handler of this.#handlers) handler(this.#connected, this.#connected ? "connected" : "lost");
    });
    if (this.#connected) this.connects += 1;
  }

  async openLog(region: Region, { create }: { create: boolean }): Promise<Opened<OriginLog>> {
    return this.#opened(
      region,
      await this.ask(() => {
        if (create) this.server.create();
        const { log } = this.server;
        return { logId: log.exists ? log.logId : "", proven: this.server.proofs.get(log.logId) === "proven" };
      }),
    );
  }

  async renewLog(region: Region, replaced: LogId): Promise<Opened<OriginLog>> {
    return this.#opened(
      region,
      await this.ask(() => {
        if (this.server.log.logId === replaced) this.server.deleteLog();
        this.server.create();
        const { logId } = this.server.log;
        return { logId, proven: this.server.proofs.get(logId) === "proven" };
      }),
    );
  }

  async openCopy(origin: Region, { create }: { create: boolean }): Promise<Opened<CopyLog>> {
    const found = await this.ask(() => {
      const copy = this.server.copy(origin);
      if (create && !copy.exists) {
        copy.exists = true;
        copy.wake();
      }
      return { making: copy.making, exists: copy.exists, sealed: this.server.seals.get(origin) };
    });
    if (found === undefined) return UNANSWERED;
    if (!found.exists) return { ok: false, reason: "absent", detail: "no such copy" };
    return { ok: true, log: new SimCopyLog(this, origin, found) };
  }

  snapshots(): SnapshotStore {
    return snapshotStore(this.server.snapshots, (serve) => this.ask(serve));
  }

  announce(topic: string, payload: Uint8Array): void {
    const { machine, network } = this.world;
    const { process } = this.connection;
    const copy = payload.slice();
    const arrivesMs = network.arrivalUp(this.connection);
    if (!this.server.up || this.server.pausedUntilMs > arrivesMs) return;
    if (network.isCut(process.region, this.server.region)) return;
    for (const listener of this.server.listeners(topic)) {
      machine.schedule(listener.process, arrivesMs, "hears", () => listener.handler(copy));
    }
  }

  listen(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.server.listen({ process: this.connection.process, topic, handler });
  }

  onConnection(handler: ConnectionHandler): void {
    this.#handlers.push(handler);
  }

  close(): Promise<void> {
    this.world.stores.delete(this);
    return Promise.resolve();
  }

  /** A request to the server; no answer in time is `undefined`. */
  ask<T>(serve: () => T): Promise<T | undefined> {
    return new Promise((resolve) => this.world.network.request(this.connection, serve, resolve));
  }

  #opened(
    region: Region,
    answer: { readonly logId: LogId; readonly proven: boolean } | undefined,
  ): Opened<OriginLog> {
    if (answer === undefined) return UNANSWERED;
    const { logId, proven } = answer;
    if (logId === "") return { ok: false, reason: "absent", detail: "no such log" };
    if (this.#newest?.logId !== logId) this.#newest = new SimOriginLog(this, region, logId, proven);
    return { ok: true, log: this.#newest };
  }
}
