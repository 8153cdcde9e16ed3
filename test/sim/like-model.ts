/** Compares folds and replicas with the slow model of test/core, which reads whole lineages again. Rule: any difference is named. */
import { isDeepStrictEqual } from "node:util";
import type { Frame } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { keyIn } from "../core/model-facts.ts";
import { readLog } from "../core/model.ts";
import type { ModelLog } from "../core/model.ts";

/** What in the fold is not as the frames say; nothing when all is. */
export function recordsDiffer(fold: Fold, lineage: readonly (readonly Frame[])[]): string | undefined {
  return foldDiffers(fold, readLog(fold.region, lineage));
}

export function foldDiffers(fold: Fold, log: ModelLog): string | undefined {
  for (const [user, record] of log.records) {
    const held = fold.table.get(user);
    const same =
      held !== undefined &&
      held.version === record.version &&
      held.movedTo === record.movedTo &&
      held.preferred === record.preferred &&
      held.preferredUntilMs === record.untilMs &&
      isDeepStrictEqual(held.epoch, record.epoch) &&
      isDeepStrictEqual(held.sessions, record.sessions);
    if (!same) return `another record of ${user}`;
  }
  if (fold.table.size !== log.records.size) return "users the model has not";
  const facts = new Map(fold.facts.all.map(({ fact }) => [keyIn(fact), fact]));
  if (!isDeepStrictEqual(facts, new Map(log.facts))) return "other facts";
  return isDeepStrictEqual(fold.processed, log.processed) ? undefined : "another count of what is processed";
}
