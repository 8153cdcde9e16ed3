/**
 * The users: each has one or two clients that log in, beat, change their status, log out, vanish, travel. Rule: a client knows what
 * it was answered and nothing else; what it learns goes into the ledger.
 */
import type {
  LoginPolicy,
  PreferredStatus,
  Region,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Presence } from "../../services/presence/presence.ts";
import type { OpenedSession, Outcome } from "../../services/presence/service.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { mentions, placeText } from "./history.ts";
import type { Place } from "./history.ts";
import { HEARTBEAT_MS, REGIONS } from "./settings.ts";
import type { World } from "./world.ts";
import { Evacuators } from "./evacuators.ts";
import { Operators } from "./operators.ts";
import { WeakClients } from "./weak-clients.ts";

const STATUSES: readonly SessionStatus[] = ["online", "away", "busy"];
const PREFERRED: readonly PreferredStatus[] = ["automatic", "away", "busy", "invisible"];
/** Some preferences end by themselves, after this long. */
const PREFERRED_FOR_MS = 1_500;
/** A client that gets no answer to its login starts over. */
const GIVE_UP_MS = 3_000;

/** Most users may be logged in as often as they like. */
const POLICIES: readonly LoginPolicy[] = ["multi", "multi", "multi", "single", "per-platform"];
const PLATFORMS = ["web", "ios"];

interface Written {
  readonly token: Token;
}

/** A token that a client holds, of a write about the user, and what it speaks of. */
export interface Held {
  readonly user: UserId;
  readonly token: Token;
  readonly places: readonly Place[];
}

interface Client {
  readonly user: UserId;
  readonly device: string;
  readonly platform: string;
  readonly policy: LoginPolicy;
  region: Region;
  account: Account | undefined;
}

