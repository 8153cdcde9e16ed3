/** What must hold when the world is at rest: no node has anything left to say, and every log is folded by all. */
import { strict as assert } from "node:assert";
import type { Region, UserCommand } from "../../replicator/core/commands.ts";
import { evacuationOf, isGuest } from "../../replicator/core/evacuation.ts";
import { checkFact } from "./friend-checks.ts";
import { isFactual } from "./model-facts.ts";
import { pendingOf } from "./model-view.ts";
import { readLog } from "./model.ts";
import type { ModelForward, ModelLog } from "./model.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { observed } from "./observed.ts";
import { REGIONS, USERS } from "./samples.ts";
import { headOf } from "./logs.ts";
import type { WorldLog } from "./logs.ts";
import type { World } from "./world.ts";

/** Nothing is pending, every replica shows exactly the sessions that were not ended, and no forward was lost or repeated. */
export function checkAtRest(world: World): void {
  const logs = REGIONS.map((region) => readWhole(world, world.logs.newest(region)));
  assert.deepEqual(pendingOf(logs), [], "forwards are pending for ever");
  for (const user of USERS)
    assert.ok(
      logs.filter(({ records }) => records.get(user)?.movedTo === "").length <= 1,
      "invariant 2: a double claim is never given up",
    );
  for (const home of logs) for (const origin of logs) checkEffects(world, home, origin);
  const [first] = world.members;
  for (const member of world.members) {
    const { replica } = member.node;
    assert.equal(member.node.caughtUp, true, `${member.name} never caught up`);
    assert.equal(replica.provisional.size, 0);
    assert.equal(replica.contested.size, 0);
    for (const region of REGIONS) checkEvacuated(replica, region);
    assert.equal(
      observed(replica, USERS),
      first && observed(first.node.replica, USERS),
      `invariant 1: ${member.name}`,
    );
    for (const { command } of world.writes)
      if (isFactual(command) && !world.bereft.has(command.user)) checkFact(replica, command);
    for (const [id, truth] of world.truths) {
      const shown = replica.view(truth.user)?.sessions.find(({ session }) => session.session === id)?.session;
      const expected = truth.closed || truth.ended ? undefined : truth.session;
      assert.deepEqual(shown, expected, `${member.name}, session ${id} of ${truth.user}`);
    }
  }
}

/** Everybody has left who could, and everybody who was to come back is back. */
function checkEvacuated(replica: Replica, region: Region): void {
  const evacuation = evacuationOf(replica, region);
  if (evacuation === undefined) return;
  assert.equal(evacuation.phase, "to", `the return to ${region} never ends`);
  if (evacuationOf(replica, evacuation.heir) !== undefined) return;
  const left = USERS.filter(
    (user) => replica.fold(region)?.homed(user) !== undefined && !isGuest(replica, region, user),
  );
  assert.deepEqual(left, [], `left in ${region}`);
}

function readWhole(world: World, log: WorldLog): ModelLog {
  return readLog(log.region, world.logs.lineage(log.region, log.logId, headOf(log)));
}

/**
 * Invariant 5: in order, each at most once, as it was sent; left out only where the log said later what takes its place, in a forward
 * or for itself. What a lost end has sent may have taken effect, or not; of the users of whom a lost end spoke, some effects may be lost with it.
 */
function checkEffects(world: World, home: ModelLog, origin: ModelLog): void {
  const sent = origin.forwards.filter(({ to }) => to === home.region);
  const ever = new Map<number, UserCommand>();
  for (const log of world.logs.ofRegion(origin.region)) {
    for (const { to, ordinal, command } of readWhole(world, log).forwards) {
      if (to !== home.region) continue;
      assert.deepEqual(command, ever.get(ordinal) ?? command, `two forwards have the ordinal ${ordinal}`);
      ever.set(ordinal, command);
    }
  }
  let done = 0;
  for (const { at, command } of home.effects.filter(({ lineage }) => lineage === origin.lineage)) {
    assert.ok(at > done, "invariant 5: a forward took effect twice, or after a later one");
    assert.deepEqual(command, ever.get(at), "invariant 5: what took effect is not what was sent");
    for (const one of sent.filter(({ ordinal }) => ordinal > done && ordinal < at))
      assert.ok(one.needless || isExcused(one), "invariant 5: a forward was left out");
    done = at;
  }
  const left = sent.filter((one) => one.ordinal > done && !one.needless && !isExcused(one));
  assert.deepEqual(left, [], "invariant 5: a forward was lost");

  function isExcused({ command }: ModelForward): boolean {
    return world.bereft.has(command.user);
  }
}
