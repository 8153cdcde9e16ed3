/**
 * Sessions of a region that is back: whoever stood for it has closed them, and their leases open them again. Rule (invariant 6): a node that
 * says it is in touch with every region tells nobody as offline who has beaten all the while.
 */
import type { UserId } from "../../replicator/core/commands.ts";
import { placeText } from "./history.ts";
import type { Place, Strand } from "./history.ts";
import type { Clients } from "./clients.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import type { World } from "./world.ts";

/** So many frames of a log that goes on from an heir's are looked at one by one: the openings of what the heir closed are among them. */
const FRAMES = 20;

export class FalseOffline {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #clients: Clients;
  readonly counts = { back: 0 };

  constructor(world: World, ledger: Ledger, clients: Clients) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
  }

  folded(host: NodeHost, { strand, position }: Place): void {
    if (position <= FRAMES && isBack(strand)) this.lookAtAll(host);
  }

  lookAtAll(host: NodeHost): void {
    for (const user of this.#ledger.users()) this.look(host, user);
  }

  look(host: NodeHost, user: UserId): void {
    if (host.presence === undefined || !host.ready) return;
    const back = this.#ledger.of(user).find((account) => this.#isBack(host, account));
    if (back === undefined || this.#clients.preferred.get(user)?.has("invisible") === true) return;
    this.counts.back += 1;
    const { status, freshness } = host.presence.presence(user);
    if (status !== "offline" || freshness !== "live") return;
    this.#world.machine.fail(
      `invariant 6: ${host.name} tells ${user} as offline, live; ${back.id} beats in ${back.region}, logged at ${placeText(back.openAcked)}`,
    );
  }

  /** Alive for sure, and logged in before the region's log went on where another's ended; in the region itself, before it was stood for. */
  #isBack(host: NodeHost, account: Account): boolean {
    const { machine, history } = this.#world;
    const { id, region, openAcked, interrupted, forced } = account;
    if (openAcked === undefined || !interrupted || forced) return false;
    if (!this.#ledger.isAlive(account, machine.nowMs) || this.#ledger.rivals(account).length > 0)
      return false;
    const isElsewhere = host.region !== region;
    const isBegun =
      history.succeeded(region) === undefined && this.#world.end(region)?.strand !== openAcked.strand;
    if (isElsewhere && !isBegun) return false;
    return this.#world.serving(region).presence?.alive(id) !== undefined;
  }
}

/** Whether the region writes for itself again, from where another stopped to stand for it. */
export function isBack({ region, writer, from }: Strand): boolean {
  return writer === region && from !== undefined && from.strand.writer !== region;
}
