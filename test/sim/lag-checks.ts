/**
 * Invariant 9: a stopped link shows within a second, what reads 0 is caught up, and after healing the first frame comes within two
 * seconds. Rule: judged by what is stored and what was folded, never by another report.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Contact } from "./contact.ts";
import type { Place } from "./history.ts";
import type { NodeHost } from "./node-host.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

const STOPPED_SHOWN_MS = 1_000;
/** Drift and rounding. */
const CLOCK_ERROR_MS = 10;
/** The head is asked for each second; the question, the answer and what they wait for may be retransmitted a few times. */
const HEAD_KNOWN_MS = 2_500;
/** Who reads 0 with a frame of this age still to fold is not caught up, whatever was on the way. */
const FALSE_ZERO_MS = 1_500;
const FIRST_FRAME_MS = 2_000;
/** Who was handed something false stands still on purpose for a while. */
const HALTED_MS = 6_000;
/** A log that lost its end waits for it, and who needs a snapshot waits for that. */
const MENDED_MS = 25_000;

export class LagChecks {
  readonly #world: World;
  readonly #contact: Contact;
  /** Since when a replica reads 0 and is not caught up. */
  readonly #zeroSince = new Map<string, number>();
  /** Replicas that have folded nothing of a log since all was healed, with where they stood. */
  readonly #waiting = new Map<string, { host: NodeHost; origin: Region; healedMs: number }>();
  readonly counts = { lags: 0, falseZeros: 0, stoppedAsCatchingUp: 0, firstFrames: 0, firstFrameMsMax: 0 };

  constructor(world: World, contact: Contact) {
    this.#world = world;
    this.#contact = contact;
  }

  /** What one replica says of its links. */
  look(host: NodeHost): void {
    const { nowMs } = this.#world.machine;
    const rows = host.node.matrix.rows(host.process.clock());
    if (rows.length !== REGIONS.length * (REGIONS.length - 1))
      this.#world.machine.fail(`invariant 10: the matrix of ${host.name} has ${rows.length} rows`);
    for (const { origin, replica, state, eventsBehind } of rows) {
      if (replica !== host.region) continue;
      this.counts.lags += 1;
      const quietMs = nowMs - (host.foldedAtMs.get(origin) ?? 0);
      const stopped = quietMs > STOPPED_SHOWN_MS + CLOCK_ERROR_MS;
      if (state === "catching-up" && eventsBehind === 0 && stopped) {
        this.counts.stoppedAsCatchingUp += 1;
        this.#world.machine.trace(
          () => `${host.name} shows ${origin} catching up, 0 behind, and nothing comes`,
        );
      }
      if (state === "live" && stopped) {
        this.#world.machine.fail(
          `invariant 9: ${host.name} calls ${origin} live after ${quietMs.toFixed(0)} ms without a frame`,
        );
      }
      this.#zero(host, origin, eventsBehind === 0);
    }
  }

  /** A zero may be false until the head was asked for again: counted. One that stays is a violation. */
  #zero(host: NodeHost, origin: Region, readsZero: boolean): void {
    const { nowMs } = this.#world.machine;
    const { wanMs } = this.#world.settings;
    const key = `${host.process.number} ${origin}`;
    const behindMs = this.#contact.behindMs(host, origin);
    if (!readsZero || behindMs < FALSE_ZERO_MS + 3 * wanMs) {
      this.#zeroSince.delete(key);
      return;
    }
    this.counts.falseZeros += 1;
    this.#world.machine.trace(
      () => `${host.name} reads 0 behind ${origin}, and is ${behindMs.toFixed(0)} ms behind`,
    );
    const sinceMs = Math.max(this.#zeroSince.get(key) ?? nowMs, host.process.runningSinceMs);
    this.#zeroSince.set(key, sinceMs);
    if (nowMs - sinceMs <= HEAD_KNOWN_MS + 6 * wanMs) return;
    const forMs = (nowMs - sinceMs).toFixed(0);
    this.#world.machine.fail(
      `invariant 9: ${host.name} reads 0 behind ${origin} for ${forMs} ms, and is ${behindMs.toFixed(0)} ms behind`,
    );
  }

  healed(): void {
    const { machine, network } = this.#world;
    for (const host of this.#world.nodes) {
      const healedMs = Math.max(machine.nowMs, network.heldBackMs.get(host.process) ?? 0);
      for (const origin of REGIONS) {
        const { region } = host;
        const spoiledMs = Math.max(
          this.#world.spoiledMs(origin, region),
          this.#world.spoiledMs(region, region),
        );
        const bereftMs = Math.max(this.#world.bereftMs(origin), this.#world.bereftMs(region));
        if (healedMs - spoiledMs < HALTED_MS || healedMs - bereftMs < MENDED_MS) continue;
        this.#waiting.set(`${host.name} ${origin}`, { host, origin, healedMs });
      }
    }
  }

  /** A log goes on as another: who waits for its next frame needs a snapshot first. */
  begun(region: Region): void {
    for (const [key, { origin }] of this.#waiting) if (origin === region) this.#waiting.delete(key);
  }

  folded(host: NodeHost, place: Place): void {
    if (this.#waiting.size === 0) return;
    const key = `${host.name} ${place.strand.region}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    const stored = this.#world.history.at(place);
    const waitedMs =
      this.#world.machine.nowMs - Math.max(waiting.healedMs, stored?.atMs ?? 0, host.process.runningSinceMs);
    this.#waiting.delete(key);
    this.counts.firstFrames += 1;
    this.counts.firstFrameMsMax = Math.max(this.counts.firstFrameMsMax, Math.round(waitedMs));
  }

  /** Whoever has a frame to fold since two seconds, and all is healed, does not make good what a cut has cost. */
  firstFrames(): void {
    for (const { host, origin, healedMs } of this.#waiting.values()) {
      const { nowMs } = this.#world.machine;
      const next = this.#world.missing(host, origin);
      if (next === undefined) continue;
      const sinceMs = Math.max(healedMs, next.atMs, host.process.runningSinceMs);
      if (nowMs - sinceMs <= FIRST_FRAME_MS + 6 * this.#world.settings.wanMs) continue;
      const waited = (nowMs - sinceMs).toFixed(0);
      this.#world.machine.fail(
        `invariant 9: ${host.name} folds no frame of ${origin} ${waited} ms after healing`,
      );
    }
  }
}
