/**
 * Walks over all who are online, page by page, and the counts, as clients read them. Rule: at one moment the pages, the counts and the
 * views agree; over a longer walk nobody appears twice, and who was online all the time appears.
 */
import type { UserId } from "../../replicator/core/commands.ts";
import type { Presence } from "../../services/presence/presence.ts";
import type { Clients } from "./clients.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

const EVERY_MS = 700;
const PAGES_MAX = 100;

interface Walk {
  readonly host: NodeHost;
  readonly presence: Presence;
  readonly limit: number;
  /** Sessions that the replica shows for sure when the walk begins. */
  readonly atStart: readonly Account[];
  readonly seen: Set<UserId>;
  cursor: string | undefined;
}

export class Walks {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #clients: Clients;
  readonly #random: Random;
  readonly counts = { walks: 0, walkedThroughout: 0, countsCompared: 0 };

  constructor(world: World, ledger: Ledger, clients: Clients) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
    this.#random = new Random(world.settings.seed, "walks");
    this.#walkOn();
  }

  #walkOn(): void {
    const { machine, nodes } = this.#world;
    machine.after(undefined, EVERY_MS, "walk", () => {
      const host = this.#random.pick(nodes.filter(({ serves }) => serves));
      const limit = 1 + this.#random.below(20);
      const pauseMs = this.#random.between(1, 150);
      const { presence } = host;
      if (host.ready && presence !== undefined) {
        this.#compare(host, presence, limit);
        const atStart = [...this.#ledger.accounts.values()].filter((one) => this.#isShown(host, one));
        const walk = { host, presence, limit, atStart, seen: new Set<UserId>(), cursor: undefined };
        this.#page(walk, pauseMs);
      }
      this.#walkOn();
    });
  }

  /** Known to be alive and not to hide, and folded there. */
  #isShown(host: NodeHost, account: Account): boolean {
    const { openAcked } = account;
    if (openAcked === undefined || !host.has(openAcked)) return false;
    if (this.#clients.preferred.get(account.user)?.has("invisible") === true) return false;
    return !this.#ledger.mayBeOver(account, this.#world.machine.nowMs);
  }

  #page(walk: Walk, pauseMs: number): void {
    const { host, presence, limit, cursor, seen } = walk;
    if (host.presence !== presence || !host.ready) return;
    const page = presence.online({ limit, ...(cursor === undefined ? {} : { cursor }) });
    if ("invalidCursor" in page) return this.#fail(`${host.name} refuses the cursor that it gave`);
    for (const { user } of page.users) {
      if (seen.has(user)) this.#fail(`${user} appears twice in a walk on ${host.name}`);
      seen.add(user);
    }
    if (page.users.length > limit) this.#fail(`a page of ${host.name} exceeds its limit`);
    walk.cursor = page.cursor;
    if (page.cursor === undefined) return this.#walked(walk);
    this.#world.machine.after(undefined, pauseMs, "page", () => this.#page(walk, pauseMs));
  }

  #walked({ host, atStart, seen }: Walk): void {
    this.counts.walks += 1;
    for (const account of atStart) {
      if (!this.#isShown(host, account)) continue;
      this.counts.walkedThroughout += 1;
      if (!seen.has(account.user))
        this.#fail(`${account.user}, online all the time, is missing in a walk on ${host.name}`);
    }
  }

  /** At one moment: the pages have each user once that has a session in view and does not hide, and the counts are theirs. */
  #compare(host: NodeHost, presence: Presence, limit: number): void {
    this.counts.countsCompared += 1;
    const walked: UserId[] = [];
    let cursor: string | undefined;
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const page = presence.online({ limit, ...(cursor === undefined ? {} : { cursor }) });
      if ("invalidCursor" in page) return this.#fail(`${host.name} refuses the cursor that it gave`);
      walked.push(...page.users.map(({ user }) => user));
      cursor = page.cursor;
      if (cursor === undefined) break;
    }
    const views = [...this.#ledger.users()].flatMap((user) => host.node.replica.view(user) ?? []);
    const online = views.filter(
      ({ sessions, preferred }) => sessions.length > 0 && preferred !== "invisible",
    );
    const expected = online.map(({ user }) => user);
    if (walked.toSorted().join() !== expected.toSorted().join())
      this.#fail(`a walk on ${host.name} has ${walked.length} users, its views ${expected.length}`);
    const sessions = online.flatMap((view) => view.sessions.map(({ session }) => session.region));
    const occupancy = presence.occupancy();
    if (occupancy.users !== online.length || occupancy.sessions !== sessions.length)
      this.#fail(`${host.name} counts ${occupancy.users} users, its views ${online.length}`);
    for (const [region, counted] of Object.entries(occupancy.byRegion)) {
      const here = sessions.filter((one) => one === region).length;
      if (counted.sessions !== here)
        this.#fail(`${host.name} counts ${counted.sessions} sessions in ${region}, its views ${here}`);
    }
  }

  #fail(what: string): void {
    this.#world.machine.fail(`walk: ${what}`);
  }
}
