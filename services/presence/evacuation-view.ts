/**
 * What operators ask about the evacuation of a region, and what they are told: the plan, what speaks against it, the progress. Times are
 * wall-clock milliseconds. Rule: who may decide and what is refused is said in evacuating.ts; here is only how it is put.
 */
import type { Position, Region } from "../../replicator/core/commands.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { ReplicationLink, SettingView } from "./service.ts";

/** An operator's request about the region. */
export interface EvacuationRequest {
  readonly region: Region;
  readonly by: string;
  readonly reason: string;
  /** Only the plan is wanted. */
  readonly dryRun: boolean;
  /** In spite of those refusals that allow it. */
  readonly force: boolean;
  /** When the evacuation ends by itself, in wall-clock milliseconds. */
  readonly untilMs?: number;
}

export const PLAN_REFUSALS = [
  "same-region",
  "under-way",
  "not-evacuated",
  "heir-evacuated",
  "is-heir",
  "heir-behind",
  "no-quorum",
  "in-touch",
  "succeeded",
  "stands-in",
  "not-back",
  "no-end",
] as const;

export interface PlanRefusal {
  readonly reason: (typeof PLAN_REFUSALS)[number];
  readonly detail: string;
  readonly canForce: boolean;
}

export const HOLDS = ["heir-evacuated", "is-heir", "not-in-touch"] as const;

/** What keeps users from moving. */
export interface Hold {
  readonly reason: (typeof HOLDS)[number];
  readonly detail: string;
}

/** What would be done, as this node sees it now. */
export interface EvacuationPlan {
  /** Whose home would be another. */
  readonly users: number;
  /** Connected to the region; they stay. */
  readonly sessions: number;
  /** Folded here, of every log. */
  readonly positions: Readonly<Record<Region, Position>>;
  /** Links that are not live: their replicas would hear of it late, and users that they have not heard of stay until they have. */
  readonly late: readonly Pick<ReplicationLink, "origin" | "replica" | "state" | "reason" | "eventsBehind">[];
  readonly refusals: readonly PlanRefusal[];
  /** Of a region that is lost. */
  readonly lost?: LostPlan;
}

export interface LostPlan {
  /** How far its log is folded here. */
  readonly position: Position;
  /** And elsewhere, by what those regions said last of the same log. */
  readonly folded: Readonly<Record<Region, Position>>;
  /** Since the region was last heard; `null` if it never was. What it took in this long may be known to nobody else. */
  readonly watermarkAgeMs: number | null;
}

/** Who goes on with the log of a region that is lost, or did. */
export interface SuccessionView {
  readonly heir: Region;
  /** Counts the successions of the region. */
  readonly generation: number;
  readonly phase: (typeof SUCCESSION_PHASES)[number];
  /** When that was decided, by wall clock. */
  readonly sinceMs: number;
  readonly reason: string;
}

export const SUCCESSION_PHASES = ["fence", "succeed", "yield", "given-up"] as const;

/** A region as its log has it: who lives there, which nodes append to it, how its evacuation goes. */
export interface RegionView {
  readonly state: "home" | "evacuating" | "evacuated" | "restoring";
  /** Users whose home the region is. */
  readonly homes: number;
  /** Its nodes that were heard lately, by name. */
  readonly nodes: readonly string[];
  /** Still to move, away or back; `null` while they are being counted. Absent, with what follows, for a region in state `home`. */
  readonly usersLeft?: number | null;
  /** Why users may stay where they are for now; absent where nothing is known to keep them, or nobody is left. */
  readonly holds?: readonly Hold[];
  readonly to?: Region;
  readonly decision?: SettingView;
  readonly untilMs?: number;
  /** Absent for a region that was never succeeded. */
  readonly succession?: SuccessionView;
}

export interface EvacuationAnswer {
  readonly plan: EvacuationPlan;
  readonly evacuation: RegionView;
  /** Of the decision; absent where nothing was decided. */
  readonly token?: Token;
}
