/**
 * The network and the servers' reachability: delays, retransmissions, cuts in either direction. Rule: a connection keeps its order, as
 * TCP does; different connections overtake each other freely.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Machine, Process } from "./machine.ts";
import { Random } from "./random.ts";
import type { Fired, Settings } from "./settings.ts";

/** A request without an answer is given up after this long. */
const REQUEST_TIMEOUT_MS = 1_000;
const LOCAL_MS = 0.3;
const RETRANSMIT_MS = 200;

/** One server as the network sees it: NATS of one region. */
export interface Peer {
  readonly region: Region;
  up: boolean;
  pausedUntilMs: number;
}

export class Connection {
  readonly process: Process;
  readonly server: Peer;
  lastUpMs = 0;
  lastDownMs = 0;

  constructor(process: Process, server: Peer) {
    this.process = process;
    this.server = server;
  }

  get wan(): boolean {
    return this.process.region !== this.server.region;
  }
}

export class Network {
  readonly machine: Machine;
  readonly settings: Settings;
  readonly fired: Fired;
  /** Directed: "cn>us" means that nothing of cn reaches us. Counted, as cuts may overlap. */
  readonly #cuts = new Map<string, number>();
  readonly #random: Random;
  /** Nothing is lost any more, nor slow. */
  healed = false;
  /** Called when something was cut, healed, stopped or started. */
  changed: () => void = () => undefined;

  constructor(machine: Machine, settings: Settings, fired: Fired) {
    this.machine = machine;
    this.settings = settings;
    this.fired = fired;
    this.#random = new Random(settings.seed, "network");
  }

  cut(from: Region, to: Region): () => void {
    const key = `${from}>${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    this.changed();
    return () => {
      this.#cuts.set(key, (this.#cuts.get(key) ?? 0) - 1);
      this.changed();
    };
  }

  isCut(from: Region, to: Region): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  /** Whether bytes flow both ways and the server serves. */
  flows({ process, server }: Connection): boolean {
    if (!server.up) return false;
    return !this.isCut(process.region, server.region) && !this.isCut(server.region, process.region);
  }

  /** When something sent now arrives: a lost packet costs a retransmission, and all behind it wait. */
  arrivalUp(connection: Connection, extraMs = 0): number {
    connection.lastUpMs = Math.max(
      connection.lastUpMs,
      this.machine.nowMs + this.#delay(connection) + extraMs,
    );
    return connection.lastUpMs;
  }

  arrivalDown(connection: Connection): number {
    connection.lastDownMs = Math.max(connection.lastDownMs, this.machine.nowMs + this.#delay(connection));
    return connection.lastDownMs;
  }

  minimumMs(connection: Connection): number {
    return connection.wan ? this.settings.wanMs : LOCAL_MS;
  }

  #delay(connection: Connection): number {
    let ms = this.minimumMs(connection) * (1 + 0.2 * this.#random.unit());
    const { loss, reorder } = this.settings.mishaps;
    const lost = this.#random.chance(loss);
    const slow = this.#random.chance(reorder);
    const slowMs = this.#random.unit() * 3 * this.settings.wanMs;
    if (this.healed || !connection.wan) return ms;
    if (lost) {
      this.fired.add("loss");
      ms += RETRANSMIT_MS;
    }
    if (slow) {
      this.fired.add("reorder");
      ms += slowMs;
    }
    return ms;
  }

  /**
   * A request to the server. `serve` runs there, if it arrives; `done` gets its answer, or `undefined` when none came in time.
   * `extraMs` holds the request back on its way; `answerLost` loses the answer.
   */
  request<T>(
    connection: Connection,
    serve: () => T,
    done: (answer: T | undefined) => void,
    { extraMs = 0, answerLost = false }: { extraMs?: number; answerLost?: boolean } = {},
  ): void {
    const { machine } = this;
    const { process, server } = connection;
    const timeoutAtMs = machine.nowMs + REQUEST_TIMEOUT_MS;
    const timeOut = (): void => machine.schedule(process, timeoutAtMs, "no answer", () => done(undefined));
    if (this.isCut(process.region, server.region) || !server.up) return timeOut();
    const arrive = (): void => {
      if (!server.up || this.isCut(process.region, server.region)) return timeOut();
      // What the dead had not sent yet dies with their connection.
      if (extraMs > 0 && !process.alive) return;
      if (server.pausedUntilMs > machine.nowMs) {
        machine.schedule(undefined, server.pausedUntilMs, "server resumes", arrive);
        return;
      }
      const answer = serve();
      if (answerLost || this.isCut(server.region, process.region)) return timeOut();
      const backMs = this.arrivalDown(connection);
      if (backMs > timeoutAtMs) return timeOut();
      machine.schedule(process, backMs, "answer", () => done(answer));
    };
    machine.schedule(undefined, this.arrivalUp(connection, extraMs), "request", arrive);
  }
}
