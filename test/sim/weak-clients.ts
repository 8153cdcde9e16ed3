/**
 * Weak presence: clients that only say, now and then, that their user is there (`touch`), and hold no session of their own. Rule: such a
 * client never learns of its session, so the ledger takes every one of its device for possibly alive as long as it is answered, and
 * the newest alone for certainly so.
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { Presence } from "../../services/presence/presence.ts";
import { WEAK_DEVICE } from "./ledger.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { HEARTBEAT_MS, REGIONS, TTL_MS } from "./settings.ts";
import type { World } from "./world.ts";

const SHARE = 0.2;

interface WeakClient {
  readonly user: UserId;
  region: Region;
  /** Sessions opened for it, by region. */
  readonly accounts: Account[];
  silentUntilMs: number;
}

export class WeakClients {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #random: Random;
  /** Nobody falls silent or travels any more. */
  readonly #quiet: () => boolean;
  readonly counts = { touches: 0, touchOpens: 0 };

  constructor(world: World, ledger: Ledger, quiet: () => boolean) {
    this.#world = world;
    this.#ledger = ledger;
    this.#quiet = quiet;
    this.#random = new Random(world.settings.seed, "weak clients");
    for (let number = 1; number <= world.settings.users; number++) {
      const region = this.#random.pick(REGIONS);
      const user = `user${number}`;
      if (this.#random.chance(SHARE)) this.#live({ user, region, accounts: [], silentUntilMs: 0 });
    }
  }

  #live(client: WeakClient): void {
    const { machine } = this.#world;
    machine.after(undefined, HEARTBEAT_MS * this.#random.between(0.5, 1.1), "weak client", () => {
      const silent = this.#random.chance(0.05);
      const silentForMs = this.#random.between(0.5, 2) * TTL_MS;
      const travels = this.#random.chance(0.03);
      const to = this.#random.pick(REGIONS);
      if (machine.nowMs >= client.silentUntilMs) {
        if (silent && !this.#quiet()) client.silentUntilMs = machine.nowMs + silentForMs;
        else if (travels && !this.#quiet()) client.region = to;
        else this.#touch(client);
      }
      this.#live(client);
    });
  }

  #touch(client: WeakClient): void {
    const { user, region, accounts } = client;
    const host = this.#world.serving(region);
    const { presence } = host;
    if (presence === undefined || !host.ready) return;
    const { machine } = this.#world;
    machine.enter(host.process);
    this.counts.touches += 1;
    const before = host.lastMinted;
    const answer = presence.touch(user, WEAK_DEVICE);
    const here = accounts.filter((account) => account.region === region);
    if (answer === undefined) {
      for (const account of here) account.beatMs = machine.nowMs;
      return;
    }
    if (host.lastMinted === before) return;
    // A session is opened where none is held: those before it are over.
    for (const account of here) account.over = true;
    accounts.push(this.#opening(client, host, answer));
  }

  #opening({ user, region }: WeakClient, host: NodeHost, answer: ReturnType<Presence["touch"]>): Account {
    const { machine } = this.#world;
    const login = { user, region, device: WEAK_DEVICE, platform: "" };
    const account = this.#ledger.opening(
      host.lastMinted,
      { ...login, policy: "multi", status: "online" },
      machine.nowMs,
    );
    this.counts.touchOpens += 1;
    machine.trace(() => `touch opens ${account.id} of ${user} in ${region}`);
    void this.#opened(account, answer);
    return account;
  }

  async #opened(account: Account, answer: ReturnType<Presence["touch"]>): Promise<void> {
    const outcome = await answer;
    if (outcome?.ok !== true) account.over = true;
    else {
      // Where it stands in the log is not said: not behind its end.
      account.openAcked = this.#world.written(account.region);
      account.statusAcked = account.openAcked;
    }
    this.#world.machine.trace(() => `touch for ${account.id}: ${account.over ? "failed" : "opened"}`);
  }
}
