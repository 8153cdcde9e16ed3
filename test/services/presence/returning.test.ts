/**
 * A region is lost, evacuated to its heir, and comes back, over whole regions and HTTP. Rule: what was decided meanwhile stands, nothing that
 * the region said unheard takes its place, and all of that is told.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defined } from "../../../replicator/core/assert.ts";
import type { Region } from "../../../replicator/core/commands.ts";
import { Regions, until, untilHolds } from "./regions.ts";

const NAMES = ["cn", "us", "eu"];
const TTL_MS = 6_000;
const BEAT_MS = 1_000;
const RETRY_MS = 100;

interface Answer {
  readonly status: number;
  readonly body: Body;
}

/** What any of the calls may answer. */
interface Body {
  readonly session: string;
  readonly presences: readonly Seen[];
  readonly requests: readonly { readonly from: string }[];
  readonly plan: Plan;
  readonly regions: readonly RegionSeen[];
  readonly finished: boolean;
  readonly compared: number;
  readonly differences: readonly unknown[];
}

interface Seen {
  readonly user: string;
  readonly status: string;
  readonly home: string;
  readonly sessions: readonly {
    readonly session: string;
    readonly region: string;
    readonly provisional?: boolean;
  }[];
}

interface Plan {
  readonly users: number;
  readonly refusals: readonly unknown[];
  readonly lost: { readonly position: number };
}

interface RegionSeen {
  readonly region: string;
  readonly homes: number;
  readonly succession?: { readonly phase: string; readonly generation: number };
}

/** Three regions with their clients. */
class World {
  readonly regions = new Regions(NAMES, {}, { ttlMs: TTL_MS, heartbeatMs: BEAT_MS });
  /** By user: where they are connected, and how. */
  readonly #alive = new Map<string, { readonly at: Region; readonly session: string }>();
  readonly #beating = setInterval(() => this.#beat(), BEAT_MS);

