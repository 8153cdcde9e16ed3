/**
 * One node's copy of the world: a fold per region's log, the provisional overlay, and the index of who is online.
 * Passive: it is told frames and answers questions; it decides nothing and appends nothing.
 */
import { defined } from "./assert.ts";
import type {
  Accept,
  ClientCommand,
  Close,
  Command,
  Fact,
  Frame,
  Open,
  Position,
  RecordCommand,
  Region,
  Session,
  Update,
  UserCommand,
  UserId,
} from "./commands.ts";
import { isFact } from "./facts.ts";
import { claimants } from "./claimants.ts";
import { Fold } from "./fold.ts";
import type { FoldListener, FoldResult } from "./fold-listener.ts";
import { Friends } from "./friends.ts";
import { OnlineIndex } from "./online.ts";
import type { Seat } from "./online.ts";
import { Provisional } from "./provisional.ts";
import type { Unheard } from "./provisional.ts";
import type { EndedSession, PresenceState, Refusal, UserRecord } from "./record.ts";
import { routeOf } from "./route.ts";
import type { PendingState, RecordState } from "./snapshot.ts";
import { misled } from "./succession.ts";
import type { Token } from "./token.ts";
import { replacedOf, sessionsOf, viewOf } from "./view.ts";
import type { View } from "./view.ts";

export interface ReplicaListener {
  /** A log put the session into its user's record, or forwarded it there. */
  opened(user: UserId, session: Session): void;
  /** The user's home, `log`, ended the session: final, unlike a forward that asks for it. */
  ended(user: UserId, ended: EndedSession, log: Region): void;
  /**
   * A close found nothing where it went: the session was over before, or its opening was left out as the close took its place, or another log
   * has it.
   */
  closed(close: Close, log: Region): void;
  preferred(user: UserId, log: Region, untilMs: number): void;
  /** The user's record in that log is not what commands made of it. */
  corrupt(log: Region, user: UserId): void;
  /** The log's fold has this digest at the mark of that version. */
  marked(log: Region, version: number, sums: Uint8Array): void;
  /** The digest at `at` that `node` appended differs from this replica's in these buckets; in none when all is well. */
  compared(log: Region, at: number, buckets: readonly number[], node: string): void;
}

/** For a replica that nobody listens to yet. */
const NOBODY: ReplicaListener = {
  opened: () => undefined,
  ended: () => undefined,
  closed: () => undefined,
  preferred: () => undefined,
  corrupt: () => undefined,
  marked: () => undefined,
  compared: () => undefined,
};

export class Replica {
  readonly regions: readonly Region[];
  readonly folds: readonly Fold[];
  readonly online = new OnlineIndex();
  readonly provisional = new Provisional();
  /** What users are to each other. */
  readonly friends: Friends;
  /** Users with a record in more than one log: a double claim that its loser has still to give up. */
  readonly contested = new Set<UserId>();
  readonly refusals = new Map<Refusal, number>();
  readonly #byRegion = new Map<Region, Fold>();
  /** How many users each log holds. */
  readonly #homed = new Map<Region, number>();
  /** Users of whom a log holds the record and has a forward pending: what is shown of them rests on how far other logs are folded. */
  readonly #returned = new Set<UserId>();
  listener: ReplicaListener;
  /** Commit time of the frame being applied. */
  #atMs = 0;

  constructor(regions: readonly Region[], listener: ReplicaListener = NOBODY) {
    this.regions = regions;
    this.listener = listener;
    const foldListener = this.#foldListener();
    this.folds = regions.map((region) => new Fold(region, foldListener));
    for (const fold of this.folds) this.#byRegion.set(fold.region, fold);
    this.friends = new Friends(this.folds);
  }

  fold(region: Region): Fold | undefined {
    return this.#byRegion.get(region);
  }

  /** How many users the log holds. */
  homed(region: Region): number {
    return this.#homed.get(region) ?? 0;
  }

