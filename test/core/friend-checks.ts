/** What must hold of the users' facts on a replica: it shows the model's pairs and inboxes, and nothing acknowledged is missing or lower. */
import { strict as assert } from "node:assert";
import type { Fact } from "../../replicator/core/commands.ts";
import type { Pair } from "../../replicator/core/pair.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { above, factsOf, modelPair } from "./model-facts.ts";
import type { ModelLog } from "./model.ts";
import { USERS } from "./samples.ts";

export interface Shown {
  readonly pairs: readonly Pair[];
  /** Per user: who asked and is waiting, with `new` for what is not read; whom the user asked; friends; the bookmark. */
  readonly lists: readonly string[];
}

const PAIRS = USERS.flatMap((user) =>
  USERS.filter((other) => other > user).map((other) => [user, other] as const),
);

export function pairsShown({ friends }: Replica): Pair[] {
  return PAIRS.map(([user, other]) => friends.pairOf(user, other));
}

export function friendsShown({ friends }: Replica, pairs: readonly Pair[]): Shown {
  const lists = USERS.map((user) => {
    const { requests, unread, offset, count } = friends.inboxOf(user);
    const incoming = requests.map((one) => `${one.other}${one.unread ? " new" : ""}`);
    const others = [friends.outgoingOf(user), friends.friendsOf(user)].map((all) =>
      all.map(({ other }) => other).join(),
    );
    return [incoming.join(), unread, ...others, offset, count].join("|");
  });
  return { pairs, lists };
}

export function friendsInModel(logs: readonly ModelLog[]): Shown {
  const facts = factsOf(logs);
  const lists = USERS.map((user) => {
    const all = USERS.filter((other) => other !== user)
      .toSorted()
      .map((other) => {
        const read = facts.get(["read", user, other].join());
        return { other, ...modelPair(facts, user, other), read: read?.kind === "read" ? read.round : 0 };
      });
    const requests = all.filter(({ state }) => state === "requested");
    const incoming = requests.filter(({ from }) => from !== user);
    const unread = incoming.filter(({ round, read }) => round > read);
    const note = facts.get(["bookmark", user, ""].join());
    const { offset, count } = note?.kind === "bookmark" ? note : { offset: "", count: 0 };
    return [
      incoming.map((one) => `${one.other}${unread.includes(one) ? " new" : ""}`).join(),
      unread.length,
      requests.filter(({ from }) => from === user).map(({ other }) => other),
      all.filter(({ state }) => state === "friends").map(({ other }) => other),
      offset,
      count,
    ].join("|");
  });
  return { pairs: PAIRS.map(([user, other]) => modelPair(facts, user, other)), lists };
}

/** How many pairs are in each state, so that a world where nothing happens is noticed. */
export function tallied(pairs: readonly Pair[]): Record<string, number> {
  const counts: Record<string, number> = { requested: 0, friends: 0, declined: 0, cancelled: 0 };
  for (const { state } of pairs) if (state !== "none") counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** An acknowledged fact that the replica must have is there, or a higher one is. */
export function checkFact(replica: Replica, fact: Fact): void {
  assert.ok(showsFact(replica, fact), `invariant 4: ${JSON.stringify(fact)} is not there`);
}

/** Whether the replica shows the fact or a higher one. */
export function showsFact({ friends }: Replica, fact: Fact): boolean {
  if (fact.kind === "stance") {
    const held = friends.stanceOf(fact.user, fact.other);
    return held !== undefined && !above(fact, held);
  }
  if (fact.kind === "read") return friends.readOf(fact.user, fact.other) >= fact.round;
  const { offset, count } = friends.inboxOf(fact.user);
  return !above(fact, { ...fact, offset, count });
}
