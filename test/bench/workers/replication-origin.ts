/**
 * The origin of `replication`: hands changes one by one to the shipped appender, as requests of many frontends would.
 * Rule: a bounded number of changes is under way, and every one of them is acknowledged before a run counts as done.
 */
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { Changes } from "../support/changes.ts";
import { sharedNowMs } from "../support/now.ts";
import { openOrigin, type Origin } from "../support/origin.ts";
import { serve } from "../support/rpc.ts";

/** Changes handed over before looking at the time and at what is acknowledged. */
const GROUP = 2_048;
const GROUPS_MAX = 4;

export interface OriginOpen {
  readonly region: string;
  readonly natsUrl: string;
  readonly users: number;
}
export interface OriginRun {
  readonly changes: number;
  readonly frames: number;
  readonly bytes: number;
  readonly startedAtMs: number;
  readonly acknowledgedAtMs: number;
  /** Where the last change is in the log. */
  readonly position: number;
  /** Users online when all that was ever sent is folded. */
  readonly online: number;
}

let open: { readonly origin: Origin; readonly changes: Changes } | undefined;

const calls = {
  open: async ({ region, natsUrl, users }: OriginOpen): Promise<void> => {
    open = { origin: await openOrigin(region, natsUrl), changes: new Changes(region, users, 4) };
  },

  /** Sends for so long, and at least `changesMin`. */
  run: async ({ seconds, changesMin }: { seconds: number; changesMin: number }): Promise<OriginRun> => {
    if (open === undefined) throw new Error("open comes first");
    const { origin, changes } = open;
    const { appender } = origin;
    const before = { frames: appender.stats.frames, bytes: origin.bytes() };
    const startedAtMs = sharedNowMs();
    const underWay: Promise<AppendOutcome>[] = [];
    let sent = 0;
    let position = 0;
    const settleOldest = async (): Promise<void> => {
      const outcome = await underWay.shift();
      if (outcome?.ok !== true) throw new Error(`an append failed: ${outcome?.reason}`);
      position = outcome.position;
    };
    while (sharedNowMs() - startedAtMs < seconds * 1_000 || sent < changesMin) {
      let last: Promise<AppendOutcome> | undefined;
      for (let index = 0; index < GROUP; index++) last = appender.append([changes.next()]);
      if (last !== undefined) underWay.push(last);
      sent += GROUP;
      if (underWay.length >= GROUPS_MAX) await settleOldest();
    }
    while (underWay.length > 0) await settleOldest();
    if (appender.stats.failures.size > 0) throw new Error("appends failed");
    return {
      changes: sent,
      frames: appender.stats.frames - before.frames,
      bytes: origin.bytes() - before.bytes,
      startedAtMs,
      acknowledgedAtMs: sharedNowMs(),
      position,
      online: changes.online,
    };
  },
};
export type ReplicationOriginCalls = typeof calls;

serve(calls);
