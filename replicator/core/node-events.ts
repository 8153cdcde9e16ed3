/** What the node's step takes and gives: events of the driver, and effects that the driver carries out, in their order. */
import type { Close, Command, Frame, LogId, Position, Region, Session, UserId } from "./commands.ts";
import type { FoldResult } from "./fold-listener.ts";
import type { LinkReport } from "./link-events.ts";
import type { EndedSession } from "./record.ts";
import type { Replica } from "./replica.ts";
import type { Sealed } from "./successions.ts";

/** What an append is for; handed back with its outcome. */
export type Duty =
  | { readonly kind: "watermark" }
  /** `of`: in the log of that region, which this one stands for. */
  | { readonly kind: "accept"; readonly from: Region; readonly of?: Region }
  | { readonly kind: "drop" }
  | { readonly kind: "automatic" }
  | { readonly kind: "digest" }
  | { readonly kind: "evacuate" }
  /** Of what is to become of regions that are lost. */
  | { readonly kind: "succession" }
  /** Of sessions connected to that region. */
  | { readonly kind: "expire"; readonly of: Region };

export type NodeEvent =
  | { readonly kind: "frame"; readonly region: Region; readonly position: Position; readonly frame: Frame }
  /** All logs are folded up to where they stood when the node started. Duties begin. */
  | { readonly kind: "caught-up" }
  | { readonly kind: "link"; readonly report: LinkReport }
  /**
   * Another replica takes the place of the present one: one that was made of a snapshot, and has what this one has, or better. `astray`: this
   * one has what a log never had, so what the other has not did not end.
   */
  | { readonly kind: "adopt"; readonly replica: Replica; readonly astray?: boolean }
  /** This region's copy of that region's log is sealed. */
  | { readonly kind: "sealed"; readonly region: Region; readonly sealed: Sealed }
  /** That region's replicator has copied this region's log so far. */
  | { readonly kind: "copied"; readonly region: Region; readonly logId: LogId; readonly position: Position }
  /** An append effect is acknowledged, or given up. */
  | { readonly kind: "settled"; readonly duty: Duty; readonly ok: boolean }
  /** `silent`: this region is not to be heard yet, as its log may lack sessions that are alive here. */
  | { readonly kind: "tick"; readonly silent?: boolean };

export type NodeEffect =
  | { readonly kind: "append"; readonly duty: Duty; readonly commands: readonly Command[] }
  /** A session connected to this region is in a log. */
  | { readonly kind: "opened"; readonly user: UserId; readonly session: Session }
  /**
   * The home ended a session connected to this region. `unsaid`: by a close that this region's log, as folded here, did not send there; another
   * may have in its place.
   */
  | { readonly kind: "ended"; readonly user: UserId; readonly ended: EndedSession; readonly unsaid: boolean }
  /** A session was closed in a log that does not have it: if it is connected to this region, it is over. */
  | { readonly kind: "closed"; readonly close: Close; readonly unsaid: boolean }
  /** The digest that the log carries was compared at the mark of version `at`; these buckets differ here. */
  | {
      readonly kind: "compared";
      readonly region: Region;
      readonly at: number;
      readonly buckets: readonly number[];
      /** The node whose digest it is. */
      readonly node: string;
    }
  /** The user's record in the fold of that region is not what commands made of it. */
  | { readonly kind: "corrupt"; readonly region: Region; readonly user: UserId }
  /** A frame changed nothing and never will; a `duplicate` is no refusal. */
  | {
      readonly kind: "refused";
      readonly region: Region;
      readonly position: Position;
      readonly reason: FoldResult;
    };

export type IntegrityEffect = Extract<NodeEffect, { kind: "compared" | "corrupt" }>;
