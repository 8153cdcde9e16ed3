/**
 * What must hold after every step of the world, on the node that was just given something: each check names its invariant, and
 * compares with the model or with what the world knows to be true.
 */
import { strict as assert } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { Position, Region, SessionId, UserId } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { beats } from "../../replicator/core/homing.ts";
import { checkToken } from "../../replicator/core/token.ts";
import type { View } from "../../replicator/core/view.ts";
import { claimsTo, modelHas, modelView, pendingOf, readLog, subject } from "./model.ts";
import type { ModelLog } from "./model.ts";
import { REGIONS, logOf } from "./samples.ts";
import { USERS } from "./script.ts";
import type { Member, Observer, World, Write } from "./world.ts";

/** The whole state of a fold as text: the same text for the same state. */
export function canonical(fold: Fold): string {
  const table = [...fold.table].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const sent = [...fold.sent].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const processed = [...fold.processed].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    region: fold.region,
    logId: fold.logId,
    position: fold.position,
    table,
    sent,
    processed,
  });
}

/** What a replica last showed of a user. */
interface Seen {
  readonly home: Region;
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
  readonly counts = { steps: 0, contested: 0, provisional: 0, tokens: 0, moved: 0, restarts: 0 };

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
    const vector = replica.folds.map((fold) => fold.position).join(",");
    // Whatever was not a frame, or not the next one, must not have changed anything: the state is looked at all the same.
    for (const fold of replica.folds) this.#sameState(fold);
    if (this.#vector.get(member) === vector && origin === undefined) return;
    this.#vector.set(member, vector);
    const logs = replica.folds.map(({ region, position }) => this.#model(region, position));
    const views = new Map(USERS.map((user) => [user, replica.view(user)]));
    const told = JSON.stringify([...views]);
    const before = this.#views.get(vector);
    assert.equal(told, before ?? told, `invariant 1: equal vectors ${vector}, different views`);
    this.#views.set(vector, told);
    if (replica.contested.size > 0) this.counts.contested += 1;
    if (replica.provisional.size > 0) this.counts.provisional += 1;
    if (before === undefined) this.#viewsLikeTheModel(member, logs, views);
    this.#monotonic(member, views, logs);
    this.#total(member, views);
    for (const write of this.#world.writes) this.#token(member, write, views.get(write.command.user));
  }

  /** Invariant 1, and 2: a fold changes with its own log's frames alone, so its position says everything. */
  #sameState(fold: Fold): void {
    const key = `${fold.region}:${fold.position}`;
    const state = canonical(fold);
    const known = this.#states.get(key);
    assert.equal(state, known ?? state, `invariant 1: equal positions ${key}, different states`);
    this.#states.set(key, state);
    if (known === undefined) this.#foldLikeTheModel(fold, this.#model(fold.region, fold.position));
  }

  #model(region: Region, position: Position): ModelLog {
    const key = `${region}:${position}`;
    const known = this.#models.get(key);
    if (known !== undefined) return known;
    const frames = this.#world.log(region).slice(0, position);
    const silent = position > 1 && frames.at(-1)?.commands.every(({ kind }) => kind === "watermark") === true;
    const model = silent ? this.#model(region, position - 1) : readLog(region, frames);
    this.#models.set(key, model);
    return model;
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
    const last = REGIONS.map((to) => log.forwards.filter((one) => one.to === to).length);
    const sent = REGIONS.map((to) => fold.sent.get(to) ?? 0);
    same(sent, last, "ordinals are dense");
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
   * And no flicker: a session leaves the view only after its region ended it, or a login on the same device replaced it.
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
        seen.set(user, { home: before?.home ?? "", version: before?.version ?? 0, sessions });
        continue;
      }
      if (before !== undefined && before.home !== "") {
        if (before.home === home)
          assert.ok(view.version >= before.version, "invariant 3: a version went back");
        else {
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
      seen.set(user, { home, version: view.version, sessions });
    }
  }

