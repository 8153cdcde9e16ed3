/** The snapshots of the world: read out of members part by part while they go on, kept for all, and adopted where a fold leads nowhere. */
import { strict as assert } from "node:assert";
import type { Region, SessionId, UserId } from "../../replicator/core/commands.ts";
import type { EndedSession } from "../../replicator/core/record.ts";
import { Replica } from "../../replicator/core/replica.ts";
import type { SnapshotPart } from "../../replicator/core/snapshot.ts";
import { exportReplica } from "../../replicator/core/transfer.ts";
import type { Stand } from "./logs.ts";
import type { Member } from "./member.ts";
import { imported, lastSeen, observed } from "./observed.ts";
import { REGIONS, USERS } from "./samples.ts";
import type { World } from "./world.ts";

/** What a replica was when its first part was read, and when users were last seen, then or at one of the later parts. */
export interface Before {
  readonly observed: string;
  readonly lastSeen: ReadonlyMap<UserId, number>[];
}

interface Reading {
  readonly parts: Generator<SnapshotPart>;
  readonly read: SnapshotPart[];
  readonly stands: ReadonlyMap<Region, Stand>;
  readonly before: Before;
}

interface Snapshot {
  readonly parts: readonly SnapshotPart[];
  readonly stands: ReadonlyMap<Region, Stand>;
}

export class Snapshots {
  readonly #world: World;
  readonly #readings = new Map<Member, Reading>();
  /** Newest last. */
  readonly #kept: Snapshot[] = [];
  /** How many replicas took the place of one that led nowhere. */
  adopted = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Reads the next part out of the member, or the first of another snapshot. */
  read(member: Member): void {
    if (this.#readings.has(member)) return this.readOn(member);
    const { replica } = member.node;
    const parts = exportReplica(replica);
    const before = { observed: observed(replica, USERS), lastSeen: [] };
    const stands = standsOf(replica);
    this.#readings.set(member, { parts, read: [], stands, before });
    this.readOn(member);
  }

  /** Reads the next part, if a snapshot is being read out of the member. */
  readOn(member: Member): void {
    const reading = this.#readings.get(member);
    if (reading === undefined) return;
    reading.before.lastSeen.push(lastSeen(member.node.replica, USERS));
    const { value, done } = reading.parts.next();
    if (done !== true) return void reading.read.push(structuredClone(value));
    this.#readings.delete(member);
    this.#world.observer?.exported(reading.read, reading.before);
    this.#kept.push({ parts: reading.read, stands: reading.stands });
  }

  /** Reads a whole one out of the member. */
  take(member: Member): void {
    this.abandon(member);
    do this.read(member);
    while (this.#readings.has(member));
  }

  abandon(member: Member): void {
    this.#readings.get(member)?.parts.return(undefined);
    this.#readings.delete(member);
  }

  newest(): Replica | undefined {
    const newest = this.#kept.at(-1);
    return newest && imported(newest.parts, REGIONS);
  }

  /** Has the member adopt the newest replica that knows the region's log as it is and has, or comes to have, all that the member has. */
  adoptFor(member: Member, origin: Region): boolean {
    const { logs } = this.#world;
    const { logId } = logs.newest(origin);
    const found = this.#kept.findLast(
      ({ stands }) =>
        stands.get(origin)?.logId === logId &&
        REGIONS.every((region) => logs.leadsTo(region, standIn(stands, region), member.stand(region))),
    );
    if (found === undefined) return false;
    const replica = imported(found.parts, REGIONS);
    for (const region of REGIONS) logs.bring(replica, region, member.stand(region));
    this.adopted += 1;
    this.abandon(member);
    this.#world.give(member, { kind: "adopt", replica });
    return true;
  }

  /**
   * The sessions of the member's region that ended in the logs of which its replica is made, read from them: a replica that is adopted
   * tells of none.
   */
  endedFor(member: Member): SessionId[] {
    const sessions: SessionId[] = [];
    const replica = new Replica(REGIONS);
    const ended = (_user: UserId, { session }: EndedSession): void => {
      if (session.region === member.region) sessions.push(session.session);
    };
    replica.listener = { ...replica.listener, ended };
    for (const region of REGIONS) this.#world.logs.bring(replica, region, member.stand(region));
    return sessions;
  }
}

function standsOf(replica: Replica): Map<Region, Stand> {
  return new Map(replica.folds.map(({ region, logId, position }) => [region, { logId, position }] as const));
}

function standIn(stands: ReadonlyMap<Region, Stand>, region: Region): Stand {
  const stand = stands.get(region);
  assert(stand !== undefined);
  return stand;
}
