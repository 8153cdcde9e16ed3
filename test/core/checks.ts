/**
 * What must hold after every step of the world, on the node that was just given something: each check names its invariant, and
 * compares with the model or with what the world knows to be true.
 */
import { strict as assert } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { LogId, Position, Region, SessionId, UserId } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { beats } from "../../replicator/core/homing.ts";
import { checkToken } from "../../replicator/core/token.ts";
import type { View } from "../../replicator/core/view.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { BY_THE_CLOCK } from "./member.ts";
import type { Member, Observer, Write } from "./member.ts";
import { claimsTo, modelView } from "./model-view.ts";
import { checkFact, friendsInModel, friendsShown, pairsShown, tallied } from "./friend-checks.ts";
import { isFactual, keyIn } from "./model-facts.ts";
import { endedBy, modelHas, readLog } from "./model.ts";
import type { ModelLog } from "./model.ts";
import { canonical, digestOf, imported, lastSeen, observed } from "./observed.ts";
import { REGIONS, USERS } from "./samples.ts";
import type { Before } from "./snapshots.ts";
import type { World } from "./world.ts";

/** What a replica last showed of a user. */
interface Seen {
  readonly home: Region;
  /** Of the home's log. */
  readonly logId: LogId;
  readonly version: Position;
  readonly sessions: ReadonlySet<SessionId>;
}

export class Checks implements Observer {
  readonly #world: World;
  readonly #states = new Map<string, string>();
  readonly #views = new Map<string, string>();
  readonly #models = new Map<string, ModelLog>();
  readonly #seen = new Map<Member, Map<UserId, Seen>>();
  readonly #vector = new Map<Member, string>();
  /** How often each thing that must happen for the properties to mean anything did happen. */
  readonly counts: Record<
    "steps" | "contested" | "provisional" | "tokens" | "moved" | "restarts" | "snapshots",
    number
  > &
    Record<string, number> = {
    steps: 0,
    contested: 0,
    provisional: 0,
    tokens: 0,
    moved: 0,
    restarts: 0,
    snapshots: 0,
  };

  constructor(world: World) {
    this.#world = world;
    world.observer = this;
  }

  restarted(member: Member): void {
    this.counts.restarts += 1;
    this.#seen.delete(member);
    this.#vector.delete(member);
  }

