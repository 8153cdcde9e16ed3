/**
 * When all has healed: what still differs from what the clients know, on any node. Rule: every session that beats is shown, everywhere and
 * as it was said last; nothing else is; whoever moves has arrived; every log is followed, and no node is in trouble.
 */
import type { PreferredStatus, Region, UserId } from "../../replicator/core/commands.ts";
import { EVACUATION_KEY, evacuationOf, isGuest } from "../../replicator/core/evacuation.ts";
import { compareEpochs, nextEpoch } from "../../replicator/core/homing.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { Clients } from "./clients.ts";
import { leavesNoRoom } from "./ledger.ts";
import type { Account, Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** So far behind the newest frame a replica may be that is in touch: what four nodes append in a second. */
const BEHIND_MAX = 32;
/** The decision by which an evacuation's users come back. */
const RETURN = /^from (\S+) since (\d+) to (\d+)$/;

/** The first thing that is not as it should be yet; nothing when all have converged. */
export function unconverged(world: World, ledger: Ledger, clients: Clients): string | undefined {
  for (const host of world.nodes) {
    const fault =
      notFollowing(world, host) ?? notMoved(host) ?? notShowing(world, host, ledger, clients.preferred);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function notFollowing(world: World, host: NodeHost): string | undefined {
  const { name } = host;
  if (!host.ready) return `${name} is not ready`;
  for (const origin of REGIONS) {
    const end = world.end(origin);
    const place = host.places.get(origin);
    if (end === undefined) return `there is no log of ${origin}`;
    if (end.strand.writer !== origin) return `${end.strand.writer} stands for ${origin}`;
    if (place === undefined || !world.history.has(end, place))
      return `${name} is in another log of ${origin}`;
    if (place.strand.logId !== end.strand.logId || end.position - place.position > BEHIND_MAX)
      return `${name} is ${end.position - place.position} behind ${origin}`;
    const state = host.node.matrix.linkState(origin, host.process.clock());
    if (state !== undefined && state !== "live") return `${name} shows the link from ${origin} ${state}`;
  }
  for (const [region, trouble] of host.engine?.troubles ?? [])
    return `${name} has trouble with ${region}: ${trouble}`;
  if (host.flipped) return `${name} goes on with a record that changed by itself`;
  return undefined;
}

/** Who could leave an evacuated region has, and who was to come back did. */
function notMoved({ node, name }: NodeHost): string | undefined {
  for (const region of REGIONS) {
    const evacuation = evacuationOf(node.replica, region);
    const left = evacuation === undefined ? notBack(node.replica, region) : undefined;
    if (left !== undefined) return `${name} has ${region} at home, and ${left} not back`;
    if (evacuation === undefined) continue;
    if (evacuation.phase !== "to") return `${name} has ${region} being restored`;
    const table = node.replica.fold(region)?.table ?? new Map<UserId, UserRecord>();
    const stay = [...table.values()].find(
      ({ user, movedTo }) => movedTo === "" && !isGuest(node.replica, region, user),
    );
    if (evacuationOf(node.replica, evacuation.heir) === undefined && stay !== undefined)
      return `${name} has ${stay.user} left in ${region}, which is evacuated`;
  }
  return undefined;
}

/**
 * Whom the region gave away in its last evacuation, and the heir has kept ever since. Where two regions gave the user to the heir at one epoch,
 * one of them dropped a double claim, and the user may be there by the other.
 */
function notBack(replica: Replica, region: Region): UserId | undefined {
  const decided = replica.fold(region)?.audit.findLast(({ key }) => key === EVACUATION_KEY);
  const before = replica.fold(region)?.audit.findLast(({ value }) => RETURN.test(value));
  const [, heir = "", since, end] = RETURN.exec(before?.value ?? "") ?? [];
  if (decided?.value !== "home") return undefined;
  const away = [...(replica.fold(region)?.table.values() ?? [])].find(({ user, movedTo, version, epoch }) => {
    const there = replica.fold(heir)?.homed(user);
    const isOfIt = movedTo === heir && version > Number(since) && version <= Number(end);
    const isAlone = replica.folds.every(({ region: other, table }) => {
      const record = table.get(user);
      return other === region || record?.movedTo !== heir || compareEpochs(record.epoch, epoch) !== 0;
    });
    return isOfIt && isAlone && there !== undefined && compareEpochs(there.epoch, nextEpoch(epoch)) === 0;
  });
  return away?.user;
}

function notShowing(
  world: World,
  host: NodeHost,
  ledger: Ledger,
  asked: ReadonlyMap<UserId, ReadonlySet<PreferredStatus>>,
): string | undefined {
  const { nowMs } = world.machine;
  for (const user of ledger.users()) {
    const view = host.node.replica.view(user);
    const shown = new Map(view?.sessions.map(({ session }) => [session.session, session.status]));
    for (const account of ledger.of(user)) {
      let status = shown.get(account.id);
      if (ledger.isAlive(account, nowMs)) {
        for (const { id } of ledger.standIns(account, nowMs)) status ??= shown.get(id);
        if (status === undefined && account.forced) return `${account.id} was forced out and not told yet`;
        if (status === undefined) return `${host.name} does not show ${account.id} of ${user}, alive`;
        if (!isSaid(world, account, status))
          return `${host.name} shows ${account.id} of ${user} ${status}, not ${account.status}`;
      } else if (status !== undefined && !ledger.mayBeRenewed(account, nowMs)) {
        return `${host.name} shows ${account.id} of ${user}, without a beat for ${(nowMs - account.beatMs).toFixed(0)} ms`;
      }
    }
    const [one, other] = crowd(ledger.of(user).filter(({ id }) => shown.has(id)));
    if (one !== undefined)
      return `${host.name} shows ${one.id} and ${other?.id} of ${user}, of which one must go`;
    if (view !== undefined && host.node.replica.winner(user) === undefined)
      return `${host.name} knows of no region that has ${user}`;
    const preferred = view?.preferred ?? "automatic";
    if (preferred !== "automatic" && asked.get(user)?.has(preferred) !== true)
      return `invariant 5: ${host.name} shows ${user} as preferring ${preferred}, which nobody asked for`;
  }
  return host.node.replica.contested.size > 0 ? `${host.name} has contested users` : undefined;
}

/** Two logins of which each leaves the other no room, if there are such. */
function crowd(shown: readonly Account[]): readonly [Account?, Account?] {
  for (const one of shown) {
    const other = shown.find(
      (another) => another !== one && leavesNoRoom(one, another) && leavesNoRoom(another, one),
    );
    if (other !== undefined) return [one, other];
  }
  return [];
}

/** The newest that was acknowledged, or one asked for since; any, where that is lost with the end of a log. */
function isSaid(world: World, account: Account, status: string): boolean {
  const { statusAcked, tentative, asked } = account;
  if (status === account.status || tentative.some((one) => one === status)) return true;
  const isLost = statusAcked !== undefined && !world.history.has(world.end(account.region), statusAcked);
  return isLost && [...asked].some((one) => one === status);
}