  apply(region: Region, position: Position, frame: Frame): FoldResult {
    const fold = this.#byRegion.get(region);
    this.#atMs = frame.committedAtMs;
    if (fold === undefined) return "authority";
    const result = misled(this.folds, fold, position, frame) ?? fold.apply(position, frame);
    this.lookBehind();
    return result;
  }

  /** Sees how far the logs are folded, compared with what they have processed of each other. */
  lookBehind(): void {
    const unheard: Unheard[] = [];
    for (const { region, processed } of this.folds) {
      for (const [lineage, ordinal] of processed) {
        const sender = this.folds.find((fold) => fold.lineage === lineage);
        if (ordinal <= (sender?.sent.get(region) ?? 0)) continue;
        const from = sender?.region ?? "";
        if (!unheard.some((one) => one.from === from && one.to === region))
          unheard.push({ from, to: region });
      }
    }
    if (!this.provisional.fallBehind(unheard)) return;
    const users = new Set([...this.#returned, ...this.contested]);
    for (const user of users) this.show(user);
  }

  view(user: UserId): View | undefined {
    return viewOf(this.folds, this.provisional, user);
  }

  /** Users whom two logs hold at once, or who have come back to a log from which a forward is pending: those a view may be unsure of. */
  disputed(): Iterable<UserId> {
    return new Set([...this.#returned, ...this.contested]);
  }

  /** Sessions of the user that a forward replaces, as far as the home has not applied it: not in view, and not over. */
  replaced(user: UserId): Session[] {
    return replacedOf(this.folds, this.provisional, user);
  }

  /** The region that would win the user now; `undefined` while no log has claimed the user. */
  winner(user: UserId): Region | undefined {
    return claimants(this.folds, user)?.winner.region;
  }

  /** Where region `own` sends the command; `undefined` while no log has spoken of the user. */
  route(own: Region, command: ClientCommand): Region | undefined {
    return routeOf(this.folds, this.provisional, own, command);
  }

  /** The vector of positions folded. */
  applied(): Token {
    return new Map(this.folds.map((fold) => [fold.region, { logId: fold.logId, position: fold.position }]));
  }

  #foldListener(): FoldListener {
    return {
      changed: ({ region }: Fold, user: UserId, appeared: boolean, record: UserRecord) => {
        if (appeared) this.#homed.set(region, this.homed(region) + 1);
        if (record.movedTo !== "") this.#homed.set(region, this.homed(region) - 1);
        if (appeared || this.contested.has(user)) this.#contest(user);
        const alone =
          record.movedTo === "" && !this.contested.has(user) && this.provisional.of(user).length === 0;
        if (alone) this.#show((record.seat ??= this.online.seat(user)), record);
        else this.show(user);
      },
      applied: (fold: Fold, command: RecordCommand, ended: readonly EndedSession[], accepted: boolean) => {
        if (!accepted || command.kind === "claim") this.#overtake(fold.region, command);
        for (const one of ended) this.listener.ended(command.user, one, fold.region);
        if (command.kind === "open") this.listener.opened(command.user, command.session);
        else if (command.kind === "prefer" || command.kind === "claim") {
          // Of a claim, what the record has then: it keeps its own preference.
          const untilMs = fold.homed(command.user)?.preferredUntilMs;
          this.listener.preferred(command.user, fold.region, defined(untilMs, "it was just applied"));
        }
      },
      said: (_fold: Fold, fact: Fact, isFirst: boolean) => {
        if (isFirst) this.friends.said(fact);
      },
      forwarded: (fold: Fold, to: Region, ordinal: number, command: UserCommand) => {
        const home = this.#byRegion.get(to);
        const pending = { from: fold.region, to, ordinal, command, position: fold.position };
        const processed = home !== undefined && ordinal <= home.processedOf(fold.lineage);
        this.provisional.add(pending, processed);
        for (const one of this.provisional.ahead.heard(fold.region, to, ordinal)) this.show(one);
        if (isFact(command)) {
          if (!processed) this.friends.sent(command);
          return;
        }
        if (command.kind === "open" && !processed) this.listener.opened(command.user, command.session);
        this.show(command.user);
      },
      accepting: ({ region }: Fold, { from, lineage, at, command }: Accept) => {
        for (const one of broughtBy(command)) this.provisional.cameBack(region, from, one);
        const sender = this.#byRegion.get(from);
        const isSame = sender?.lineage === lineage || sender?.lineage === "";
        if (isSame && at > (sender.sent.get(region) ?? 0))
          this.provisional.ahead.add(from, region, at, command);
      },
      processed: (fold: Fold, { from, lineage, at, command }: Accept) => {
        const isSame = this.#byRegion.get(from)?.lineage === lineage;
        const settled = isSame ? this.provisional.settle(from, fold.region, at) : [];
        for (const one of settled) if (isFact(one)) this.friends.arrived(one);
        const users = new Set(isFact(command) ? [] : [command.user]);
        for (const one of settled) if (!isFact(one)) users.add(one.user);
        for (const user of users) this.show(user);
      },
      refused: ({ region }: Fold, command: Command, refusal: Refusal) => {
        this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
        if (command.kind === "close") this.listener.closed(command, region);
      },
      corrupt: (fold: Fold, user: UserId) => this.listener.corrupt(fold.region, user),
      marked: (fold: Fold, version: number, sums: Uint8Array) => {
        this.listener.marked(fold.region, version, sums);
      },
      compared: (fold: Fold, at: number, buckets: readonly number[], node: string) => {
        this.listener.compared(fold.region, at, buckets, node);
      },
    };
  }

  #overtake(region: Region, command: RecordCommand): void {
    if (this.provisional.underWay(command.user).length === 0) return;
    this.provisional.overtake(region, command);
    this.show(command.user);
  }

  /** Takes over one record of a snapshot, with its place among who is online. The overlay and the folds' beginnings are there already. */
  restore(region: Region, state: RecordState): void {
    const record = defined(this.#byRegion.get(region), "a snapshot is of the same regions").restore(state);
    const { user } = state;
    if (state.movedTo === "") this.#homed.set(region, this.homed(region) + 1);
    const seat = (record.seat ??= this.online.seat(user));
    const alone =
      state.movedTo === "" &&
      this.provisional.of(user).length === 0 &&
      this.folds.every((fold) => fold.region === region || fold.table.get(user) === undefined);
    if (alone) return this.#show(seat, record);
    this.#contest(user);
    this.show(user);
  }

  /** Takes over the overlay of a snapshot, before its records. */
  restorePendings(states: readonly PendingState[]): void {
    this.provisional.restore(states);
    for (const { pending, processed } of states) {
      const { command } = pending;
      if (!isFact(command)) this.show(command.user);
      else if (!processed) this.friends.sent(command);
    }
  }

  restoreFact(region: Region, fact: Fact): void {
    defined(this.#byRegion.get(region), "a snapshot is of the same regions").restoreFact(fact);
    this.friends.said(fact);
  }

  /** Counts the user anew. */
  show(user: UserId): void {
    const returned = this.provisional.of(user).some(({ from }) => this.fold(from)?.homed(user) !== undefined);
    if (returned) this.#returned.add(user);
    else this.#returned.delete(user);
    this.#show(this.online.seat(user), sessionsOf(this.folds, this.provisional, user));
  }

  #contest(user: UserId): void {
    let claims = 0;
    for (const fold of this.folds) if (fold.homed(user) !== undefined) claims += 1;
    if (claims > 1) this.contested.add(user);
    else this.contested.delete(user);
  }

  #show(seat: Seat, { sessions, preferred }: PresenceState): void {
    const shown = preferred === "invisible" ? [] : sessions;
    const regions = shown.map((session) => session.region);
    this.online.place(seat, regions, this.#atMs);
  }
}

/** What it says of sessions: that they are there, on their way out of a record or to one, or how one is. */
function broughtBy(command: UserCommand): readonly (Open | Update)[] {
  const { kind, user } = command;
  if (kind === "claim") return command.sessions.map((session) => ({ kind: "open", user, session }));
  return kind === "open" || kind === "update" ? [command] : [];
}