export class Clients {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #random: Random;
  /** Nobody logs in, out or changes anything any more; beats go on. */
  quiet = false;
  /** What the clients saw that must not be. */
  wrong: (what: string) => void = () => undefined;
  /** Tokens that clients hold, newest last. */
  readonly tokens: Held[] = [];
  readonly preferred = new Map<UserId, Set<PreferredStatus>>();
  /** Which life of a node accepted the session's last beat. */
  readonly #heardBy = new WeakMap<Account, Presence>();
  readonly #weak: WeakClients;
  readonly #operators: Operators;
  readonly #evacuators: Evacuators;
  readonly #counts = {
    opens: 0,
    closes: 0,
    updates: 0,
    beats: 0,
    refused: 0,
    kicked: 0,
    travels: 0,
    forced: 0,
  };

  constructor(world: World, ledger: Ledger) {
    this.#world = world;
    this.#ledger = ledger;
    this.#random = new Random(world.settings.seed, "clients");
    this.#weak = new WeakClients(world, ledger, () => this.quiet);
    this.#operators = new Operators(
      world,
      ledger,
      () => this.quiet,
      (written, region, user) => this.#told(written, region, user, user),
    );
    this.#evacuators = new Evacuators(world, () => this.quiet);
    const policies = new Random(world.settings.seed, "policies");
    for (let number = 1; number <= world.settings.users; number++) {
      const user = `user${number}`;
      const clients = this.#random.chance(0.3) ? 2 : 1;
      const policy = policies.pick(POLICIES);
      for (let one = 0; one < clients; one++) {
        const device = world.settings.devices && this.#random.chance(0.4) ? "phone" : "";
        const platform = policies.pick(PLATFORMS);
        const region = this.#random.pick(REGIONS);
        this.#live({ user, device, platform, policy, region, account: undefined });
      }
    }
  }

  get counts(): Record<string, number> {
    return { ...this.#counts, ...this.#weak.counts, ...this.#operators.counts, ...this.#evacuators.counts };
  }

  #live(client: Client): void {
    const waitMs = HEARTBEAT_MS * this.#random.between(0.5, 1.1);
    this.#world.machine.after(undefined, waitMs, "client", () => {
      this.#act(client);
      this.#live(client);
    });
  }

  #act(client: Client): void {
    const host = this.#world.serving(client.region);
    const { presence } = host;
    const choice = this.#random.unit();
    const detail = this.#random.unit();
    if (presence === undefined || !host.ready) return;
    this.#world.machine.enter(host.process);
    const { account } = client;
    if (account === undefined) {
      if (!this.quiet && choice < 0.6) this.#open(client, host, presence, detail);
      return;
    }
    const { nowMs } = this.#world.machine;
    if (account.openAcked === undefined) {
      if (nowMs - account.openRequestedMs > GIVE_UP_MS) client.account = undefined;
      return;
    }
    if (!this.#beat(client, account, presence)) return;
    if (this.quiet) return;
    if (choice < 0.1) this.#update(account, presence, detail);
    else if (choice < 0.16) this.#close(client, account, presence);
    else if (choice < 0.2) client.account = undefined;
    else if (choice < 0.23) this.#prefer(account.user, host, presence, detail);
    else if (choice < 0.27) this.#travel(client, account, presence, detail);
    else if (choice < 0.275) this.#force(account.user, presence);
  }

  #open(client: Client, host: NodeHost, presence: Presence, detail: number): void {
    const { user, device, platform, policy, region } = client;
    const status = STATUSES[Math.floor(detail * STATUSES.length)] ?? "online";
    const home = detail < 0.1 ? REGIONS[Math.floor(detail * 30)] : undefined;
    const before = host.lastMinted;
    const opening = presence.openSession({
      user,
      status,
      platform,
      policy,
      ...(device === "" ? {} : { device }),
      ...(home === undefined ? {} : { home }),
    });
    if (host.lastMinted === before) return;
    const login = { user, region, device, platform, policy, status };
    const account = this.#ledger.opening(host.lastMinted, login, this.#world.machine.nowMs);
    client.account = account;
    this.#counts.opens += 1;
    this.#world.machine.trace(() => `open ${account.id} of ${user} in ${region} ${device} ${policy}`);
    void this.#opened(client, account, opening);
  }

  async #opened(client: Client, account: Account, opening: Promise<Outcome<OpenedSession>>): Promise<void> {
    const outcome = await opening;
    const { machine } = this.#world;
    if (!outcome.ok) {
      account.over = true;
      if (client.account === account) client.account = undefined;
      machine.trace(() => `open ${account.id} failed: ${outcome.problem.name}`);
      return;
    }
    account.openAcked = this.#told(outcome.value, account.region, account.id, account.user);
    account.statusAcked = account.openAcked;
    machine.trace(() => `open ${account.id} acknowledged at ${placeText(account.openAcked)}`);
  }

  /** Whether the session still stands. */
  #beat(client: Client, account: Account, presence: Presence): boolean {
    const { nowMs } = this.#world.machine;
    const refused = presence.heartbeat(account.id);
    this.#counts.beats += 1;
    if (refused === undefined) {
      account.beatMs = nowMs;
      this.#heardBy.set(account, presence);
      return true;
    }
    this.#counts.refused += 1;
    if (refused.reason === "kicked") this.#counts.kicked += 1;
    this.#world.machine.trace(() => `beat of ${account.id} refused: ${refused.reason} ${refused.by}`);
    // Who has heard it beat knows better than who stood for its region, and did not.
    const isHeard = refused.reason === "expired" && this.#heardBy.get(account) === presence;
    const mayBe = isHeard ? this.#ledger.mayBeEnded(account, nowMs) : this.#ledger.mayBeOver(account, nowMs);
    if (!mayBe) {
      this.wrong(
        `invariant 6: beat of ${account.id} of ${account.user} refused (${refused.reason}) and nobody ended it`,
      );
    }
    account.over = true;
    client.account = undefined;
    return false;
  }

  #update(account: Account, presence: Presence, detail: number): void {
    const status = STATUSES[Math.floor(detail * STATUSES.length)] ?? "online";
    account.tentative.push(status);
    account.asked.add(status);
    this.#counts.updates += 1;
    this.#world.machine.trace(() => `update ${account.id} ${status}`);
    void this.#updated(account, status, presence.updateSession(account.id, { status }));
  }

  async #updated(
    account: Account,
    status: SessionStatus,
    updating: Promise<Outcome<Written>>,
  ): Promise<void> {
    const outcome = await updating;
    if (!outcome.ok) return;
    account.tentative.splice(0, account.tentative.indexOf(status) + 1);
    account.status = status;
    account.statusAcked = this.#told(outcome.value, account.region, account.id, account.user);
  }

  #close(client: Client, account: Account, presence: Presence): void {
    account.closeRequestedMs = this.#world.machine.nowMs;
    client.account = undefined;
    this.#counts.closes += 1;
    this.#world.machine.trace(() => `close ${account.id}`);
    void this.#closed(account, presence.closeSession(account.id));
  }

  async #closed(account: Account, closing: Promise<Outcome<Written>>): Promise<void> {
    const outcome = await closing;
    if (!outcome.ok) return;
    account.closeAcked = this.#told(outcome.value, account.region, account.id, account.user);
    this.#world.machine.trace(() => `close ${account.id} acknowledged at ${placeText(account.closeAcked)}`);
  }

  #prefer(user: UserId, host: NodeHost, presence: Presence, detail: number): void {
    const preferred = PREFERRED[Math.floor(detail * PREFERRED.length)] ?? "automatic";
    const asked = this.preferred.get(user) ?? new Set();
    const ends = preferred !== "automatic" && (detail * 100) % 1 < 0.5;
    const untilMs = ends ? host.process.clock().wallMs + PREFERRED_FOR_MS : 0;
    this.preferred.set(user, asked.add(preferred));
    void this.#preferred(presence.prefer(user, preferred, untilMs), host.region, user);
  }

  async #preferred(preferring: Promise<Outcome<Written>>, region: Region, user: UserId): Promise<void> {
    const outcome = await preferring;
    if (outcome.ok) this.#told(outcome.value, region, user, user);
  }

  /** An operator ends all sessions of the user that this region knows of. */
  #force(user: UserId, presence: Presence): void {
    for (const account of this.#ledger.of(user)) account.forced = true;
    this.#counts.forced += 1;
    this.#world.machine.trace(() => `force logout of ${user}`);
    void presence.forceLogout(user);
  }

  /** Moves to another region; the session here is closed, or left to expire. */
  #travel(client: Client, account: Account, presence: Presence, detail: number): void {
    if (detail < 0.5) this.#close(client, account, presence);
    client.account = undefined;
    client.region =
      REGIONS[(REGIONS.indexOf(client.region) + 1 + (Math.floor(detail * 4) % 2)) % 3] ?? client.region;
    this.#counts.travels += 1;
  }

  /** What the token of a write in `region` about `id`, the user or a session of theirs, speaks of. */
  #told({ token }: Written, region: Region, id: string, user: UserId): Place | undefined {
    const { history } = this.#world;
    const host = this.#world.serving(region);
    if (this.#world.isDeposed(host))
      this.wrong(`${host.name} acknowledged a write of ${id}, knowing that another region stands for it`);
    // Where nothing was to be written it speaks of all logs, heard of or not.
    const heard = [...token].filter(([, { logId }]) => logId !== "");
    const places = heard.flatMap(
      ([of, { logId, position }]) => history.find(of, logId, position, (frame) => mentions(frame, id)) ?? [],
    );
    const place = places.find(({ strand }) => strand.region === region);
    if (place === undefined || places.length < heard.length)
      this.wrong(`invariant 4: a write of ${id} in ${region} was acknowledged that its log never had`);
    this.tokens.push({ user, token, places });
    if (this.tokens.length > 64) this.tokens.shift();
    return place;
  }
}
