/**
 * The node's duties towards the logs, as `step(event, now) → effects`: fold what comes, accept what is forwarded here, give up
 * lost claims, append watermarks, measure lag. Driven alike in production and in simulation; clock and IO are the driver's.
 * Rule: every duty may be repeated harmlessly, so several nodes of a region may run it at once.
 */
import type {
  Command,
  DeputedCommand,
  Frame,
  Mark,
  Position,
  Region,
  SessionId,
  UserId,
} from "./commands.ts";
import { Duties } from "./duties.ts";
import { Expiring } from "./expiring.ts";
import { Evacuations } from "./evacuation.ts";
import type { Now } from "./lag.ts";
import { LIMITS } from "./limits.ts";
import { LinkMatrix } from "./matrix.ts";
import type { Duty, NodeEffect, NodeEvent } from "./node-events.ts";
import type { UserRecord } from "./record.ts";
import { Replica } from "./replica.ts";
import type { ReplicaListener } from "./replica.ts";
import { isSettled } from "./settled.ts";
import { standsFor } from "./succession.ts";
import { Successions } from "./successions.ts";

/** Records looked at per fold and tick, for whether they are still what commands made of them: 100,000 take 5 s. */
const SCRUBBED_MAX = 1_000;
/** Changed records hashed per fold and tick; what is left over is hashed at the next mark. */
const SETTLED_MAX = 2_000;
const MARK: Mark = { kind: "mark" };

export class PresenceNode {
  readonly region: Region;
  readonly matrix: LinkMatrix;
  readonly evacuations: Evacuations;
  readonly #ttlMs: number;
  readonly successions: Successions;
  #replica: Replica;
  #caughtUp = false;
  /** The replica was found wrong, and no other took its place yet: nothing it says is to be written to a log. */
  #suspect = false;
  #effects: NodeEffect[] = [];
  #watermarkInFlight = false;
  #watermarkAtMs = Number.NEGATIVE_INFINITY;
  /** Of this region, and of those that it stands for. */
  readonly #duties = new Map<Region, Duties>();
  /** Of the regions that it stands for. */
  readonly #expiring = new Map<Region, Expiring>();
  /** The records being looked at, per fold. */
  readonly #scrubs = new Map<Region, Iterator<UserRecord>>();

