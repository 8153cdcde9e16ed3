/**
 * A WAN link between two regions, simulated by TCP proxies on loopback: round trip, line rate, loss, and cuts in one or both
 * directions.
 * Rule: what TCP over such a line would do. Opening a connection costs its handshake, bytes arrive whole and in order, a cut loses
 * nothing but answers nothing, and a sender that nobody reads is slowed down, never buffered without bound.
 */
import { createServer, type Server, type Socket } from "node:net";
import { Lane } from "./lane.ts";
import { WanConnection } from "./wan-connection.ts";

/** `true` both directions, or the one named, e.g. `cn→us`: all bytes travelling from cn to us, on whichever connection. */
export type Cut = boolean | `${string}→${string}`;

export interface WanOptions {
  /** Milliseconds there and back, 0 to 10,000. */
  readonly rttMs: number;
  /** Line rate of each direction; unlimited when absent. */
  readonly bytesPerSecond?: number;
  /** Bytes per connection and direction that may be on their way before the sender has to wait. */
  readonly windowBytes?: number;
  /** Connections per listener; further ones are refused. */
  readonly connectionsMax?: number;
  /** For losses; uniform in [0, 1). */
  readonly random?: () => number;
}

export interface WanStatus {
  readonly link: string;
  readonly regions: readonly [string, string];
  readonly rttMs: number;
  readonly cut: Cut;
  readonly connections: number;
  /** Attempts to connect so far, from both ends. */
  readonly attempts: number;
  /** Bytes on their way or held by a cut. */
  readonly heldBytes: number;
  readonly carriedBytes: number;
}

export interface WanListener {
  readonly host: string;
  readonly port: number;
}

export const RTT_MS_MAX = 10_000;
/** TCP's least time until it sends a lost packet again, on Linux; the round trip comes on top. */
const RESEND_MS_MIN = 200;
const WINDOW_BYTES = 8 * 1024 * 1024;
const CONNECTIONS_MAX = 256;
const HOST = "127.0.0.1";

export class WanLink {
  readonly name: string;
  private readonly regions: readonly [string, string];
  /** First to second region, second to first. */
  private readonly lanes: readonly [Lane, Lane];
  private readonly windowBytes: number;
  private readonly connectionsMax: number;
  private readonly servers = new Set<Server>();
  private readonly connections = new Set<WanConnection>();
  private rttMs: number;
  private lossRatio = 0;
  private attempts = 0;

  constructor(a: string, b: string, options: WanOptions) {
    this.name = `${a}-${b}`;
    this.regions = [a, b];
    this.rttMs = options.rttMs;
    this.windowBytes = options.windowBytes ?? WINDOW_BYTES;
    this.connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX;
    const { rttMs, bytesPerSecond: rate = Infinity, random } = options;
    this.lanes = [new Lane(rttMs / 2, rate, random), new Lane(rttMs / 2, rate, random)];
  }

  /** The lane that carries what `from` sends to the other region of this link. */
  lane(from: string): Lane {
    return this.lanes[from === this.regions[0] ? 0 : 1];
  }

  status(): WanStatus {
    const [forth, back] = this.lanes;
    return {
      link: this.name,
      regions: this.regions,
      rttMs: this.rttMs,
      cut: this.cutState(),
      connections: this.connections.size,
      attempts: this.attempts,
      heldBytes: forth.heldBytes + back.heldBytes,
      carriedBytes: forth.carriedBytes + back.carriedBytes,
    };
  }

  setRtt(rttMs: number): void {
    this.rttMs = rttMs;
    for (const lane of this.lanes) lane.setDelay(rttMs / 2);
    this.setLoss(this.lossRatio);
  }

  /** Loses packets with this probability in both directions. A lost one stands still, and all behind it, for a round trip and 200 ms. */
  setLoss(ratio: number): void {
    this.lossRatio = ratio;
    for (const lane of this.lanes) lane.setLoss(ratio, this.rttMs + RESEND_MS_MIN);
  }

  /** Replaces the cut that there was; `false` heals. */
  setCut(cut: Cut): void {
    const [a, b] = this.regions;
    this.lanes[0].setCut(cut === true || cut === `${a}→${b}`);
    this.lanes[1].setCut(cut === true || cut === `${b}→${a}`);
  }

  /** Resets every connection at both ends, as a middlebox that lost its state would; new ones can be made. */
  dropConnections(): void {
    for (const connection of this.connections) connection.drop();
  }

  /** Opens a port on loopback through which region `from` reaches `target`, which stands in the other region. */
  async listen(from: string, target: { host: string; port: number }): Promise<WanListener> {
    const forth = this.lane(from);
    const back = forth === this.lanes[0] ? this.lanes[1] : this.lanes[0];
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      (client: Socket) => {
        this.attempts += 1;
        const connection = new WanConnection(client, target, { forth, back, windowBytes: this.windowBytes });
        this.connections.add(connection);
        connection.onClosed = () => this.connections.delete(connection);
        connection.open();
      },
    );
    server.maxConnections = this.connectionsMax;
    this.servers.add(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, HOST, resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error(`link ${this.name} has no port`);
    return { host: HOST, port: address.port };
  }

  /** Ends listeners and connections and forgets what is on its way. */
  async close(): Promise<void> {
    const closed = [...this.servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const connection of this.connections) connection.destroy();
    for (const lane of this.lanes) lane.close();
    await Promise.all(closed);
    this.servers.clear();
  }

  private cutState(): Cut {
    const [a, b] = this.regions;
    const [forth, back] = this.lanes;
    if (forth.cut && back.cut) return true;
    if (forth.cut) return `${a}→${b}`;
    return back.cut ? `${b}→${a}` : false;
  }
}