  stepped(member: Member, origin: Region | undefined): void {
    this.counts.steps += 1;
    const { replica } = member.node;
    const vector = replica.folds.map(placeOf).join(",");
    // Whatever was not a frame, or not the next one, must not have changed anything: the state is looked at all the same.
    for (const fold of replica.folds) this.#sameState(fold);
    if (this.#vector.get(member) === vector && origin === undefined) return;
    this.#vector.set(member, vector);
    const logs = replica.folds.map((fold) => this.#model(fold));
    const views = new Map(USERS.map((user) => [user, replica.view(user)]));
    const pairs = pairsShown(replica);
    const told = JSON.stringify([[...views], pairs]);
    const before = this.#views.get(vector);
    assert.equal(told, before ?? told, `invariant 1: equal vectors ${vector}, different views`);
    this.#views.set(vector, told);
    if (replica.contested.size > 0) this.counts.contested += 1;
    if (replica.provisional.size > 0) this.counts.provisional += 1;
    if (before === undefined) {
      this.#viewsLikeTheModel(member, logs, views);
      same(friendsShown(replica, pairs), friendsInModel(logs), "the friends are not the model's");
    }
    for (const [what, count] of Object.entries(tallied(pairs)))
      this.counts[what] = (this.counts[what] ?? 0) + count;
    this.#monotonic(member, views, logs);
    this.#total(member, views);
    for (const write of this.#world.writes) this.#token(member, write, views.get(write.command.user));
  }

  /** Invariant 1, and 2: a fold changes with its own log's frames alone, so its position says everything. */
  #sameState(fold: Fold): void {
    const place = placeOf(fold);
    const state = `${canonical(fold)} ${digestOf(fold)}`;
    const known = this.#states.get(place);
    assert.equal(state, known ?? state, `invariant 1: equal positions ${place}, different states`);
    this.#states.set(place, state);
    if (known === undefined) this.#foldLikeTheModel(fold, this.#model(fold));
  }

  #model(fold: { region: Region; logId: LogId; position: Position }): ModelLog {
    const { region, logId, position } = fold;
    const place = placeOf(fold);
    const known = this.#models.get(place);
    if (known !== undefined) return known;
    const lineage = this.#world.logs.lineage(region, logId, position);
    const newest = lineage.at(-1)?.at(-1)?.commands ?? [];
    const silent = position > 1 && newest.every(({ kind }) => BY_THE_CLOCK.has(kind));
    const model = silent ? this.#model({ region, logId, position: position - 1 }) : readLog(region, lineage);
    this.#models.set(place, model);
    return model;
  }

  /** What is put together from the parts is what was there when the first was read, though the member went on meanwhile. */
  exported(parts: readonly SnapshotPart[], before: Before): void {
    this.counts.snapshots += 1;
    const replica = imported(parts, REGIONS);
    assert.equal(observed(replica, USERS), before.observed, "a snapshot is not what it was taken of");
    for (const [user, ms] of lastSeen(replica, USERS)) {
      const known = before.lastSeen.some((then) => then.get(user) === ms);
      assert.ok(known, `when ${user} was last seen is not in the snapshot`);
    }
  }

  #foldLikeTheModel(fold: Fold, log: ModelLog): void {
    const table = [...fold.table].map(([user, record]) => {
      const { epoch, version, movedTo, sessions, preferred, preferredUntilMs: untilMs } = record;
      return [user, { sessions, preferred, untilMs, epoch, version, movedTo }] as const;
    });
    same(
      new Map(table),
      new Map(log.records),
      `the table of ${log.region} at ${fold.position} is not the model's`,
    );
    same(fold.processed, log.processed, "processed is not the model's");
    const last = REGIONS.map((to) => log.forwards.findLast((one) => one.to === to)?.ordinal ?? 0);
    const sent = REGIONS.map((to) => fold.sent.get(to) ?? 0);
    same(sent, last, "the last ordinals are not the model's");
    const settings = [...fold.settings].map(
      ([key, { value, by, reason, atMs }]) => [key, [value, by, reason, atMs].join()] as const,
    );
    same(new Map(settings), new Map(log.settings), "the settings are not the model's");
    same(
      new Map(fold.facts.all.map(({ fact }) => [keyIn(fact), fact])),
      new Map(log.facts),
      "the facts are not the model's",
    );
    const audit = fold.audit.map(({ key, value, by, reason, atMs }) => [key, value, by, reason, atMs].join());
    same(audit, log.audit, "the decisions are not the model's");
  }