  /** `regions` are all regions, this one included, in any order; `ttlMs` is how long a session lives without a heartbeat. */
  constructor(region: Region, regions: readonly Region[], ttlMs: number = LIMITS.ttlMs) {
    this.region = region;
    this.#ttlMs = ttlMs;
    const sorted = regions.toSorted();
    this.#replica = new Replica(sorted, this.#listener());
    this.#duties.set(region, this.#dutiesOf(region));
    this.matrix = new LinkMatrix(region, sorted, () => this.#replica);
    this.successions = new Successions(region, () => this.#replica);
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
        this.#catchUp(now, false);
        break;
      case "link":
        this.matrix.report(event.report, now);
        break;
      case "adopt":
        this.#adopt(event.replica, now);
        break;
      case "sealed":
        this.successions.sealed(event.region, event.sealed);
        break;
      case "copied":
        this.successions.copied(event.region, event.logId, event.position, now);
        break;
      case "settled":
        this.#settled(event.duty, event.ok, now);
        break;
      case "tick":
        this.#tick(now, event.silent === true);
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
      ended: (user, ended, log) => {
        const { session } = ended;
        if (session.region !== region) return;
        this.#effects.push({
          kind: "ended",
          user,
          ended,
          unsaid: this.#isUnsaid(user, session.session, log),
        });
      },
      closed: (close, log) => {
        const unsaid = this.#isUnsaid(close.user, close.session, log);
        this.#effects.push({ kind: "closed", close, unsaid });
      },
      preferred: (user, log, untilMs) => this.#duties.get(log)?.preferred(user, untilMs),
      marked: (log, version, sums) => {
        if (this.#caughtUp) this.#duties.get(log)?.marked(version, sums);
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

  /** Whether a close that `log` has just taken in is none that this region's log is known to have sent there. */
  #isUnsaid(user: UserId, session: SessionId, log: Region): boolean {
    const isSent = this.#replica.provisional
      .underWay(user)
      .some(
        ({ from, command }) =>
          from === this.region && command.kind === "close" && command.session === session,
      );
    return log !== this.region && !isSent;
  }

  /** What the old replica led to is forgotten; what it would have led to, the new one leads to again. */
  #adopt(replica: Replica, now: Now): void {
    this.#replica = replica;
    this.#suspect = false;
    replica.listener = this.#listener();
    this.matrix.adopted(now);
    this.evacuations.adopted();
    this.#scrubs.clear();
    for (const one of [...this.#duties.values(), ...this.#expiring.values()]) one.adopted();
    // What the new one lacks may be alive here: the driver looks for that first.
    if (this.#caughtUp) this.#catchUp(now, true);
  }

  #frame(region: Region, position: Position, frame: Frame, now: Now): void {
    const result = this.replica.apply(region, position, frame);
    if (result === "applied") {
      // What an heir says in the place of the region is no word of the region.
      if (frame.region === region) this.matrix.folded(region, frame, now, this.#caughtUp);
      this.#deputize();
      for (const duties of this.#duties.values()) {
        if (duties.region === region) duties.folded(frame, now);
        else duties.accept(region, now);
      }
    } else if (result !== "duplicate") {
      this.matrix.refused(region, `frame ${position}: ${result}`, now);
      this.#effects.push({ kind: "refused", region, position, reason: result });
    }
  }

  #catchUp(now: Now, silent: boolean): void {
    this.#caughtUp = true;
    for (const fold of this.replica.folds) {
      for (const user of fold.table.keys()) this.#announce(user);
      for (const { region } of this.replica.folds) {
        for (const { command } of this.replica.provisional.queue(fold.region, region))
          this.#announce(command.user);
      }
    }
    this.#tick(now, silent);
  }

  #announce(user: UserId): void {
    const shown = this.replica.view(user)?.sessions.map(({ session }) => session) ?? [];
    for (const session of [...shown, ...this.replica.replaced(user)]) {
      if (session.region === this.region) this.#effects.push({ kind: "opened", user, session });
    }
  }

  #tick(now: Now, silent: boolean): void {
    if (!this.#caughtUp) return;
    this.#deputize();
    if (!silent && !this.#watermarkInFlight && now.monoMs - this.#watermarkAtMs >= LIMITS.watermarkMs) {
      this.#watermarkInFlight = true;
      this.#watermarkAtMs = now.monoMs;
      const commands: Command[] = [{ kind: "watermark", peers: this.matrix.progress(now) }];
      for (const duties of this.#duties.values())
        if (duties.isMarkDue(now)) commands.push(this.#saying(duties.region, MARK));
      this.#append({ kind: "watermark" }, commands);
    }
    this.#scrub();
    for (const duties of this.#duties.values()) duties.tick(now);
    for (const [of, expiring] of this.#expiring) {
      const closes = this.#suspect ? [] : expiring.due(now);
      if (closes.length > 0)
        this.#append(
          { kind: "expire", of },
          closes.map((close) => this.#saying(of, close)),
        );
    }
    const moves = this.#suspect ? [] : this.evacuations.due(now);
    if (moves.length > 0) this.#append({ kind: "evacuate" }, moves);
    const decisions = this.#suspect ? [] : this.successions.due(now);
    if (decisions.length > 0) this.#append({ kind: "succession" }, decisions);
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
    if (duty.kind === "expire") this.#expiring.get(duty.of)?.settled();
    if (duty.kind === "accept") this.#duties.get(duty.of ?? this.region)?.settled(duty.from, ok, now);
  }

  /** Begins the duties of regions that this one stands for by now, and ends those of others. */
  #deputize(): void {
    const { folds } = this.#replica;
    for (const { region } of folds) {
      if (region === this.region) continue;
      if (!this.#caughtUp || !standsFor(folds, this.region, region)) {
        this.#duties.delete(region);
        this.#expiring.delete(region);
      } else if (!this.#duties.has(region)) {
        this.#duties.set(region, this.#dutiesOf(region));
        this.#expiring.set(region, new Expiring(region, this.#ttlMs, () => this.#replica));
      }
    }
  }

  #dutiesOf(region: Region): Duties {
    return new Duties({
      region,
      replica: () => this.#replica,
      mayAccept: () => this.#caughtUp && !this.#suspect,
      append: (duty, commands) => {
        const isAccept = duty.kind === "accept" && region !== this.region;
        const said = commands.map((command) => this.#saying(region, command));
        this.#append(isAccept ? { ...duty, of: region } : duty, said);
      },
    });
  }

  #saying(region: Region, command: DeputedCommand): Command {
    return region === this.region ? command : { kind: "deputed", region, command };
  }

  #append(duty: Duty, commands: readonly Command[]): void {
    this.#effects.push({ kind: "append", duty, commands });
  }
}
