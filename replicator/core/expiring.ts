/**
 * Ends the sessions connected to a lost region, for its heir. Rule: nobody keeps them alive any more, so each gets one fresh TTL, as after a
 * start of the region's own nodes; what is still in view then is closed, by the region's log and on the same way as what it said before.
 */
import { defined } from "./assert.ts";
import type { Close, DeputedCommand, Region, UserId } from "./commands.ts";
import type { Now } from "./lag.ts";
import type { Replica } from "./replica.ts";
import { sessionsOf } from "./view.ts";

/** Users looked at per tick: 100,000 take 5 s. */
const LOOKED_MAX = 1_000;
/** Asked for in one append, one append at a time. */
const CLOSES_MAX = 1_000;
/** What was asked for and not folded since is asked for again after this long. */
const RETRY_MS = 5_000;

export class Expiring {
  readonly #region: Region;
  readonly #ttlMs: number;
  /** The replica of the moment. */
  readonly #replica: () => Replica;
  #sinceMs: number | undefined;
  #users: Iterator<UserId> | undefined;
  /** Of whom closes were asked for, and when; oldest first. */
  readonly #ending = new Map<UserId, number>();
  #inFlight = false;

  constructor(region: Region, ttlMs: number, replica: () => Replica) {
    this.#region = region;
    this.#ttlMs = ttlMs;
    this.#replica = replica;
  }

  /** Another replica took the place of the one that was walked through. */
  adopted(): void {
    this.#users = undefined;
    this.#ending.clear();
  }

  settled(): void {
    this.#inFlight = false;
  }

  /** What the region's log has to say now. */
  due(now: Now): readonly DeputedCommand[] {
    this.#sinceMs ??= now.monoMs;
    if (this.#inFlight || now.monoMs - this.#sinceMs < this.#ttlMs) return [];
    for (const [user, sinceMs] of this.#ending) {
      if (now.monoMs - sinceMs <= RETRY_MS) break;
      this.#ending.delete(user);
    }
    const users = (this.#users ??= usersOf(this.#replica()));
    const commands: DeputedCommand[] = [];
    for (let looked = 0; looked < LOOKED_MAX && commands.length < CLOSES_MAX; looked++) {
      const { value: user, done } = users.next();
      if (done === true) {
        this.#users = undefined;
        break;
      }
      if (this.#ending.has(user)) continue;
      const closes = this.#closesOf(user);
      if (closes.length > 0) this.#ending.set(user, now.monoMs);
      commands.push(...closes);
    }
    this.#inFlight = commands.length > 0;
    return commands;
  }

  #closesOf(user: UserId): DeputedCommand[] {
    const replica = this.#replica();
    const commands: DeputedCommand[] = [];
    for (const { region, session } of sessionsOf(replica.folds, replica.provisional, user).sessions) {
      if (region !== this.#region) continue;
      const close: Close = { kind: "close", user, session, reason: "expired", by: "" };
      const to = defined(replica.route(this.#region, close), "a log spoke of who is shown");
      commands.push(to === this.#region ? close : { kind: "forward", to, command: close });
    }
    return commands;
  }
}

function* usersOf({ folds }: Replica): Generator<UserId> {
  for (const { table } of folds) yield* table.keys();
}
