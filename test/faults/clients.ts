/**
 * A load of real HTTP clients against every region of a stage: they log in, change their status, log out, and send heartbeats for
 * what is open, while readers in every region look at them.
 *
 *   const clients = startClients(stage, { perSecond: 20 });
 *   …                                    // the fault
 *   await clients.quiet();               // no more writes; heartbeats and readers go on
 *   const verdict = await judge(clients, { boundMs: 30_000 });
 *
 * Rule: bounded in sessions and in calls under way; a failure is counted and the load goes on.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { RegionApi } from "../../infra/demo/api.ts";
import type { HttpClient } from "../../infra/demo/http.ts";
import { waitFor } from "../../infra/demo/wait.ts";
import { Ledger, type Entry } from "./ledger.ts";
import { Readers } from "./readers.ts";
import { repeat } from "./repeat.ts";
import type { Stage } from "./stage.ts";

export interface ClientsOptions {
  /** Logins, changes and logouts of each region together; default 20. */
  readonly perSecond?: number;
  /** Open sessions of each region at most; default 100. */
  readonly sessionsMax?: number;
  /** Between two heartbeats of a session; default 1 s. */
  readonly heartbeatMs?: number;
  /** Share of logins that name another region as home; default 0.2. */
  readonly travellers?: number;
  /** Between two looks of a region's reader at everybody; default 250 ms. */
  readonly readMs?: number;
}

export interface ClientCounts {
  /** Acknowledged logins, changes and logouts. */
  readonly acknowledged: number;
  /** Writes and heartbeats that were not answered as the API promises, by region. */
  readonly failed: Readonly<Record<string, number>>;
  readonly acceptedHeartbeats: number;
  /** Heartbeats of open sessions answered with "ended". */
  readonly refusedHeartbeats: number;
  /** The first failures of each kind, in words. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** An acknowledged login. */
interface Login {
  readonly user: string;
  readonly region: string;
  readonly sentMs: number;
  readonly session: string;
  readonly token: string;
}

const OpenedShape = Compile(Type.Object({ session: Type.String(), token: Type.String() }));
const TokenShape = Compile(Type.Object({ token: Type.String() }));
const NotCopiedShape = Compile(Type.Object({ type: Type.Literal("/problems/not-copied") }));
const UNDER_WAY_MAX = 64;
/** Sessions in one call for heartbeats: some 200 KB. */
const BEATS_MAX = 5_000;
const TICK_MS = 10;
const CALL_TIMEOUT_MS = 10_000;
const REASONS_MAX = 50;
const STATUSES = ["online", "away", "busy"];
/** Of the writes that are not logins to fill up. */
const LOGIN_SHARE = 0.35;
const LOGOUT_SHARE = 0.3;

let named = 0;

export function startClients(stage: Stage, options: ClientsOptions = {}): Clients {
  const clients = new Clients(stage, options);
  stage.onStop(() => clients.stop());
  clients.start();
  return clients;
}

export class Clients {
  readonly stage: Stage;
  readonly ledger = new Ledger();
  readonly readers: Readers;
  readonly #options: Required<ClientsOptions>;
  readonly #http: HttpClient;
  readonly #apis: ReadonlyMap<string, RegionApi>;
  readonly #writing = new AbortController();
  readonly #stopping = new AbortController();
  readonly #underWay = new Map<string, Set<Promise<void>>>();
  /** By region: of the acknowledged writes the one that was sent last. */
  readonly #newest = new Map<string, { readonly sentMs: number; readonly acknowledgedMs: number }>();
  readonly #failed = new Map<string, number>();
  readonly #reasons = new Map<string, number>();
  #acceptedHeartbeats = 0;
  #refusedHeartbeats = 0;
  #holding = false;
  #loops: Promise<void>[] = [];

  constructor(stage: Stage, options: ClientsOptions) {
    this.stage = stage;
    this.#options = {
      perSecond: 20,
      sessionsMax: 100,
      heartbeatMs: 1_000,
      travellers: 0.2,
      readMs: 250,
      ...options,
    };
    this.#http = stage.client(CALL_TIMEOUT_MS);
    this.#apis = new Map(stage.regions.map(({ name, url }) => [name, new RegionApi(url, this.#http)]));
    const { readMs, heartbeatMs } = this.#options;
    this.readers = new Readers(this.#apis, this.ledger, { everyMs: readMs, heartbeatMs });
  }

