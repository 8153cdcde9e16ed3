/**
 * The node's duties towards the logs, as `step(event, now) → effects`: fold what comes, accept what is forwarded here, give up
 * lost claims, append watermarks, measure lag. Driven alike in production and in simulation; clock and IO are the driver's.
 * Rule: every duty may be repeated harmlessly, so several nodes of a region may run it at once.
 */
import { defined } from "./assert.ts";
import { Evacuations } from "./evacuation.ts";
import type { Command, Digest, Frame, Position, Region, UserId } from "./commands.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import { LinkMatrix } from "./matrix.ts";
import type { Duty, NodeEffect, NodeEvent } from "./node-events.ts";
import type { UserRecord } from "./record.ts";
import { Replica } from "./replica.ts";
import type { ReplicaListener } from "./replica.ts";
import { isSettled } from "./settled.ts";

/** Accepts in one append: keeps one frame's worth at a time in flight per peer. */
const ACCEPTS_MAX = 1_000;
const DROPS_MAX = 1_000;
/** Records looked at per fold and tick, for whether they are still what commands made of them: 100,000 take 5 s. */
const SCRUBBED_MAX = 1_000;
/** Changed records hashed per fold and tick; what is left over is hashed at the next mark. */
const SETTLED_MAX = 2_000;
/** A duty whose outcome was never folded is done again after this long. */
const RETRY_MS = 5_000;

interface Accepting {
  /** Highest ordinal accepted in an append, whether folded yet or not. */
  cursor: number;
  inFlight: boolean;
  sinceMs: number;
}

export class PresenceNode {
  readonly region: Region;
  readonly matrix: LinkMatrix;
  readonly evacuations: Evacuations;
  #replica: Replica;
  #caughtUp = false;
  /** The replica was found wrong, and no other took its place yet: nothing it says is to be written to a log. */
  #suspect = false;
  #effects: NodeEffect[] = [];
  #watermarkInFlight = false;
  #watermarkAtMs = Number.NEGATIVE_INFINITY;
  readonly #accepting = new Map<Region, Accepting>();
  readonly #dropping = new Map<UserId, number>();
  /** Users homed here whose preferred status has an end, by wall clock. */
  readonly #untilMs = new Map<UserId, number>();
  /** When the own log's newest mark was folded or asked for. */
  #markAtMs = Number.NEGATIVE_INFINITY;
  /** Digests to append: this node's, at its own log's marks. */
  readonly #digests: Digest[] = [];
  /** The records being looked at, per fold. */
  readonly #scrubs = new Map<Region, Iterator<UserRecord>>();

