/**
 * Whether a user's home is beyond doubt, so that it may give the user over (decisions/0013). Rule: nothing about the user is on its way, and
 * every region has told, in its log, that it has folded every record of the user and where the others moved to. What it sent elsewhere
 * before that is known here, and afterwards it sends here and claims no more.
 */
import type { Region, UserId } from "./commands.ts";
import type { LinkMatrix } from "./matrix.ts";
import type { Replica } from "./replica.ts";

export function isSettled(replica: Replica, matrix: LinkMatrix, home: Region, user: UserId): boolean {
  const { contested, folds, provisional } = replica;
  if (contested.has(user) || provisional.underWay(user).length > 0) return false;
  if (replica.fold(home)?.homed(user) === undefined) return false;
  return folds.every(({ region, logId, base, table }) => {
    const record = table.get(user);
    return record === undefined || matrix.isFoldedByAll(region, logId, record.version - base);
  });
}
