/**
 * Users homed in cn of whom the region says one thing while it is cut off, and its heir decides another since. Rule: what was decided last
 * stands in every region; and what was acknowledged with ack=peer before is nowhere lost.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { pause } from "../../health.ts";
import { ask } from "../../operator.ts";
import { repeat } from "../../repeat.ts";
import type { Stage } from "../../stage.ts";

const COUNT = 10;
const BEAT_MS = 1_000;
const SETTLE_MS = 20_000;
const LOOK_EVERY_MS = 200;
const OpenedShape = Compile(Type.Object({ session: Type.String() }));
const InboxShape = Compile(Type.Object({ requests: Type.Array(Type.Object({ from: Type.String() })) }));
const AnyShape = Compile(Type.Object({}));

const NUMBERS = Array.from({ length: COUNT }, (_, number) => number);
const preferring = (number: number): string => `preferring${number}`;
const single = (number: number): string => `single${number}`;
const asking = (number: number): string => `asking${number}`;
const asked = (number: number): string => `asked${number}`;
const alone = (number: number): string => `alone${number}`;

export class Witnesses {
  readonly #stage: Stage;
  readonly #stopping = new AbortController();
  /** By region: sessions that are kept alive. */
  readonly #alive = new Map<string, string[]>();
  /** Logged in with ack=peer, at cn. */
  readonly #confirmed: string[] = [];
  /** By user: the only session that may be shown since. */
  readonly #decided = new Map<string, string>();
  #beating: Promise<void> = Promise.resolve();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** All are known everywhere, and homed in cn; those who prefer are connected to both others, too. */
  async begin(): Promise<void> {
    for (const number of NUMBERS) {
      await this.#login("us", preferring(number), { home: "cn" });
      await this.#login("us", single(number), { home: "cn" });
      await this.#send(
        "cn",
        ["POST", "/v1/friend-requests", { from: asking(number), to: asked(number) }],
        201,
      );
      const user = `confirmed${number}`;
      await this.#login("cn", user, {}, "?ack=peer");
      this.#confirmed.push(user);
    }
    this.#beating = repeat(this.#stopping.signal, BEAT_MS, () => this.#beat());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#beating;
  }

  /** What cn says of them while nobody hears it; resolves to all users of whom it does. */
  async sayAlone(): Promise<string[]> {
    for (const number of NUMBERS) {
      await this.#send("cn", ["PUT", `/v1/users/${preferring(number)}/status`, { status: "busy" }], 200);
      await this.#login("cn", single(number), { policy: "single" });
      await this.#login("cn", alone(number), {});
    }
    return NUMBERS.flatMap((number) => [preferring(number), single(number), alone(number)]);
  }

  /** How many of those whom cn had confirmed one of these regions does not show, who have them at most a TTL long. */
  async confirmedAt(regions: readonly string[]): Promise<{ readonly lost: number }> {
    let lost = 0;
    for (const region of regions) {
      const answer = await this.#stage.region(region).api.presences(this.#confirmed);
      if (!answer.ok) throw new Error(answer.reason);
      lost += answer.value.filter(({ sessions }) => sessions.length === 0).length;
    }
    return { lost };
  }

  /** Decides otherwise. */
  async decide(heir: string): Promise<void> {
    for (const number of NUMBERS) {
      await this.#send(heir, ["PUT", `/v1/users/${preferring(number)}/status`, { status: "away" }], 200);
      const session = await this.#login(heir, single(number), { policy: "single" });
      this.#decided.set(single(number), session);
    }
  }

  /** In words, of whom a region says what was decided no more, when it had time to say so. */
  async overridden(): Promise<readonly string[]> {
    let found = await this.#otherwise();
    for (const sinceMs = performance.now(); found.length > 0 && performance.now() - sinceMs < SETTLE_MS;) {
      await pause(LOOK_EVERY_MS, this.#stage.signal);
      found = await this.#otherwise();
    }
    return found;
  }

  async #otherwise(): Promise<string[]> {
    const found: string[] = [];
    for (const { name, api } of this.#stage.regions) {
      const preferred = await api.presences(NUMBERS.map(preferring));
      const singles = await api.presences(NUMBERS.map(single));
      if (!preferred.ok || !singles.ok) throw new Error(`${name} does not answer`);
      for (const { user, status } of preferred.value)
        if (status !== "away") found.push(`${user} is ${status} at ${name}, decided was away`);
      for (const { user, sessions } of singles.value) {
        const shown = sessions.map(({ session }) => session).join();
        if (shown !== this.#decided.get(user)) found.push(`${user} has sessions ${shown} at ${name}`);
      }
    }
    return found;
  }

  /** Friend requests that were confirmed, and that a region does not show. */
  async requestsLost(): Promise<number> {
    let lost = 0;
    for (const { api } of this.#stage.regions)
      for (const number of NUMBERS) {
        const path = `/v1/users/${asked(number)}/friend-requests`;
        const { requests } = await ask(api, ["GET", path], 200, InboxShape);
        if (!requests.some(({ from }) => from === asking(number))) lost += 1;
      }
    return lost;
  }

  async #login(region: string, user: string, more: object, query = ""): Promise<string> {
    const { api } = this.#stage.region(region);
    const call = ["POST", `/v1/sessions${query}`, { user, ...more }] as const;
    const { session } = await ask(api, call, 201, OpenedShape);
    this.#alive.set(region, [...(this.#alive.get(region) ?? []), session]);
    return session;
  }

  async #send(
    region: string,
    call: readonly ["POST" | "PUT", string, unknown],
    status: number,
  ): Promise<void> {
    await ask(this.#stage.region(region).api, call, status, AnyShape);
  }

  /** Who was kicked is told so, and who is down does not answer: both are as it must be. */
  async #beat(): Promise<void> {
    for (const [region, sessions] of this.#alive) await this.#stage.region(region).api.heartbeats(sessions);
  }
}