  /** `regions` are all regions, this one included, in any order. */
  constructor(region: Region, regions: readonly Region[]) {
    this.region = region;
    const sorted = regions.toSorted();
    this.#replica = new Replica(sorted, this.#listener());
    this.matrix = new LinkMatrix(region, sorted, () => this.#replica);
    this.evacuations = new Evacuations(
      region,
      () => this.#replica,
      (user) => this.mayRelease(user),
    );
  }

  /** The replica of the moment: ask again each time. */
  get replica(): Replica {
    return this.#replica;
  }

  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Whether a planned release of the user is safe: {@link isSettled}. */
  mayRelease(user: UserId): boolean {
    return this.#caughtUp && isSettled(this.#replica, this.matrix, this.region, user);
  }

  /** Takes one event at `now`; the effects are the driver's to carry out, in order. */
  step(event: NodeEvent, now: Now): readonly NodeEffect[] {
    this.#effects = [];
    switch (event.kind) {
      case "frame":
        this.#frame(event.region, event.position, event.frame, now);
        break;
      case "caught-up":
        this.#catchUp(now);
        break;
      case "link":
        this.matrix.report(event.report, now);
        break;
      case "adopt":
        this.#adopt(event.replica, now);
        break;
      case "settled":
        this.#settled(event.duty, event.ok, now);
        break;
      case "tick":
        this.#tick(now);
        break;
    }
    return this.#effects;
  }

  #listener(): ReplicaListener {
    const { region } = this;
    return {
      opened: (user, session) => {
        if (this.#caughtUp && session.region === region)
          this.#effects.push({ kind: "opened", user, session });
      },
      ended: (user, ended) => {
        if (ended.session.region === region) this.#effects.push({ kind: "ended", user, ended });
      },
      closed: (close) => this.#effects.push({ kind: "closed", close }),
      preferred: (user, log, untilMs) => {
        if (log !== region) return;
        if (untilMs === 0) this.#untilMs.delete(user);
        else this.#untilMs.set(user, untilMs);
      },
      marked: (log, version, sums) => {
        if (log === region && this.#caughtUp) this.#digests.push({ kind: "digest", at: version, sums });
      },
      corrupt: (log, user) => {
        this.#suspect = true;
        this.#effects.push({ kind: "corrupt", region: log, user });
      },
      compared: (log, at, buckets, node) => {
        this.#suspect ||= buckets.length > 0;
        this.#effects.push({ kind: "compared", region: log, at, buckets, node });
      },
    };
  }

  /** What the old replica led to is forgotten; what it would have led to, the new one leads to again. */
  #adopt(replica: Replica, now: Now): void {
    this.#replica = replica;
    this.#suspect = false;
    replica.listener = this.#listener();
    this.matrix.adopted();
    this.evacuations.adopted();
    this.#accepting.clear();
    this.#dropping.clear();
    this.#digests.length = 0;
    this.#scrubs.clear();
    this.#untilMs.clear();
    for (const { user, preferredUntilMs, movedTo } of defined(
      replica.fold(this.region),
      "a replica has every region",
    ).table.values())
      if (preferredUntilMs !== 0 && movedTo === "") this.#untilMs.set(user, preferredUntilMs);
    if (this.#caughtUp) this.#catchUp(now);
  }

  #frame(region: Region, position: Position, frame: Frame, now: Now): void {
    const result = this.replica.apply(region, position, frame);
    if (result === "applied") {
      this.matrix.folded(region, frame, now, this.#caughtUp);
      if (region === this.region) {
        for (const peer of this.#accepting.keys()) this.#accept(peer, now);
        this.#appendDigests(frame, now);
      } else this.#accept(region, now);
    } else if (result !== "duplicate") {
      this.matrix.refused(region, `frame ${position}: ${result}`, now);
      this.#effects.push({ kind: "refused", region, position, reason: result });
    }
  }

  #catchUp(now: Now): void {
    this.#caughtUp = true;
    for (const fold of this.replica.folds) {
      for (const user of fold.table.keys()) this.#announce(user);
      for (const { region } of this.replica.folds) {
        for (const { command } of this.replica.provisional.queue(fold.region, region))
          this.#announce(command.user);
      }
    }
    this.#tick(now);
  }

  #announce(user: UserId): void {
    const shown = this.replica.view(user)?.sessions.map(({ session }) => session) ?? [];
    for (const session of [...shown, ...this.replica.replaced(user)]) {
      if (session.region === this.region) this.#effects.push({ kind: "opened", user, session });
    }
  }

  #tick(now: Now): void {
    if (!this.#caughtUp) return;
    if (!this.#watermarkInFlight && now.monoMs - this.#watermarkAtMs >= LIMITS.watermarkMs) {
      this.#watermarkInFlight = true;
      this.#watermarkAtMs = now.monoMs;
      const commands: Command[] = [{ kind: "watermark", peers: this.matrix.progress(now) }];
      if (now.monoMs - this.#markAtMs >= LIMITS.digestMs) {
        this.#markAtMs = now.monoMs;
        commands.push({ kind: "mark" });
      }
      this.#append({ kind: "watermark" }, commands);
    }
    this.#scrub();
    for (const { region } of this.replica.folds) if (region !== this.region) this.#accept(region, now);
    this.#dropLost(now);
    this.#endPreferences(now);
    const moves = this.#suspect ? [] : this.evacuations.due(now);
    if (moves.length > 0) this.#append({ kind: "evacuate" }, moves);
  }

  /** Several nodes may mark at about the same time: each waits after any mark. */
  #appendDigests(frame: Frame, now: Now): void {
    if (frame.commands.some(({ kind }) => kind === "mark")) this.#markAtMs = now.monoMs;
    const digests = this.#digests.splice(0);
    if (digests.length > 0) this.#append({ kind: "digest" }, digests);
  }