  start(): void {
    this.#loops = [...this.#apis].flatMap(([region, api]) => [
      this.#write(region, api),
      ...this.stage
        .region(region)
        .nodes.map(({ url }) => this.#beats(region, new RegionApi(url, this.#http))),
    ]);
    this.readers.start();
  }

  /** No more writes; resolves when none is under way. Heartbeats and readers go on. */
  async quiet(): Promise<void> {
    this.#writing.abort();
    await this.#writesSettled();
  }

  async stop(): Promise<void> {
    await this.quiet();
    this.#stopping.abort();
    await Promise.all([...this.#loops, this.readers.stop()]);
    this.#http.close();
  }

  counts(): ClientCounts {
    return {
      acknowledged: this.ledger.acknowledged,
      failed: Object.fromEntries(this.#failed),
      acceptedHeartbeats: this.#acceptedHeartbeats,
      refusedHeartbeats: this.#refusedHeartbeats,
      reasons: this.#reasons,
    };
  }

  api(region: string): RegionApi {
    const api = this.#apis.get(region);
    if (api === undefined) throw new Error(`no clients at ${region}`);
    return api;
  }

  /** Resolves when a write sent to the region after `sinceMs` (monotonic) is acknowledged, with that moment. */
  async untilAcknowledged(region: string, sinceMs: number, timeoutMs: number): Promise<number> {
    const waiting = {
      what: `a write to be acknowledged at ${region}`,
      timeoutMs,
      everyMs: 5,
      signal: this.stage.signal,
    };
    const { value } = await waitFor(waiting, () => {
      const newest = this.#newest.get(region);
      return newest !== undefined && newest.sentMs > sinceMs
        ? { done: true, value: newest.acknowledgedMs }
        : { done: false, seen: "nothing acknowledged" };
    });
    return value;
  }

  /** Logs in a user of this load, now, by default a new one; the session is kept alive from then on. */
  async login(
    region: string,
    home?: string,
    { user = `u${(named += 1)}`, device = "phone" }: { user?: string; device?: string } = {},
  ): Promise<Entry | undefined> {
    const sentMs = performance.now();
    const opened = await this.api(region).login({
      user,
      device,
      ...(home !== undefined && { home }),
    });
    if (!opened.ok) return this.#fail(region, opened.reason);
    return this.#opened({ ...opened.value, user, region, sentMs });
  }

  /** Draws a status for the session; whether that was acknowledged. */
  async change(entry: Entry): Promise<boolean> {
    const status = STATUSES[Math.floor(Math.random() * STATUSES.length)] ?? "online";
    entry.busy = true;
    entry.statuses = [...entry.statuses, status];
    const token = await this.#send(this.api(entry.region), entry, "PATCH", { status });
    if (token !== undefined) this.ledger.changed(entry, status, token);
    entry.busy = false;
    return token !== undefined;
  }

  /** Logs in with `ack=peer`; the load leaves the session alone. Not `copied`: no other region has it in time, and it stays all the same. */
  async loginWithPeer(region: string): Promise<{ entry: Entry; copied: boolean } | undefined> {
    const sentMs = performance.now();
    const user = `u${(named += 1)}`;
    const answer = await this.api(region).send("POST", "/v1/sessions?ack=peer", { user, device: "phone" });
    const copied = answer.ok && answer.status === 201;
    const stays = answer.ok && answer.status === 503 && NotCopiedShape.Check(answer.body);
    if (answer.ok && (copied || stays) && OpenedShape.Check(answer.body)) {
      const entry = this.#opened({ ...answer.body, user, region, sentMs });
      entry.busy = true;
      return { entry, copied };
    }
    return this.#fail(region, answer.ok ? `ack=peer: ${JSON.stringify(answer.body)}` : answer.reason);
  }

  /** No writes from when it resolves until what it resolves to is called; heartbeats and readers go on. */
  async hold(): Promise<() => void> {
    this.#holding = true;
    await this.#writesSettled();
    return () => {
      this.#holding = false;
    };
  }

  /** Some clients connected to the region vanish: no more heartbeats, no logout. Their sessions must be gone after the TTL. */
  vanish(region: string, count: number): void {
    const idle = this.ledger.openAt(region).filter(({ busy }) => !busy);
    for (const entry of idle.slice(0, count)) this.ledger.leaving(entry);
  }

  #opened({ user, region, sentMs, session, token }: Login): Entry {
    const entry: Entry = {
      user,
      session,
      region,
      state: "open",
      statuses: ["online"],
      acceptedMs: sentMs,
      token,
      busy: false,
    };
    this.ledger.opened(entry);
    this.#acknowledged(region, sentMs);
    return entry;
  }

  async #writesSettled(): Promise<void> {
    await Promise.all([...this.#underWay.values()].flatMap((calls) => [...calls]));
  }

  async #write(region: string, api: RegionApi): Promise<void> {
    const { signal } = this.#writing;
    const calls = new Set<Promise<void>>();
    this.#underWay.set(region, calls);
    let due = 0;
    let lastMs = performance.now();
    await repeat(signal, TICK_MS, () => {
      const now = performance.now();
      // Writes missed by a pause of this process are not made up for.
      due = Math.min(due + ((now - lastMs) / 1_000) * this.#options.perSecond, UNDER_WAY_MAX);
      lastMs = now;
      for (; due >= 1; due--) {
        if (calls.size >= UNDER_WAY_MAX || this.#holding) continue;
        const call = this.#event(region, api).finally(() => calls.delete(call));
        calls.add(call);
      }
      return Promise.resolve();
    });
  }

  async #event(region: string, api: RegionApi): Promise<void> {
    const open = this.ledger.openAt(region).filter(({ busy }) => !busy);
    const entry = open[Math.floor(Math.random() * open.length)];
    const { sessionsMax } = this.#options;
    const draw = Math.random();
    const mayOpen = open.length < sessionsMax;
    if (entry === undefined || (mayOpen && (draw < LOGIN_SHARE || open.length < sessionsMax / 2))) {
      if (mayOpen) await this.login(region, this.#home(region));
    } else if (draw < LOGIN_SHARE + LOGOUT_SHARE) {
      await this.#logout(api, entry);
    } else {
      await this.change(entry);
    }
  }

  #home(region: string): string | undefined {
    const others = [...this.#apis.keys()].filter((name) => name !== region);
    return Math.random() < this.#options.travellers
      ? others[Math.floor(Math.random() * others.length)]
      : undefined;
  }

  async #logout(api: RegionApi, entry: Entry): Promise<void> {
    this.ledger.leaving(entry);
    const token = await this.#send(api, entry, "DELETE");
    if (token !== undefined) this.ledger.over(entry, token);
  }

  /** The token, when the write was acknowledged. */
  async #send(
    api: RegionApi,
    { region, session }: Entry,
    method: "PATCH" | "DELETE",
    body?: unknown,
  ): Promise<string | undefined> {
    const sentMs = performance.now();
    const answer = await api.send(method, `/v1/sessions/${session}`, body);
    if (answer.ok && answer.status === 200) {
      this.#acknowledged(region, sentMs);
      return TokenShape.Check(answer.body) ? answer.body.token : "";
    }
    return this.#fail(region, answer.ok ? `${method} status ${answer.status}` : answer.reason);
  }

  /** To each node of the region: it has leases of its own, and hears of no heartbeat at another. */
  #beats(region: string, api: RegionApi): Promise<void> {
    return repeat(this.#stopping.signal, this.#options.heartbeatMs, async () => {
      const here = this.ledger.openAt(region);
      for (let from = 0; from < here.length; from += BEATS_MAX)
        await this.#beat(region, api, here.slice(from, from + BEATS_MAX));
    });
  }

