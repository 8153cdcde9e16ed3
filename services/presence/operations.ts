/**
 * What operators, and writes that want more than this region's word, ask of a node beside its answers: confirmations by peers, snapshots,
 * verification. Rule: each says what it found or why it could not; none of them changes who is online.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Engine } from "./engine.ts";
import { NOT_READY, notCopied, nothingReturned, snapshotFailed, tooManyWaiters } from "./failures.ts";
import type { LostEnds } from "./lost-ends.ts";
import type { ReturnedReport } from "./returned.ts";
import type { Difference } from "./differences.ts";
import type { Outcome } from "./service.ts";

export interface Verification {
  /** Logs of which this replica and the one made of snapshot and log stood at one position. */
  readonly compared: number;
  /** At most `DIFFERENCES_MAX` records that this replica had wrong. */
  readonly differences: readonly Difference[];
  /** The replica made of snapshot and log has taken the place of the other. */
  readonly repaired: boolean;
}

export interface SnapshotTaken {
  readonly name: string;
  readonly bytes: number;
  readonly token: Token;
}

export interface NodeOperations {
  /** Waits until another region has copied this region's log up to the token (`ack=peer`). */
  confirm(token: Token): Promise<Outcome<undefined>>;
  /** Makes a replica of snapshot and logs, and compares this one with it; with `origin`, a known region, only differences of that log count. */
  verify(options: { readonly origin?: Region; readonly repair: boolean }): Promise<Outcome<Verification>>;
  snapshot(): Promise<Outcome<SnapshotTaken>>;
  /** What became of what the region's log said while another region stood for it. */
  returned(): Promise<Outcome<ReturnedReport>>;
}

export function operationsOf(engine: Engine, lostEnds: Pick<LostEnds, "report">): NodeOperations {
  const [region] = engine.regions;
  return {
    confirm: async (token) => {
      const at = token.get(region);
      if (at === undefined) return { ok: true, value: undefined };
      const copied = await engine.peerAcks.wait(at.logId, at.position);
      if (copied === "overloaded") return tooManyWaiters();
      return copied ? { ok: true, value: undefined } : notCopied(token);
    },
    verify: async ({ origin, repair }) => {
      if (!engine.node.caughtUp) return NOT_READY;
      const rebuilt = await engine.verify(repair);
      if (rebuilt === undefined) return NOT_READY;
      const differences = rebuilt.differences.filter(
        ({ region: log }) => origin === undefined || log === origin,
      );
      return { ok: true, value: { compared: rebuilt.compared, differences, repaired: repair } };
    },
    snapshot: async () => {
      if (!engine.node.caughtUp) return NOT_READY;
      const taken = await engine.housekeeping.take();
      if (!taken.ok) return snapshotFailed(taken.detail);
      return { ok: true, value: { name: taken.name, bytes: taken.bytes, token: taken.vector } };
    },
    returned: async () => {
      const report = await lostEnds.report();
      if (report === undefined) return nothingReturned(region);
      return typeof report === "string" ? snapshotFailed(report) : { ok: true, value: report };
    },
  };
}
