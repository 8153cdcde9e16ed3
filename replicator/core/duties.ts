/**
 * What is done for one region's log, whoever writes it: accept what is forwarded there, give up lost claims, end preferences, mark and
 * state digests. Rule: every duty may be repeated harmlessly, so several nodes may do them at once.
 */
import { defined } from "./assert.ts";
import type { DeputedCommand, Digest, Frame, Region, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import type { Duty } from "./node-events.ts";
import type { Replica } from "./replica.ts";

/** Accepts in one append: keeps one frame's worth at a time in flight per peer. */
const ACCEPTS_MAX = 1_000;
const DROPS_MAX = 1_000;
/** A duty whose outcome was never folded is done again after this long. */
const RETRY_MS = 5_000;

interface Accepting {
  /** Highest ordinal accepted in an append, whether folded yet or not. */
  cursor: number;
  inFlight: boolean;
  sinceMs: number;
}

export interface DutiesOptions {
  readonly region: Region;
  /** The replica of the moment. */
  readonly replica: () => Replica;
  /** Whether what the replica says may be written to a log. */
  readonly mayAccept: () => boolean;
  readonly append: (duty: Duty, commands: readonly DeputedCommand[]) => void;
}

export class Duties {
  readonly region: Region;
  readonly #replica: () => Replica;
  readonly #mayAccept: () => boolean;
  readonly #append: DutiesOptions["append"];
  readonly #accepting = new Map<Region, Accepting>();
  readonly #dropping = new Map<UserId, number>();
  /** Users homed in the region whose preferred status has an end, by wall clock. */
  readonly #untilMs = new Map<UserId, number>();
  /** When the log's newest mark was folded or asked for. */
  #markAtMs = Number.NEGATIVE_INFINITY;
  /** Digests to append: this node's, at the log's marks. */
  readonly #digests: Digest[] = [];

  constructor({ region, replica, mayAccept, append }: DutiesOptions) {
    this.region = region;
    this.#replica = replica;
    this.#mayAccept = mayAccept;
    this.#append = append;
    this.#readPreferences();
  }

  /** Another replica took the place of the one that there was. */
  adopted(): void {
    this.#accepting.clear();
    this.#dropping.clear();
    this.#digests.length = 0;
    this.#untilMs.clear();
    this.#readPreferences();
  }

  #readPreferences(): void {
    for (const { user, preferredUntilMs, movedTo } of this.#own.table.values())
      if (preferredUntilMs !== 0 && movedTo === "") this.#untilMs.set(user, preferredUntilMs);
  }

  get #own(): Fold {
    return defined(this.#replica().fold(this.region), "a replica has every region");
  }

  preferred(user: UserId, untilMs: number): void {
    if (untilMs === 0) this.#untilMs.delete(user);
    else this.#untilMs.set(user, untilMs);
  }

  marked(at: number, sums: Uint8Array): void {
    this.#digests.push({ kind: "digest", at, sums });
  }

  /** Several nodes may mark at about the same time: each waits after any mark. */
  isMarkDue(now: Now): boolean {
    const isDue = now.monoMs - this.#markAtMs >= LIMITS.digestMs;
    if (isDue) this.#markAtMs = now.monoMs;
    return isDue;
  }

  /** A frame of the region's log was folded. */
  folded(frame: Frame, now: Now): void {
    for (const peer of this.#accepting.keys()) this.accept(peer, now);
    if (frame.commands.some((command) => this.#isMark(command))) this.#markAtMs = now.monoMs;
    const digests = this.#digests.splice(0);
    if (digests.length > 0) this.#append({ kind: "digest" }, digests);
  }

  #isMark(command: Frame["commands"][number]): boolean {
    if (command.kind === "deputed") return command.region === this.region && command.command.kind === "mark";
    return command.kind === "mark";
  }

  settled(from: Region, ok: boolean, now: Now): void {
    const state = this.#accepting.get(from);
    if (state === undefined) return;
    state.inFlight = false;
    state.sinceMs = now.monoMs;
    if (!ok) state.cursor = 0;
    else this.accept(from, now);
  }

  /** Appends the next forwards from `from`, in their order, each tagged with where it stands. */
  accept(from: Region, now: Now): void {
    const origin = this.#replica().fold(from);
    if (origin === undefined || !this.#mayAccept()) return;
    const state = this.#accepting.get(from) ?? { cursor: 0, inFlight: false, sinceMs: now.monoMs };
    this.#accepting.set(from, state);
    const done = this.#own.processedOf(origin.lineage);
    if (state.inFlight) return;
    if (state.cursor < done || now.monoMs - state.sinceMs > RETRY_MS) state.cursor = done;
    const commands: DeputedCommand[] = [];
    for (const { ordinal, command } of this.#replica().provisional.queue(from, this.region)) {
      if (ordinal <= state.cursor) continue;
      commands.push({
        kind: "accept",
        from,
        lineage: origin.lineage,
        after: state.cursor,
        at: ordinal,
        command,
      });
      state.cursor = ordinal;
      if (commands.length === ACCEPTS_MAX) break;
    }
    if (commands.length === 0) return;
    state.inFlight = true;
    this.#append({ kind: "accept", from }, commands);
  }

  tick(now: Now): void {
    for (const { region } of this.#replica().folds) if (region !== this.region) this.accept(region, now);
    this.#dropLost(now);
    this.#endPreferences(now);
  }

  /** Gives up the users that another region has won. The fold of the drop forwards their sessions before it forgets them. */
  #dropLost(now: Now): void {
    const replica = this.#replica();
    for (const [user, sinceMs] of this.#dropping) {
      const gone = !replica.contested.has(user);
      if (gone || now.monoMs - sinceMs > RETRY_MS) this.#dropping.delete(user);
    }
    const commands: DeputedCommand[] = [];
    for (const user of replica.contested) {
      const to = replica.winner(user);
      const held = this.#own.homed(user) !== undefined;
      if (to === undefined || to === this.region || !held || this.#dropping.has(user)) continue;
      this.#dropping.set(user, now.monoMs);
      commands.push({ kind: "drop", user, to });
      if (commands.length === DROPS_MAX) break;
    }
    if (commands.length > 0) this.#append({ kind: "drop" }, commands);
  }

  #endPreferences(now: Now): void {
    const commands: DeputedCommand[] = [];
    for (const [user, untilMs] of this.#untilMs) {
      if (untilMs > now.wallMs) continue;
      if (this.#own.homed(user) === undefined) {
        // Given up since: the drop forwarded the preference, and ending it is for the new home.
        this.#untilMs.delete(user);
        continue;
      }
      this.#untilMs.set(user, now.wallMs + RETRY_MS);
      commands.push({ kind: "prefer", user, preferred: "automatic", untilMs: 0 });
    }
    if (commands.length > 0) this.#append({ kind: "automatic" }, commands);
  }
}