  #viewsLikeTheModel(
    member: Member,
    logs: readonly ModelLog[],
    views: ReadonlyMap<UserId, View | undefined>,
  ): void {
    for (const [user, view] of views) {
      const expected = modelView(logs, user);
      const actual = view && {
        user,
        home: expected?.home === undefined ? undefined : view.home,
        version: view.version,
        sessions: view.sessions.map(({ session }) => session),
        preferred: view.preferred,
        untilMs: view.preferredUntilMs,
      };
      same(actual, expected, `the view of ${user} is not the model's`);
      assert.equal(
        member.node.replica.winner(user),
        claimsTo(logs, user)[0]?.region,
        "invariant 2: one winner",
      );
    }
  }

  /**
   * Invariant 3. What a replica says of a user moves on: within one home the version never goes back, and the home changes only to a
   * claim that beats the one before, or after that one was given up. (A version means nothing across homes: it is a place in one log.)
   * And no flicker: a session leaves the view only after its region ended it, or a login that leaves it no room.
   */
  #monotonic(member: Member, views: ReadonlyMap<UserId, View | undefined>, logs: readonly ModelLog[]): void {
    const seen = this.#seen.get(member) ?? new Map<UserId, Seen>();
    this.#seen.set(member, seen);
    for (const [user, view] of views) {
      const before = seen.get(user);
      const sessions = new Set(view?.sessions.map(({ session }) => session.session));
      for (const session of before?.sessions ?? []) {
        if (!sessions.has(session)) this.#mayBeGone(session);
      }
      const home = member.node.replica.winner(user);
      if (view === undefined || home === undefined) {
        const { home: last = "", logId = "", version = 0 } = before ?? {};
        seen.set(user, { home: last, logId, version, sessions });
        continue;
      }
      const { logId } = member.stand(home);
      if (before !== undefined && before.home !== "") {
        if (before.home === home)
          assert.ok(view.version >= before.version, "invariant 3: a version went back");
        else if (!this.#isLost(user, before, member)) {
          this.counts.moved += 1;
          const given = logs.find(({ region }) => region === before.home)?.records.get(user);
          const epoch = given?.epoch ?? { generation: 0, count: 0 };
          assert.ok(
            given?.movedTo !== "" ||
              beats(user, { region: home, epoch: view.epoch }, { region: before.home, epoch }),
            "invariant 3: the home went back to a lower claim",
          );
        }
      }
      seen.set(user, { home, logId, version: view.version, sessions });
    }
  }

  /** The log that spoke of the user has another identity now, and a lost end in which it did. */
  #isLost(user: UserId, before: Seen | undefined, member: Member): boolean {
    if (before === undefined || before.home === "" || !this.#world.bereft.has(user)) return false;
    return member.stand(before.home).logId !== before.logId;
  }

  #mayBeGone(id: SessionId): void {
    const truth = this.#world.truths.get(id);
    assert.ok(truth !== undefined);
    const { user, session, closed } = truth;
    if (this.#world.bereft.has(user)) return;
    const mayHaveEnded = [...this.#world.truths.values()].some(
      (one) => one !== truth && one.user === user && endedBy(one.session, session),
    );
    assert.ok(closed || mayHaveEnded, `no flicker: session ${id} of ${user} vanished and nobody ended it`);
  }

  /** The index of who is online says what a recount of the views says. */
  #total(member: Member, views: ReadonlyMap<UserId, View | undefined>): void {
    const { online } = member.node.replica;
    const recount = new Map<string, { users: number; sessions: number }>();
    for (const [user, view] of views) {
      const regions =
        view?.preferred === "invisible" ? [] : (view?.sessions ?? []).map((one) => one.session.region);
      assert.equal(online.has(user), regions.length > 0, `${user} is wrongly in or out of the index`);
      if (regions.length > 0) count("all", regions.length);
      for (const region of new Set(regions)) count(region, regions.filter((one) => one === region).length);
    }
    same({ ...online.totals }, recount.get("all") ?? { users: 0, sessions: 0 }, "the totals");
    for (const region of REGIONS) {
      const counted = online.byRegion.get(region) ?? { users: 0, sessions: 0 };
      same({ ...counted }, recount.get(region) ?? { users: 0, sessions: 0 }, `the totals of ${region}`);
    }

    function count(key: string, sessions: number): void {
      const totals = recount.get(key) ?? { users: 0, sessions: 0 };
      recount.set(key, { users: totals.users + 1, sessions: totals.sessions + sessions });
    }
  }

  /** Invariant 8: where the token of a write is satisfied, the view has what the write did, unless something superseded it. */
  #token(member: Member, write: Write, view: View | undefined): void {
    const { region, logId, position, command } = write;
    const check = checkToken(new Map([[region, { logId, position }]]), member.node.replica.applied());
    const has = modelHas(member.stand(region), write);
    assert.equal(check.kind === "satisfied", has, "invariant 8: the check");
    if (check.kind !== "satisfied") return;
    this.counts.tokens += 1;
    if (command.kind === "prefer" || this.#world.bereft.has(command.user)) return;
    if (isFactual(command)) return checkFact(member.node.replica, command);
    const id = command.kind === "open" ? command.session.session : command.session;
    const shown = view?.sessions.find(({ session }) => session.session === id)?.session;
    if (command.kind === "close") assert.equal(shown, undefined, `invariant 8: ${id} is closed and shown`);
    else if (shown === undefined) this.#mayBeGone(id);
    else {
      // By when they were written: positions of a renewed log begin anew.
      const { writes } = this.#world;
      const later = writes
        .slice(writes.indexOf(write) + 1)
        .some((one) => one.region === region && "session" in one.command && one.command.session === id);
      const { status } = command.kind === "open" ? command.session : command;
      if (!later)
        assert.equal(shown.status, status, `invariant 8: ${id} shows another status than was written`);
    }
  }
}

function placeOf({ region, logId, position }: { region: Region; logId: LogId; position: Position }): string {
  return `${region} ${logId}:${position}`;
}

/** Deep equality, told in full only when it fails. */
export function same(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) assert.deepEqual(actual, expected, what);
}
