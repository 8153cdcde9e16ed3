/**
 * Which replicas are in touch, and which regions are well, since when. Rule: told by the world alone (what is stored, what is folded, what
 * is up), never by what a node says of its links.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { NodeHost } from "./node-host.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** A replica that has not folded an entry of this age is out of touch with its log. */
const OUT_OF_TOUCH_MS = 500;

export class Contact {
  readonly #world: World;
  readonly #touchSinceMs = new Map<NodeHost, number>();
  readonly #wellSinceMs = new Map<Region, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** An entry is stored, carried and folded within this, by who is in touch. */
  get propagationMs(): number {
    return OUT_OF_TOUCH_MS + 2 * this.#world.settings.wanMs;
  }

  /** Since when the replica is in touch with every log. */
  touchSinceMs(host: NodeHost): number {
    return this.#touchSinceMs.get(host) ?? this.#world.machine.nowMs;
  }

  /** Since when the region's node serves and its log takes what is appended. */
  wellSinceMs(region: Region): number {
    return this.#wellSinceMs.get(region) ?? this.#world.machine.nowMs;
  }

  look(): void {
    const { nowMs } = this.#world.machine;
    for (const host of this.#world.nodes) {
      if (!host.ready || REGIONS.some((origin) => this.behindMs(host, origin) > OUT_OF_TOUCH_MS))
        this.#touchSinceMs.set(host, nowMs);
    }
    for (const { region, up, pausedUntilMs, full } of this.#world.servers) {
      const host = this.#world.serving(region);
      const end = this.#world.end(region);
      const goesOn = end !== undefined && host.places.get(region)?.strand === end.strand;
      if (!up || full || pausedUntilMs > nowMs || !host.ready || host.appender.failingMs() > 0 || !goesOn)
        this.#wellSinceMs.set(region, nowMs);
    }
  }

  /** Age of the oldest entry that the replica has not folded; 0 when it has all. */
  behindMs(host: NodeHost, origin: Region): number {
    const next = this.#world.missing(host, origin);
    return next === undefined ? 0 : this.#world.machine.nowMs - next.atMs;
  }
}
