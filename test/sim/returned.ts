/**
 * What becomes of what a lost region had written and nobody else had, when it is back: judged at rest. Rule: of every user of whom the end of
 * its log says something the region's report says what became of it, and what users said of each other stands.
 */
import type { Command, Fact, Region, UserId } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { showsFact } from "../core/friend-checks.ts";
import { userIn } from "../core/users.ts";
import type { Askers } from "./askers.ts";
import { frameOf } from "./history.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** All of an end is gone through within this, when the log is begun again. */
const REPORTED_WITHIN_MS = 30_000;
const AGAIN_MS = 500;
/** What clients and operators ask for; the others follow from what other logs say. */
const ASKED: readonly Command["kind"][] = [
  "open",
  "update",
  "close",
  "prefer",
  "stance",
  "read",
  "bookmark",
  "release",
];

/** Fails the run where something is missing. */
export async function checkReturned(world: World, askers: Askers): Promise<void> {
  for (const region of REGIONS) {
    const lost = world.history.lostTo(region);
    if (lost === undefined) continue;
    const users = new Set<UserId>();
    for (const stored of lost.frames)
      for (const command of frameOf(stored).commands) {
        const user = isAsked(command) ? userIn(command) : undefined;
        if (user !== undefined) users.add(user);
      }
    await checkReport(world, region, users);
    checkFacts(world, region, askers);
  }
}

async function checkReport(world: World, region: Region, users: ReadonlySet<UserId>): Promise<void> {
  const { machine } = world;
  const { name, process, lostEnds } = world.serving(region);
  const untilMs = machine.nowMs + REPORTED_WITHIN_MS;
  let detail = "nothing";
  while (machine.failure === undefined && machine.nowMs < untilMs) {
    machine.enter(process);
    const asked = lostEnds?.report();
    let answer: Awaited<typeof asked>;
    void asked?.then((given) => (answer = given));
    await machine.run(machine.nowMs + AGAIN_MS);
    if (typeof answer === "object" && answer.finished) {
      const listed = new Set(answer.listed.map(({ user }) => user));
      const missing = [...users].filter((user) => !listed.has(user));
      if (missing.length > 0)
        machine.fail(
          `${name} does not report what became of ${missing.join()}, of whom ${region} had written`,
        );
      return;
    }
    detail = typeof answer === "string" ? answer : JSON.stringify(answer);
  }
  machine.fail(`${name} has no report of what ${region} had written: ${detail}`);
}

/** What was acknowledged before the region was lost, or while it was, and nobody else had. */
function checkFacts({ history, nodes, machine }: World, region: Region, { acknowledged }: Askers): void {
  const lost = history.lostTo(region);
  for (const { fact, place } of acknowledged) {
    const isLost =
      lost !== undefined && place.strand === lost.from.strand && place.position > lost.from.position;
    const without = isLost ? nodes.find(({ node }) => !stands(node.replica, fact)) : undefined;
    if (without !== undefined)
      machine.fail(
        `${without.name} does not have ${JSON.stringify(fact)}, acknowledged in ${region} while it was lost`,
      );
  }
}

/** What is newer about the two takes its place. */
function stands(replica: Replica, fact: Fact): boolean {
  const isOlder =
    fact.kind !== "bookmark" && replica.friends.pairOf(fact.user, fact.other).round > fact.round;
  return isOlder || showsFact(replica, fact);
}

function isAsked(command: Command): boolean {
  if (command.kind === "forward") return ASKED.includes(command.command.kind);
  return ASKED.includes(command.kind);
}
