/**
 * Changes of realistic size and mix: users at random log in, go away, come back, and log out; what results is known without folding.
 * Rule: equal seeds give equal changes, and no change is one that a fold refuses.
 */
import type { Close, Open, Update } from "../../../replicator/core/commands.ts";
import { random32 } from "./stats.ts";

const DEVICES = ["web", "ios", "android", "desktop"] as const;
/** 12 characters, as the 9 random bytes of a real session id have. */
const SESSION_DIGITS = 11;

const OFFLINE = 0;
const ONLINE = 1;
const AWAY = 2;
const BACK = 3;

export class Changes {
  readonly #region: string;
  readonly #users: readonly string[];
  readonly #random: () => number;
  /** Per user: offline, online, away, or back. */
  readonly #stages: Uint8Array;
  readonly #sessions: string[];
  #opened = 0;
  #online = 0;

  /** `users` at most a million: ids are 10 characters long. */
  constructor(region: string, users: number, seed: number) {
    this.#region = region;
    this.#users = Array.from({ length: users }, (_, index) => `user${String(index).padStart(6, "0")}`);
    this.#random = random32(seed);
    this.#stages = new Uint8Array(users);
    this.#sessions = Array.from({ length: users }, () => "");
  }

  /** Users with their one session. */
  get online(): number {
    return this.#online;
  }

  /** First every user logs in once; from then on users are picked at random. */
  next(): Open | Update | Close {
    const fresh = this.#opened < this.#users.length && this.#stages[this.#opened] === OFFLINE;
    const index = fresh ? this.#opened : this.#random() % this.#users.length;
    const user = this.#users[index] ?? "";
    switch (this.#stages[index] ?? OFFLINE) {
      case ONLINE:
        this.#stages[index] = AWAY;
        return { kind: "update", user, session: this.#sessions[index] ?? "", status: "away", state: "" };
      case AWAY:
        this.#stages[index] = BACK;
        return { kind: "update", user, session: this.#sessions[index] ?? "", status: "online", state: "" };
      case BACK:
        this.#stages[index] = OFFLINE;
        this.#online -= 1;
        return { kind: "close", user, session: this.#sessions[index] ?? "", reason: "logout", by: "" };
      default:
        return this.#open(user, index);
    }
  }

  #open(user: string, index: number): Open {
    const session = `s${String(this.#opened).padStart(SESSION_DIGITS, "0")}`;
    const device = DEVICES[index % DEVICES.length] ?? "web";
    this.#opened += 1;
    this.#online += 1;
    this.#stages[index] = ONLINE;
    this.#sessions[index] = session;
    return {
      kind: "open",
      user,
      session: {
        session,
        region: this.#region,
        device,
        platform: device,
        policy: "multi",
        status: "online",
        state: "",
        sinceMs: Date.now(),
      },
    };
  }
}
