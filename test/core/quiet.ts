/** How a world of test/core comes to rest, for a while or for good: links healed, every node hears all and says all that it has to say. */
import { strict as assert } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import type { Region } from "../../replicator/core/commands.ts";
import { REGIONS } from "./samples.ts";
import { expired } from "./truths.ts";
import type { World } from "./world.ts";

/** Two rounds in which every node hears all and says all that it has to say. */
export function calm(world: World): void {
  world.cuts.clear();
  for (let round = 0; round < 2; round++) {
    world.advance(1_500);
    for (const member of world.members) {
      for (const origin of REGIONS) world.deliver(member, origin, Number.POSITIVE_INFINITY);
      world.give(member, { kind: "tick" });
      while (member.outbox.length > 0) world.settle(member, "stored");
    }
  }
}

/** Heals every link, loses nothing any more, and runs until no node has anything left to say. */
export function quiesce(world: World): void {
  world.cuts.clear();
  while (world.late.length > 0) world.storeLate();
  for (const region of REGIONS) giveBack(world, region);
  let quietRounds = 0;
  for (let round = 0; quietRounds < 6; round++) {
    assert(round < 120, "the nodes never come to rest");
    const before = world.stored;
    world.advance(1_500);
    for (const member of world.members) {
      for (const origin of REGIONS) world.deliver(member, origin, Number.POSITIVE_INFINITY);
      world.give(member, { kind: "tick" });
      world.closeOrphans(member);
      while (member.outbox.length > 0) world.settle(member, "stored");
    }
    if (quietRounds === 3) reconcile(world);
    quietRounds = world.stored === before ? quietRounds + 1 : 0;
  }
  for (const member of world.members) {
    for (const origin of REGIONS) world.deliver(member, origin, Number.POSITIVE_INFINITY);
  }
}

/** The region writes its own log again, if another one stands for it. */
function giveBack(world: World, region: Region): void {
  const log = world.logs.newest(region);
  if (log.writer === region) return;
  calm(world);
  const heir = world.members.find((member) => member.region === log.writer);
  if (heir !== undefined && log.end === undefined) world.heirs.succeed(heir, region);
  calm(world);
  for (const member of world.members) if (member.region === region) world.renew(member);
  assert.equal(world.logs.newest(region).writer, region, `${region} never writes its log again`);
}

/** Puts right what a lost end took away: opens again what is live, and closes again what is not. */
function reconcile(world: World): void {
  for (const truth of world.truths.values()) {
    const { user, session } = truth;
    const member = world.members.find(({ region }) => region === session.region);
    if (!world.bereft.has(user) || member === undefined) continue;
    const view = member.node.replica.view(user);
    const shown = view?.sessions.find((one) => one.session.session === session.session)?.session;
    const isLive = !truth.closed && !truth.ended;
    if (isLive && !isDeepStrictEqual(shown, session)) world.append(member, { kind: "open", user, session });
    if (!isLive && shown !== undefined) world.append(member, expired(truth));
  }
}
