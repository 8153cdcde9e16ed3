/** A node in the world with what belongs to it: what it wants appended, and the leases it keeps; and what the world knows of its doings. */
import { strict as assert } from "node:assert";
import type {
  ClientCommand,
  Close,
  Command,
  LogId,
  Position,
  Region,
  Session,
  SessionId,
  UserId,
} from "../../replicator/core/commands.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { Duty } from "../../replicator/core/node-events.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import type { Stand } from "./logs.ts";
import { REGIONS } from "./samples.ts";
import type { Before } from "./snapshots.ts";

export interface Append {
  /** The log it was asked for. */
  readonly logId: LogId;
  readonly duty: Duty;
  readonly commands: readonly Command[];
}

/** Appended for ever, whether anything happens or not. */
export const BY_THE_CLOCK: ReadonlySet<Command["kind"]> = new Set(["watermark", "mark", "digest"]);

/** How an append ends: stored or not, acknowledged or not; `late` is stored after it was given up. */
export type AppendFate = "stored" | "lost" | "unacknowledged" | "late";

/** A session as the region it is connected to knows it. */
export interface Truth {
  readonly user: UserId;
  session: Session;
  /** The region asked for its end. */
  closed: boolean;
  /** The home ended it. */
  ended: boolean;
}

/** A write that was acknowledged with a token. */
export interface Write {
  readonly region: Region;
  readonly logId: LogId;
  readonly position: Position;
  readonly command: ClientCommand;
}

export class Member {
  readonly region: Region;
  readonly name: string;
  node: PresenceNode;
  readonly outbox: Append[] = [];
  /** Where the logs ended for this region when the node started. */
  startedAt: ReadonlyMap<Region, Stand> = new Map();
  /** Sessions this node opened, or was told of: it has their leases. */
  readonly known = new Set<SessionId>();
  readonly orphans = new Map<SessionId, Close>();

  constructor(region: Region, name: string) {
    this.region = region;
    this.name = name;
    this.node = new PresenceNode(region, REGIONS);
  }

  positionIn(origin: Region): Position {
    return this.stand(origin).position;
  }

  /** Where its fold of the region's log is. */
  stand(origin: Region): Stand {
    const fold = this.node.replica.fold(origin);
    assert(fold !== undefined);
    return fold;
  }
}

export interface Observer {
  /** After every event a node was given; `frame` says of which log, if it folded one. */
  stepped(member: Member, origin: Region | undefined): void;
  restarted(member: Member): void;
  /** The member's replica was read out, part by part, from when it was observed to be `before`. */
  exported(parts: readonly SnapshotPart[], before: Before): void;
}
