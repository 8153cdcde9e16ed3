/** What a presence service is made with: its place, its clock and chance, and the ways out that its node has. */
import type { Command, Region, SessionId } from "../../replicator/core/commands.ts";
import type { IntegrityEffect } from "../../replicator/core/node-events.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { LogEnd } from "./abreast.ts";
import type { AppendOutcome } from "./appender.ts";
import type { Capacity } from "./capacity.ts";
import type { Heads } from "./consistency.ts";
import type { Elsewhere } from "./reads.ts";

export interface PresenceOptions {
  readonly region: Region;
  readonly regions: readonly Region[];
  readonly clock: Clock;
  /** Appends next to each other to the region's own log. */
  readonly append: (commands: readonly Command[]) => Promise<AppendOutcome>;
  /** Whether an append could succeed now. */
  readonly canAppend: () => boolean;
  /** Until the peer is overrun in this region's log; `null` when it is not behind. */
  readonly secondsToOverrun?: (peer: Region) => number | null;
  /** Resolves when all that the logs hold by now is folded, or nobody says what they hold. */
  readonly recheck?: () => Promise<void>;
  /** Where the region's own log ends now. Left out where no other node appends to it: then what is unknown here is unknown to the log. */
  readonly logEnd?: LogEnd;
  /** Asks how far the logs of all regions go; nobody answers where it is left out. */
  readonly heads?: (waitMs: number) => Promise<Heads>;
  /** Asks other regions' nodes for reads; nobody answers where it is left out. */
  readonly elsewhere?: Elsewhere;
  /** Hears what the digests say. */
  readonly integrity?: (effect: IntegrityEffect) => void;
  /** A fresh, unguessable id. */
  readonly mintSession: () => SessionId;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
  /** Logins in a row from one other region after which a user is homed there; 0: never. */
  readonly rehomeLogins?: number;
  /** What there is room for; a million sessions when left out. */
  readonly capacity?: Capacity;
}
