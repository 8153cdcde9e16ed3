/**
 * What a link is told and what it asks for: the types between the state machine of `link.ts` and whoever drives it. Rule: each effect
 * names the event that answers it; answers carry the attempt they belong to, and those of earlier attempts mean nothing.
 */
import type { LinkState, LogId, Position, Region } from "./commands.ts";
import type { Seal } from "./seal.ts";

/** What the replicator announces of a link; nodes of its region listen. */
export interface LinkReport {
  readonly origin: Region;
  readonly state: LinkState;
  readonly reason: string;
  /** Wall-clock milliseconds at which it entered `state`. */
  readonly sinceMs: number;
  /** Newest position known to exist at the origin. */
  readonly head: Position;
  /** Newest position appended to the copy. */
  readonly copied: Position;
  readonly framesCopied: number;
  readonly bytesCopied: number;
  /** By reason; what the link refused or failed at. */
  readonly errors: Readonly<Record<string, number>>;
}

/** What the frame's own header says, as far as the link checks it. */
export type Inspection =
  | {
      readonly ok: true;
      readonly region: Region;
      readonly logId: LogId;
      readonly checksum: number;
      /** The frame begins a log that goes on from another: nobody without a snapshot can fold it. */
      readonly goesOn?: boolean;
    }
  | { readonly ok: false; readonly reason: string };

export interface LinkEntry {
  readonly position: Position;
  readonly bytes: Uint8Array;
}

export type LinkEvent =
  /** Both ends answered: where the origin's log stands, and the copy's last message. */
  | {
      readonly kind: "opened";
      readonly origin: {
        readonly logId: LogId;
        readonly first: Position;
        readonly head: Position;
        readonly bytes: number;
      };
      /** `checksum` is that of the copy's last frame. */
      readonly copy: {
        readonly logId: LogId;
        readonly position: Position;
        readonly sequence: number;
        readonly checksum: number;
        readonly sealed?: Seal;
      };
    }
  /** A snapshot with the origin's log up to `position` is here; the copy is empty and its stream's last sequence is `sequence`. */
  | {
      readonly kind: "fetched";
      readonly attempt: number;
      readonly position: Position;
      readonly sequence: number;
    }
  | { readonly kind: "fetching"; readonly attempt: number; readonly percent: number }
  | { readonly kind: "fetch-failed"; readonly attempt: number; readonly detail: string }
  /** `reason` is counted: `absent` when the origin has no log yet. */
  | { readonly kind: "open-failed"; readonly reason: string; readonly detail: string }
  | { readonly kind: "entry"; readonly entry: LinkEntry; readonly inspection: Inspection }
  | { readonly kind: "interrupted"; readonly detail: string }
  | {
      readonly kind: "broken";
      readonly reason: "missing" | "identity-changed" | "malformed";
      readonly detail: string;
    }
  | {
      readonly kind: "appended";
      readonly attempt: number;
      readonly position: Position;
      readonly bytes: number;
    }
  | {
      readonly kind: "append-failed";
      readonly attempt: number;
      readonly reason: string;
      readonly detail: string;
    }
  /** The origin said where its log ends. */
  | { readonly kind: "head"; readonly position: Position }
  | { readonly kind: "tick" };

export type LinkEffect =
  /** Ask both ends; answer with `opened` or `open-failed`. Ends any reading. */
  | { readonly kind: "open" }
  | { readonly kind: "read"; readonly from: Position }
  | { readonly kind: "stop" }
  /** Get a snapshot that has the origin's log `logId` up to `atLeast` or beyond, then empty the copy; answer `fetched` or `fetch-failed`. */
  | {
      readonly kind: "fetch";
      readonly attempt: number;
      readonly logId: LogId;
      readonly atLeast: Position;
      readonly head: Position;
    }
  /** Pipelined in this order; answer with `appended` or `append-failed` and the same attempt. */
  | {
      readonly kind: "append";
      readonly attempt: number;
      readonly entry: LinkEntry;
      readonly logId: LogId;
      readonly fence: number;
    };
