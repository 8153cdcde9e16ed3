/**
 * The network and the servers' reachability: delays, retransmissions, cuts in either direction. Rule: a connection keeps its order, as
 * TCP does; different connections overtake each other freely.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Machine, Process } from "./machine.ts";
import { Random } from "./random.ts";
import type { FaultKind, Fired, Settings } from "./settings.ts";

/** A request without an answer is given up after this long. */
const REQUEST_TIMEOUT_MS = 1_000;
const LOCAL_MS = 0.3;
const RETRANSMIT_MS = 200;

/** One server as the network sees it: NATS of one region. */
export interface Peer {
  readonly region: Region;
  up: boolean;
  /** How often it was stopped: what was on its way to it then never arrives. */
  readonly stops: number;
  pausedUntilMs: number;
  /** What reached it while it was paused. */
  readonly held: (() => void)[];
  /** Readers that it serves again when it goes on. */
  readonly halted: (() => void)[];
}

interface Mishaps {
  /** Held back on its way for so long. */
  readonly extraMs?: number;
  readonly answerLost?: boolean;
  readonly requestLost?: boolean;
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
  /** Directed, from → to: nothing of the one reaches the other. Counted, as cuts may overlap. */
  readonly #cuts = new Map<Region, Map<Region, number>>();
  readonly #random: Random;
  /** Until when a process waits for something of its own that is held back on its way, and for all that it sent after that. */
  readonly heldBackMs = new Map<Process, number>();
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
    const cuts = this.#cuts.get(from) ?? new Map<Region, number>();
    this.#cuts.set(from, cuts);
    cuts.set(to, (cuts.get(to) ?? 0) + 1);
    this.changed();
    return () => {
      cuts.set(to, (cuts.get(to) ?? 0) - 1);
      this.changed();
    };
  }

  pause(server: Peer, ms: number): void {
    server.pausedUntilMs = this.machine.nowMs + ms;
    this.machine.after(undefined, ms, "server resumes", () => {
      if (server.pausedUntilMs <= this.machine.nowMs) this.resume(server);
    });
  }

  resume(server: Peer): void {
    server.pausedUntilMs = 0;
    for (const run of [...server.held.splice(0), ...server.halted.splice(0)])
      this.machine.schedule(undefined, this.machine.nowMs, "server resumes", run);
  }

  isCut(from: Region, to: Region): boolean {
    return (this.#cuts.get(from)?.get(to) ?? 0) > 0;
  }

  /** Whether bytes flow both ways and the server serves. */
  flows({ process, server }: Connection): boolean {
    if (!server.up) return false;
    return !this.isCut(process.region, server.region) && !this.isCut(server.region, process.region);
  }

  /** When something sent now arrives: a lost packet costs a retransmission, and all behind it wait. */
  arrivalUp(connection: Connection, extraMs = 0): number {
    connection.lastUpMs = this.#arrival(connection, connection.lastUpMs, extraMs);
    return connection.lastUpMs;
  }

  arrivalDown(connection: Connection): number {
    connection.lastDownMs = this.#arrival(connection, connection.lastDownMs, 0);
    return connection.lastDownMs;
  }

  minimumMs(connection: Connection): number {
    return connection.wan ? this.settings.wanMs : LOCAL_MS;
  }

  /** Faults count where they make the message later than it would have been. */
  #arrival(connection: Connection, notBeforeMs: number, extraMs: number): number {
    const usualMs = this.minimumMs(connection) * (1 + 0.2 * this.#random.unit());
    const { loss, reorder } = this.settings.mishaps;
    const lost = this.#random.chance(loss);
    const slow = this.#random.chance(reorder);
    const slowMs = this.#random.unit() * 3 * this.settings.wanMs;
    let atMs = Math.max(notBeforeMs, this.machine.nowMs + usualMs + extraMs);
    if (this.healed || !connection.wan) return atMs;
    const later = (kind: FaultKind, ms: number): void => {
      if (this.machine.nowMs + usualMs + extraMs + ms <= atMs) return;
      this.fired.add(kind);
      atMs = this.machine.nowMs + usualMs + extraMs + ms;
    };
    if (lost) later("loss", RETRANSMIT_MS);
    if (slow) later("reorder", (lost ? RETRANSMIT_MS : 0) + slowMs);
    return atMs;
  }

  /**
   * A request to the server. `serve` runs there, if it arrives; `done` gets its answer, or `undefined` when none came in time.
   * The mishaps count as faults where they meet something.
   */
  request<T>(
    connection: Connection,
    serve: () => T,
    done: (answer: T | undefined) => void,
    { extraMs = 0, answerLost = false, requestLost = false }: Mishaps = {},
  ): void {
    const { machine } = this;
    const { process, server } = connection;
    const timeoutAtMs = machine.nowMs + REQUEST_TIMEOUT_MS;
    let settled = false;
    const settle = (answer: T | undefined): void => {
      if (!settled) done(answer);
      settled = true;
    };
    const timeOut = (): void => machine.schedule(process, timeoutAtMs, "no answer", () => settle(undefined));
    const { stops } = server;
    const cutOff = (): boolean =>
      this.isCut(process.region, server.region) || !server.up || server.stops !== stops;
    if (cutOff()) return timeOut();
    if (requestLost) {
      this.fired.add("request-lost");
      return timeOut();
    }
    const arrive = (): void => {
      if (cutOff()) return timeOut();
      // What the dead had not sent yet dies with their connection.
      if (extraMs > 0 && !process.alive) return;
      if (server.pausedUntilMs > machine.nowMs) {
        server.held.push(arrive);
        return timeOut();
      }
      const answer = serve();
      if (extraMs > 0) this.fired.add("append-late");
      if (this.isCut(server.region, process.region)) return timeOut();
      if (answerLost) {
        this.fired.add("ack-lost");
        return timeOut();
      }
      const backMs = this.arrivalDown(connection);
      if (backMs > timeoutAtMs) return timeOut();
      machine.schedule(process, backMs, "answer", () => settle(answer));
    };
    const arrivesMs = this.arrivalUp(connection, extraMs);
    if (extraMs > 0) this.heldBackMs.set(process, arrivesMs);
    // Held back itself, or behind what is.
    if (arrivesMs > timeoutAtMs) timeOut();
    machine.schedule(undefined, arrivesMs, "request", arrive);
  }
}