  async #beat(region: string, api: RegionApi, here: readonly Entry[]): Promise<void> {
    const sentMs = performance.now();
    const answer = await api.heartbeats(here.map(({ session }) => session));
    if (!answer.ok) return this.#fail(region, answer.reason);
    const ended = new Map(answer.value.ended.map(({ session, reason }) => [session, reason]));
    const undecided = new Set(answer.value.undecided);
    for (const entry of here) {
      const why = ended.get(entry.session);
      if (undecided.has(entry.session)) continue;
      if (why === undefined) {
        entry.acceptedMs = sentMs;
        this.#acceptedHeartbeats += 1;
      } else if (entry.state === "open") {
        this.#refusedHeartbeats += 1;
        this.#tell(`${region}: a heartbeat was refused: ${why}`);
      }
    }
  }

  #acknowledged(region: string, sentMs: number): void {
    const newest = this.#newest.get(region);
    if (newest === undefined || sentMs > newest.sentMs)
      this.#newest.set(region, { sentMs, acknowledgedMs: performance.now() });
  }

  #fail(region: string, reason: string): undefined {
    this.#failed.set(region, (this.#failed.get(region) ?? 0) + 1);
    this.#tell(`${region}: ${reason.slice(0, 200)}`);
    return undefined;
  }

  #tell(reason: string): void {
    if (this.#reasons.has(reason) || this.#reasons.size < REASONS_MAX)
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }
}
