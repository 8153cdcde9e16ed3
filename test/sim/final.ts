/**
 * What must hold when all is quiet: the logs read again from their first frame by the slow model of test/core, compared with every
 * replica; and each node, asked to compare itself with snapshot and logs, finds nothing. Rule: forwards took effect exactly once, in order;
 * every replica shows what the model shows.
 */
import { isDeepStrictEqual } from "node:util";
import type { Region, UserCommand, UserId } from "../../replicator/core/commands.ts";
import { FIRST_EPOCH } from "../../replicator/core/homing.ts";
import { claimsTo, modelView, pendingOf } from "../core/model-view.ts";
import { isHigher, readLog } from "../core/model.ts";
import type { ModelLog } from "../core/model.ts";
import { placeText } from "./history.ts";
import type { Place } from "./history.ts";
import { showsFact } from "../core/friend-checks.ts";
import { factsOf, modelPair } from "../core/model-facts.ts";
import type { Said } from "./askers.ts";
import { foldDiffers } from "./like-model.ts";
import { REGIONS } from "./settings.ts";
import type { Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";
import type { NodeHost } from "./node-host.ts";
import type { World } from "./world.ts";

/** A replica of fifty users is made anew within this. */
const VERIFIED_WITHIN_MS = 10_000;

/** Every node compares its replica with snapshot and logs, all of them, and finds no difference. */
export async function verifyAll(world: World): Promise<void> {
  const { machine } = world;
  const asked = machine.nowMs;
  const open = new Set<NodeHost>();
  for (const host of world.nodes) {
    if (host.engine === undefined) continue;
    open.add(host);
    machine.enter(host.process);
    void machine.within(() => verify(machine, host)).then(() => open.delete(host));
  }
  while (open.size > 0 && machine.failure === undefined && machine.nowMs - asked < VERIFIED_WITHIN_MS)
    await machine.run(machine.nowMs + 100);
  for (const { name } of open) machine.fail(`${name} could not verify itself`);
}

async function verify(machine: Machine, { engine, name }: NodeHost): Promise<void> {
  const { compared = 0, differences = [] } = (await engine?.verify(false)) ?? {};
  const [first] = differences;
  if (first !== undefined)
    machine.fail(`invariant 1: ${name} differs from the logs: ${first.user} in ${first.region}`);
  else if (compared !== REGIONS.length) machine.fail(`${name} could compare ${compared} logs only`);
}

/** Users who said things of each other, and what of it was acknowledged. */
interface Sayers {
  readonly users: readonly UserId[];
  readonly acknowledged: readonly Said[];
}

/** The first thing wrong, or nothing. */
export function finalFault(world: World, ledger: Ledger, sayers: readonly Sayers[]): string | undefined {
  const { history } = world;
  const models = new Map<string, ModelLog>();
  const at = (region: Region, place: Place | undefined): ModelLog => {
    const key = `${region} ${placeText(place)}`;
    const model = models.get(key) ?? readLog(region, history.lineage(place));
    models.set(key, model);
    return model;
  };
  const whole = REGIONS.map((region) => at(region, world.end(region)));
  const everOf = (region: Region): ModelLog[] => history.ends(region).map((end) => at(region, end));
  const bereft = bereftOf(world);
  for (const home of whole) {
    for (const origin of whole) {
      const fault = home === origin ? undefined : exactlyOnce(home, origin, everOf(origin.region), bereft);
      if (fault !== undefined) return fault;
    }
  }
  for (const [user, moves] of ledger.moves) {
    const isKept = moves.some(({ place }) => history.has(world.end(place.strand.region), place));
    const targets = moves.map(({ to }) => to);
    if (isKept && !hasMoved(whole, user, targets) && !bereft.has(user))
      return `invariant 4: ${user} was moved, acknowledged, and lives where nobody moved them`;
  }
  const compared = new Set<string>();
  for (const host of world.nodes) {
    const logs = REGIONS.map((region) => at(region, host.places.get(region)));
    const vector = REGIONS.map((region) => placeText(host.places.get(region))).join();
    const fault =
      compared.has(vector) && !host.serves
        ? undefined
        : (likeTheModel(host, logs, ledger) ??
          sayers.map((some) => friendsFault(host, logs, some, bereft)).find((one) => one !== undefined));
    if (fault !== undefined) return fault;
    compared.add(vector);
  }
  return undefined;
}

/**
 * Whether the user's move is in what the logs say of them: a claim gave them a home, or is on its way to one. What was asked while there were
 * faults may be stored long after, even when all else is quiet. Or they were dropped to the very region before the release came: a double
 * claim that their home did not know of when it was asked.
 */
export function hasMoved(logs: readonly ModelLog[], user: UserId, targets: readonly Region[]): boolean {
  const [home] = claimsTo(logs, user);
  if (home !== undefined && (targets.includes(home.region) || isHigher(home.record.epoch, FIRST_EPOCH)))
    return true;
  return pendingOf(logs).some(({ command }) => command.kind === "claim" && command.user === user);
}

/** Invariants 1 and 4 of what users say of each other. */
function friendsFault(
  host: NodeHost,
  logs: readonly ModelLog[],
  { users, acknowledged }: Sayers,
  bereft: ReadonlySet<UserId>,
): string | undefined {
  const { replica } = host.node;
  const facts = factsOf(logs);
  for (const user of users)
    for (const other of users)
      if (!isDeepStrictEqual(replica.friends.pairOf(user, other), modelPair(facts, user, other)))
        return `invariant 1: ${host.name} shows ${user} and ${other} otherwise than the model`;
  const lost = acknowledged.find(
    ({ fact, place }) => host.has(place) && !bereft.has(fact.user) && !showsFact(replica, fact),
  );
  return lost && `invariant 4: ${host.name} does not have ${JSON.stringify(lost.fact)}, acknowledged`;
}

/** Users of whom a lost end of some log spoke. */
function bereftOf(world: World): ReadonlySet<UserId> {
  const { history } = world;
  const users = new Set<UserId>();
  for (const region of REGIONS) {
    for (const end of history.ends(region))
      for (const user of history.lostUsers(end, world.end(region))) users.add(user);
  }
  return users;
}

/**
 * Invariant 5: in order, each at most once, as it was sent; left out only where the log said later what takes its place, in a forward
 * or for itself. What a lost end has sent may have taken effect, or not; of the users of whom a lost end spoke, some effects may be lost with it.
 */
function exactlyOnce(
  home: ModelLog,
  origin: ModelLog,
  ever: readonly ModelLog[],
  bereft: ReadonlySet<UserId>,
): string | undefined {
  const sent = origin.forwards.filter(({ to }) => to === home.region);
  const commands = new Map<number, UserCommand[]>();
  for (const { forwards } of ever)
    for (const { to, ordinal, command } of forwards)
      if (to === home.region) commands.set(ordinal, [...(commands.get(ordinal) ?? []), command]);
  let done = 0;
  for (const { at, command } of home.effects.filter(({ lineage }) => lineage === origin.lineage)) {
    const where = `forward ${at} of ${origin.region} to ${home.region}`;
    if (at <= done) return `invariant 5: ${where} took effect twice, or after a later one`;
    if (commands.get(at)?.some((one) => isDeepStrictEqual(command, one)) !== true)
      return `invariant 5: ${where} is not what was sent`;
    const skipped = sent.find(
      ({ ordinal, command: { user }, needless }) =>
        ordinal > done && ordinal < at && !needless && !bereft.has(user),
    );
    if (skipped !== undefined)
      return `invariant 5: forward ${skipped.ordinal} of ${origin.region} to ${home.region} was left out`;
    done = at;
  }
  return undefined;
}

/** Invariants 1 and 2: one winner, and the state of the logs as the model has it. */
function likeTheModel(host: NodeHost, logs: readonly ModelLog[], ledger: Ledger): string | undefined {
  const { replica } = host.node;
  for (const log of logs) {
    const fold = replica.fold(log.region);
    const differs = fold === undefined ? "nothing" : foldDiffers(fold, log);
    if (differs !== undefined) return `invariant 1: ${host.name} has ${differs} in the log of ${log.region}`;
  }
  for (const user of ledger.users()) {
    if (replica.winner(user) !== claimsTo(logs, user)[0]?.region) {
      return `invariant 2: ${host.name} has another home for ${user} than the model`;
    }
    const shown = replica.view(user)?.sessions.map(({ session }) => session) ?? [];
    if (!isDeepStrictEqual(shown, modelView(logs, user)?.sessions ?? [])) {
      return `invariant 1: ${host.name} shows other sessions of ${user} than the model`;
    }
  }
  return undefined;
}
