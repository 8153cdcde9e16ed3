/**
 * What may be lost with the end of a log: counted and judged whenever a log is begun again, or goes on with other frames.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Place } from "./history.ts";
import { placeText } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

export class Losses {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly counts = { begunAgain: 0, forks: 0, writesLost: 0, lostThoughFolded: 0, lostThoughCopied: 0 };

  constructor(world: World, ledger: Ledger) {
    this.#world = world;
    this.#ledger = ledger;
  }

  /** What the region's log has from now on is what stands before `from`, and what follows. */
  begun(region: Region, from: Place | undefined): void {
    const { machine } = this.#world;
    const isFork = from !== undefined && from.strand.logId === this.#world.server(region).log.logId;
    this.counts[isFork ? "forks" : "begunAgain"] += 1;
    for (const account of this.#ledger.accounts.values()) {
      if (account.region !== region) continue;
      for (const place of [account.openAcked, account.statusAcked, account.closeAcked]) {
        if (place === undefined || this.#world.history.has(from, place)) continue;
        this.counts.writesLost += 1;
        const folded = this.#world.nodes.find(
          (one) => one.region === region && one.process.alive && one.has(place),
        );
        const copied = REGIONS.find(
          (peer) => peer !== region && this.#has(this.#world.copyEnd(peer, region), place),
        );
        if (folded !== undefined) this.counts.lostThoughFolded += 1;
        if (copied !== undefined) this.counts.lostThoughCopied += 1;
        machine.trace(
          () =>
            `lost: ${account.id} at ${placeText(place)}, folded by ${folded?.name ?? "nobody"}, copied by ${copied ?? "nobody"}`,
        );
      }
    }
  }

  #has(end: Place | undefined, place: Place): boolean {
    return end !== undefined && this.#world.history.has(end, place);
  }
}