  #mayBeGone(id: SessionId): void {
    const truth = this.#world.truths.get(id);
    assert.ok(truth !== undefined);
    const { user, session, closed } = truth;
    const replaced = [...this.#world.truths.values()].some(
      (one) =>
        one !== truth && one.user === user && session.device !== "" && one.session.device === session.device,
    );
    assert.ok(closed || replaced, `no flicker: session ${id} of ${user} vanished and nobody ended it`);
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
  #token(member: Member, { region, position, command }: Write, view: View | undefined): void {
    const { replica } = member.node;
    const check = checkToken(new Map([[region, { logId: logOf(region), position }]]), replica.applied());
    const vector = new Map(replica.folds.map((fold) => [fold.region, fold.position]));
    assert.equal(
      check.kind === "satisfied",
      modelHas(vector, new Map([[region, position]])),
      "invariant 8: the check",
    );
    if (check.kind !== "satisfied") return;
    this.counts.tokens += 1;
    if (command.kind === "prefer") return;
    const id = command.kind === "open" ? command.session.session : command.session;
    const shown = view?.sessions.find(({ session }) => session.session === id)?.session;
    if (command.kind === "close") assert.equal(shown, undefined, `invariant 8: ${id} is closed and shown`);
    else if (shown === undefined) this.#mayBeGone(id);
    else {
      const later = this.#world.writes.some(
        (write) =>
          write.position > position &&
          write.region === region &&
          "session" in write.command &&
          write.command.session === id,
      );
      const { status } = command.kind === "open" ? command.session : command;
      if (!later)
        assert.equal(shown.status, status, `invariant 8: ${id} shows another status than was written`);
    }
  }

  /** At rest: nothing is pending, every replica shows exactly the sessions that were not ended, and no forward was lost or repeated. */
  atRest(): void {
    const logs = REGIONS.map((region) => readLog(region, this.#world.log(region)));
    assert.deepEqual(pendingOf(logs), [], "forwards are pending for ever");
    for (const user of USERS)
      assert.ok(claimsTo(logs, user).length <= 1, "invariant 2: a double claim is never given up");
    for (const home of logs) for (const origin of logs) this.#effects(home, origin);
    for (const member of this.#world.members) {
      const { replica } = member.node;
      assert.equal(member.node.caughtUp, true, `${member.name} never caught up`);
      assert.equal(replica.provisional.size, 0);
      assert.equal(replica.contested.size, 0);
      for (const [id, truth] of this.#world.truths) {
        const shown = replica
          .view(truth.user)
          ?.sessions.find(({ session }) => session.session === id)?.session;
        const expected = truth.closed || truth.ended ? undefined : truth.session;
        assert.deepEqual(shown, expected, `${member.name}, session ${id} of ${truth.user}`);
      }
    }
  }

  /** Invariant 5: in order, each at most once, as it was sent; left out only where a newer one about the same thing followed. */
  #effects(home: ModelLog, origin: ModelLog): void {
    const sent = origin.forwards.filter(({ to }) => to === home.region);
    let done = 0;
    for (const { at, command } of home.effects.filter(({ logId }) => logId === origin.logId)) {
      assert.ok(at > done, "invariant 5: a forward took effect twice, or after a later one");
      assert.deepEqual(command, sent[at - 1]?.command, "invariant 5: what took effect is not what was sent");
      for (const { command: skipped } of sent.slice(done, at - 1)) {
        const index = origin.forwards.findIndex((one) => one.command === skipped);
        const newer = origin.forwards.slice(index + 1).filter((one) => one.command.user === skipped.user);
        assert.ok(
          newer.some((one) => subject(one.command) === subject(skipped)),
          "invariant 5: a forward was left out",
        );
      }
      done = at;
    }
    const left = sent
      .slice(done)
      .filter(
        ({ command }) =>
          !origin.forwards.some(
            (one) => one.command !== command && subject(one.command) === subject(command),
          ),
      );
    assert.deepEqual(left, [], "invariant 5: a forward was lost");
  }
}

/** Deep equality, told in full only when it fails. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) assert.deepEqual(actual, expected, what);
}