  async stop(): Promise<void> {
    clearInterval(this.#beating);
    await this.regions.stop();
  }

  async send(at: Region, method: string, path: string, body?: object): Promise<Answer> {
    const answer = await fetch(`${this.regions.node(at).url}${path}`, {
      method,
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  }

  /** What is to be answered with that status. */
  async #sends(status: number, at: Region, method: string, path: string, body?: object): Promise<Body> {
    const answer = await this.send(at, method, path, body);
    if (answer.status === status) return answer.body;
    throw new Error(`${method} ${path} at ${at} answers ${answer.status}: ${JSON.stringify(answer.body)}`);
  }

  async login(at: Region, user: string, more: object = {}): Promise<string> {
    const { session } = await this.#sends(201, at, "POST", "/v1/sessions", { user, ...more });
    this.#alive.set(user, { at, session });
    return session;
  }

  async logout(at: Region, session: string): Promise<void> {
    await this.#sends(200, at, "DELETE", `/v1/sessions/${session}`);
  }

  async leave(user: string): Promise<void> {
    const { at, session } = defined(this.#alive.get(user), "the user is there");
    this.#alive.delete(user);
    await this.logout(at, session);
  }

  async prefer(at: Region, user: string, status: string): Promise<void> {
    await this.#sends(200, at, "PUT", `/v1/users/${user}/status`, { status });
  }

  async ask(at: Region, from: string, to: string): Promise<void> {
    await this.#sends(201, at, "POST", "/v1/friend-requests", { from, to, ack: "local" });
  }

  async inbox(at: Region, user: string): Promise<string[]> {
    const { requests } = await this.#sends(200, at, "GET", `/v1/users/${user}/friend-requests`);
    return requests.map(({ from }) => from).toSorted();
  }

  async seen(at: Region, users: readonly string[]): Promise<readonly Seen[]> {
    return (await this.#sends(200, at, "POST", "/v1/presence", { users })).presences;
  }

  evacuate(at: Region, more: object = {}): Promise<Answer> {
    return this.send(at, "POST", "/v1/regions/cn/evacuate", { to: "us", reason: "quake", ...more });
  }

  async plan(): Promise<Plan> {
    return (await this.evacuate("us", { dryRun: true })).body.plan;
  }

  async returned(): Promise<Body> {
    return (await this.send("cn", "GET", "/v1/regions/cn/returned")).body;
  }

  /** How the succession of cn stands, by what that region knows. */
  async phase(at: Region): Promise<string> {
    const { phase, generation } = (await this.#cn(at)).succession ?? {};
    return `${phase} ${generation}`;
  }

  /** Users homed in cn. */
  async homes(at: Region): Promise<number> {
    return (await this.#cn(at)).homes;
  }

  async #cn(at: Region): Promise<RegionSeen> {
    const { body } = await this.send(at, "GET", "/v1/regions");
    const found = body.regions.find(({ region }) => region === "cn");
    if (found === undefined) throw new Error(`${at} knows no cn`);
    return found;
  }

  async lose(): Promise<void> {
    await this.regions.stopNode("cn");
    this.regions.server("cn").stop();
    for (const [user, { at }] of this.#alive) if (at === "cn") this.#alive.delete(user);
    for (const at of ["us", "eu"]) this.regions.startReplicator(at);
  }

  /** Resolves when cn has accepted a write, with the answers before that. */
  async comeBack(): Promise<number[]> {
    this.regions.server("cn").start();
    await this.regions.startNode("cn");
    this.regions.startReplicator("cn");
    const refused: number[] = [];
    for (let n = 0; ; n++) {
      const { status, body } = await this.send("cn", "POST", "/v1/sessions", { user: `knocker${n}` });
      if (status === 201) {
        await this.logout("cn", body.session);
        return refused;
      }
      refused.push(status);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Of the replica at that node, against snapshot and logs. */
  async differences(at: Region): Promise<unknown> {
    for (;;) {
      const { body } = await this.send(at, "POST", "/v1/verify", {});
      if (body.compared === NAMES.length) return body.differences;
    }
  }

  #beat(): void {
    for (const [user, { at, session }] of this.#alive)
      if (this.regions.node(at).presence.heartbeat(session) !== undefined) this.#alive.delete(user);
  }
}

describe("a region that is lost, evacuated, and comes back", { timeout: 300_000 }, () => {
  const world = new World();
  const { regions } = world;
  let logins = 0;
  beforeAll(() => regions.start(...NAMES));
  afterAll(() => world.stop());

  /** Loses cn with a tail that nobody else has, and begins the evacuation; `n` tells the users of one loss from those of another. */
  async function lose(n: number): Promise<void> {
    for (const user of ["ann", "bob", "cleo", "dan"]) await world.login("cn", `${user}${n}`);
    await world.login("us", `fay${n}`);
    logins += 1;
    await world.ask("cn", `ann${n}`, `fay${n}`);
    for (const at of ["us", "eu"])
      await until(`${at} sees all`, () => regions.online(at) === regions.online("cn"));
    for (const at of ["us", "eu"])
      await untilHolds(`${at} has the request`, async () => (await world.inbox(at, `fay${n}`)).length === 1);
    expect(await world.evacuate("us")).toMatchObject({
      status: 409,
      body: { reasons: expect.arrayContaining([expect.objectContaining({ reason: "in-touch" })]) },
    });

    for (const at of NAMES) await regions.stopReplicator(at);
    await world.login("cn", `eve${n}`);
    await world.login("cn", `gil${n}`, { home: "us" });
    await world.prefer("cn", `bob${n}`, "busy");
    await world.prefer("cn", `cleo${n}`, "busy");
    await world.ask("cn", `dan${n}`, `fay${n}`);
    await world.lose();
    await untilHolds("cn counts as lost", async () => (await world.plan()).refusals.length === 0);
  }

  /** us and eu go on, with what contradicts the tail. */
  async function goOn(n: number): Promise<void> {
    const login = await world.login("us", `ann${n}`, { policy: "single" });
    await world.prefer("us", `cleo${n}`, "away");
    await world.ask("eu", `hal${n}`, `bob${n}`);
    for (const at of ["us", "eu"])
      await untilHolds(`${at} has ann decided`, async () => {
        const [ann] = await world.seen(at, [`ann${n}`]);
        const [one, ...more] = ann?.sessions ?? [];
        return one?.session === login && one.provisional !== true && more.length === 0;
      });
    const left = logins + n;
    await until(
      "cn's sessions are over",
      () => regions.online("us") === left && regions.online("eu") === left,
    );
  }

  async function allSay(n: number): Promise<void> {
    const users = ["ann", "bob", "cleo", "dan", "eve", "fay", "gil", "hal"].map((user) => `${user}${n}`);
    for (const at of NAMES) {
      await untilHolds(`${at} says what cn says, of all the requests too`, async () => {
        const [theirs, ours] = [await world.seen(at, users), await world.seen("cn", users)];
        const inboxes = [await world.inbox(at, `fay${n}`), await world.inbox(at, `bob${n}`)];
        const isSame = JSON.stringify(theirs.map(shown)) === JSON.stringify(ours.map(shown));
        return isSame && inboxes.join(" and ") === `ann${n},dan${n} and hal${n}`;
      });
    }
    const homes = await Promise.all(NAMES.map((at) => world.homes(at)));
    expect(new Set(homes).size).toBe(1);
    for (const at of NAMES) expect(await world.differences(at)).toEqual([]);
  }

  it.each([1, 2])(
    "finds what its heir decided, and says again what of its unheard end may still be said; loss %i",
    async (n) => {
      await lose(n);
      const plan = await world.plan();
      expect(plan).toMatchObject({ sessions: 4, lost: { folded: { eu: expect.any(Number) } } });
      expect(plan.users).toBeGreaterThanOrEqual(4);
      expect((await world.evacuate("us")).status).toBe(200);
      for (const at of ["us", "eu"])
        await untilHolds(`${at} goes on`, async () => (await world.phase(at)) === `succeed ${n}`);
      await goOn(n);

      const refused = await world.comeBack();
      expect(new Set(refused)).toEqual(new Set([503]));
      for (const at of NAMES)
        await untilHolds(`${at} knows that us yielded`, async () => (await world.phase(at)) === `yield ${n}`);
      await untilHolds("the end is gone through", async () => (await world.returned()).finished);
      expect(await world.returned()).toMatchObject({
        generation: n,
        users: 5,
        counts: { opened: { lost: 2 }, preferred: { lost: 2 }, friends: { again: 1 } },
        listed: expect.arrayContaining([
          { user: `eve${n}`, items: [{ what: "opened", became: "lost", why: expect.any(String) }] },
          { user: `gil${n}`, items: [{ what: "opened", became: "lost", why: expect.any(String) }] },
          { user: `cleo${n}`, items: [{ what: "preferred", became: "lost", why: expect.any(String) }] },
          { user: `dan${n}`, items: [{ what: "friends", became: "again", why: "" }] },
        ]),
      });
      await allSay(n);
      const users = [`bob${n}`, `cleo${n}`];
      for (const user of users) await world.login("cn", user);
      for (const at of NAMES)
        await untilHolds(`${at} shows what they prefer`, async () => {
          const seen = await world.seen(at, users);
          return seen.map(({ status, home }) => `${status} ${home}`).join() === "online cn,away cn";
        });
      for (const user of users) await world.leave(user);
    },
  );
});

function shown({ user, status, home, sessions }: Seen): unknown[] {
  return [user, status, home, sessions.map(({ session }) => session)];
}