  /** Keeps the digests near to what the records say, and looks whether these say what commands made of them. */
  #scrub(): void {
    for (const fold of this.#replica.folds) {
      const { region, digest, table } = fold;
      digest.settle(SETTLED_MAX);
      const records = this.#scrubs.get(region) ?? table.values();
      this.#scrubs.set(region, records);
      for (let looked = 0; looked < SCRUBBED_MAX; looked++) {
        const { value: record, done } = records.next();
        if (done === true) {
          this.#scrubs.delete(region);
          break;
        }
        if (!fold.isIntact(record)) this.#replica.listener.corrupt(region, record.user);
      }
    }
  }

  #settled(duty: Duty, ok: boolean, now: Now): void {
    if (duty.kind === "watermark") this.#watermarkInFlight = false;
    if (duty.kind === "evacuate") this.evacuations.settled();
    if (duty.kind === "accept") {
      const state = this.#accepting.get(duty.from);
      if (state === undefined) return;
      state.inFlight = false;
      state.sinceMs = now.monoMs;
      if (!ok) state.cursor = 0;
      else this.#accept(duty.from, now);
    }
  }

  /** Appends the next forwards from `from`, in their order, each tagged with where it stands. */
  #accept(from: Region, now: Now): void {
    const origin = this.replica.fold(from);
    const own = this.replica.fold(this.region);
    if (!this.#caughtUp || this.#suspect || origin === undefined || own === undefined) return;
    const state = this.#accepting.get(from) ?? { cursor: 0, inFlight: false, sinceMs: now.monoMs };
    this.#accepting.set(from, state);
    const done = own.processedOf(origin.lineage);
    if (state.inFlight) return;
    if (state.cursor < done || now.monoMs - state.sinceMs > RETRY_MS) state.cursor = done;
    const commands: Command[] = [];
    for (const { ordinal, command } of this.replica.provisional.queue(from, this.region)) {
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

  /** Gives up the users that another region has won. The fold of the drop forwards their sessions before it forgets them. */
  #dropLost(now: Now): void {
    for (const [user, sinceMs] of this.#dropping) {
      const gone = !this.replica.contested.has(user);
      if (gone || now.monoMs - sinceMs > RETRY_MS) this.#dropping.delete(user);
    }
    const commands: Command[] = [];
    for (const user of this.replica.contested) {
      const to = this.replica.winner(user);
      const held = this.replica.fold(this.region)?.homed(user) !== undefined;
      if (to === undefined || to === this.region || !held || this.#dropping.has(user)) continue;
      this.#dropping.set(user, now.monoMs);
      commands.push({ kind: "drop", user, to });
      if (commands.length === DROPS_MAX) break;
    }
    if (commands.length > 0) this.#append({ kind: "drop" }, commands);
  }

  #endPreferences(now: Now): void {
    const commands: Command[] = [];
    const own = this.replica.fold(this.region);
    for (const [user, untilMs] of this.#untilMs) {
      if (untilMs > now.wallMs) continue;
      if (own?.homed(user) === undefined) {
        // Given up since: the drop forwarded the preference, and ending it is for the new home.
        this.#untilMs.delete(user);
        continue;
      }
      this.#untilMs.set(user, now.wallMs + RETRY_MS);
      commands.push({ kind: "prefer", user, preferred: "automatic", untilMs: 0 });
    }
    if (commands.length > 0) this.#append({ kind: "automatic" }, commands);
  }

  #append(duty: Duty, commands: readonly Command[]): void {
    this.#effects.push({ kind: "append", duty, commands });
  }
}
