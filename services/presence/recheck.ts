/**
 * Waits until a replica has folded what the logs hold by now. Rule: of the logs that can be followed from where it stands; a server that does
 * not answer is not waited for.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Region } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { sourceOf } from "../../replicator/core/succession.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import { heldLogs } from "./held-logs.ts";
import type { HeldOptions } from "./held-logs.ts";
import type { Held } from "./snapshots.ts";

export interface RecheckOptions extends HeldOptions {
  /** The replica of the moment. */
  readonly replica: () => Replica;
  readonly stopped: () => boolean;
}

export async function recheck(options: RecheckOptions): Promise<void> {
  const held = await heldLogs(options);
  if (typeof held === "string") return;
  for (const region of options.regions)
    while (!options.stopped() && isShort(options.replica(), region, held)) await pause(LIMITS.tickMs);
}

/** Whether the region's fold has still to read what was held, of its own log or of the heir's that it reads or goes over to. */
function isShort({ folds }: Replica, region: Region, held: ReadonlyMap<Region, Held>): boolean {
  const fold = defined(
    folds.find((one) => one.region === region),
    "a replica has every region",
  );
  const source = sourceOf(folds, fold);
  const log = source.kind === "log" ? held.get(source.of) : undefined;
  if (source.kind === "astray" || log === undefined) return false;
  if (source.from !== undefined) return log.logId === source.from.logId && log.head >= source.from.position;
  return log.logId === fold.logId && fold.position < Math.min(log.head, source.through ?? log.head);
}
