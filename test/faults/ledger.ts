/**
 * What clients were promised: every session whose login was acknowledged, and what has been acknowledged about it since.
 * Rule: only answers count. A request without an answer makes both outcomes right until its session is over.
 */
export interface Entry {
  readonly user: string;
  readonly session: string;
  /** Where it is connected. */
  readonly region: string;
  /**
   * `open`: heartbeats go on, it must be shown. `leaving`: a logout is under way or was not answered, no heartbeats any more, it may
   * be shown until its TTL is over. `over`: its logout was acknowledged, it must not be shown once that is known.
   */
  state: "open" | "leaving" | "over";
  /** Any of these is a right status: one, but for changes under way or never answered. */
  statuses: readonly string[];
  /** When the last heartbeat that was accepted, or the login, was sent; by this process's monotonic clock. */
  acceptedMs: number;
  /** Of the newest acknowledged write. */
  token: string;
  /** A change or logout is under way. */
  busy: boolean;
}

export class Ledger {
  readonly #bySession = new Map<string, Entry>();
  readonly #open = new Map<string, Map<string, Entry>>();
  /** Acknowledged logins, changes and logouts. */
  acknowledged = 0;

  opened(entry: Entry): void {
    this.#bySession.set(entry.session, entry);
    const open = this.#open.get(entry.region) ?? new Map<string, Entry>();
    this.#open.set(entry.region, open);
    open.set(entry.session, entry);
    this.acknowledged += 1;
  }

  /** The client wants it closed, and sends no more heartbeats. */
  leaving(entry: Entry): void {
    entry.state = "leaving";
    this.#open.get(entry.region)?.delete(entry.session);
  }

  over(entry: Entry, token: string): void {
    entry.state = "over";
    entry.token = token;
    this.acknowledged += 1;
  }

  changed(entry: Entry, status: string, token: string): void {
    entry.statuses = [status];
    entry.token = token;
    this.acknowledged += 1;
  }

  get(session: string): Entry | undefined {
    return this.#bySession.get(session);
  }

  /** Open sessions connected to one region, oldest first. */
  openAt(region: string): Entry[] {
    return [...(this.#open.get(region)?.values() ?? [])];
  }

  /** Open sessions everywhere. */
  open(): Entry[] {
    return [...this.#open.keys()].flatMap((region) => this.openAt(region));
  }
}
