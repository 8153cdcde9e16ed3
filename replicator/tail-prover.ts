/**
 * Has this region's own log compared with its peers' copies, at each connect and after each start of the region's server, and says so at
 * the log: a node that finds its end unproven waits for that. Rule: every peer is asked; one that does not answer is waited for a little while, as another
 * one may have copied less, and none at all is waited for without end.
 */
import type { Region } from "./core/commands.ts";
import type { LogStore } from "./log/port.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Logger } from "./runtime/logger.ts";
import { proveTail } from "./tail.ts";

export interface TailProverOptions {
  readonly region: Region;
  readonly local: LogStore;
  readonly peers: ReadonlyMap<Region, LogStore>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Peer {
  readonly region: Region;
  readonly store: LogStore;
  proven: boolean;
  asking: boolean;
  /** By the monotonic clock. */
  askAtMs: number;
}

const ASK_AGAIN_MS = 500;
/** So long after the server started the other peers are waited for when one has proven the end. */
const OTHERS_MS = 5_000;

export class TailProver {
  readonly #options: TailProverOptions;
  readonly #peers: readonly Peer[];
  #sinceMs: number;
  /** The log was told since the server started. */
  #told = false;
  #telling = false;
  /** Counts the connections to the region's server: what was asked over an earlier one says nothing of this one. */
  #connects = 0;

  constructor(options: TailProverOptions) {
    this.#options = options;
    this.#sinceMs = options.clock().monoMs;
    this.#peers = [...options.peers].map(([region, store]) => ({
      region,
      store,
      proven: false,
      asking: false,
      askAtMs: 0,
    }));
    options.local.onConnection((connected) => {
      if (!connected) return;
      for (const peer of this.#peers) peer.proven = false;
      this.#sinceMs = options.clock().monoMs;
      this.#told = false;
      this.#connects += 1;
    });
  }

  /** The peer was out of reach: it may have what this region lost. */
  doubt(region: Region): void {
    for (const peer of this.#peers) if (peer.region === region) peer.proven = false;
  }

  tick(): void {
    const { monoMs } = this.#options.clock();
    for (const peer of this.#peers)
      if (!peer.proven && !peer.asking && monoMs >= peer.askAtMs) void this.#ask(peer);
    if (this.#told || this.#telling) return;
    const patient = monoMs - this.#sinceMs < OTHERS_MS;
    const enough = patient ? this.#peers.every(isProven) : this.#peers.some(isProven);
    if (enough) void this.#tell();
  }

  async #ask(peer: Peer): Promise<void> {
    const { region, local, clock, logger } = this.#options;
    peer.asking = true;
    const connects = this.#connects;
    const finding = await proveTail(region, local, peer.store);
    peer.asking = false;
    peer.proven = finding.kind !== "unknown" && connects === this.#connects;
    peer.askAtMs = clock().monoMs + ASK_AGAIN_MS;
    if (finding.kind === "put-back")
      logger.warn({ event: "tail-put-back", peer: peer.region, frames: finding.frames });
    else if (finding.kind === "renewed")
      logger.error({ event: "log-renewed", peer: peer.region, detail: finding.detail });
  }

  async #tell(): Promise<void> {
    const { region, local } = this.#options;
    this.#telling = true;
    const connects = this.#connects;
    const opened = await local.openLog(region, { create: false });
    // Not across a restart: what is said then would be of a server that may have lost more.
    const done = opened.ok && connects === this.#connects ? await opened.log.compared() : opened;
    this.#telling = false;
    this.#told = done.ok && connects === this.#connects;
  }
}

function isProven({ proven }: Peer): boolean {
  return proven;
}
