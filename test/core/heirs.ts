/**
 * Lost regions in the world: another one succeeds them, from where one of its nodes has folded their log, and later yields. Rule: the decision
 * alone says which frames count; what the lost region stored beyond is a lost end.
 */
import { strict as assert } from "node:assert";
import type { Command, Position, Region } from "../../replicator/core/commands.ts";
import { successionKey } from "../../replicator/core/succession.ts";
import type { WorldLog } from "./logs.ts";
import type { Member } from "./member.ts";
import { usersOf } from "./users.ts";
import { REGIONS } from "./samples.ts";
import type { World } from "./world.ts";

export class Heirs {
  /** Regions that another one stood for, and of those that write their logs again. */
  successions = 0;
  yields = 0;
  /** Sessions that an heir ended. */
  expiries = 0;
  readonly #world: World;
  readonly #generations = new Map<Region, number>();
  /** Where the newest decision about others stands in the region's log: no end with one of these is lost. */
  readonly #decidedAt = new Map<Region, Position>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The member's region succeeds another one, from where the member has folded that one's log; or lets it write again. */
  succeed(member: Member, region: Region): void {
    const { logs, bereft, snapshots } = this.#world;
    const heir = member.region;
    this.#hear(member, region);
    const log = logs.newest(region);
    if (!member.node.caughtUp || region === heir || !this.#world.mayWrite(member)) return;
    if (log.writer === heir && log.end === undefined) return this.#yield(member, log);
    const { logId, position } = member.stand(region);
    if (log.writer !== region || logId !== log.logId || logs.stoodForBy(region).length > 0) return;
    if (!REGIONS.every((origin) => this.#world.isOnNewest(member, origin))) return;
    // Once in each log of the heir: the world knows a region's logs by their identities.
    const heirs = logs.newest(heir).logId;
    if (logs.ofRegion(region).some((one) => one.logId === heirs)) return;
    this.successions += 1;
    this.#generations.set(region, this.successions);
    this.#decide(member, region, `fence ${this.successions}`);
    this.#decide(member, region, `succeed ${this.successions} of ${logId} at ${position} sum 0`);
    for (const user of usersOf(logs.succeed(region, position, heir))) bereft.add(user);
    this.#hear(member, region);
    snapshots.take(member);
  }

  #hear(member: Member, region: Region): void {
    for (const origin of [member.region, region])
      this.#world.deliver(member, origin, Number.POSITIVE_INFINITY);
  }

  #yield(member: Member, log: WorldLog): void {
    this.#decide(member, log.region, `yield ${this.#generations.get(log.region)}`);
    log.end = log.frames.length;
    this.yields += 1;
  }

  #decide(member: Member, region: Region, value: string): void {
    const command: Command = { kind: "set", key: successionKey(region), value, by: member.name, reason: "" };
    this.#decidedAt.set(member.region, this.#world.store(member, [command]));
  }

  /** An heir's log is followed for the region from when the heir's own fold has it that it is to be. */
  mayFollow(member: Member, { region, writer, logId, start }: WorldLog): boolean {
    if (writer === region || member.stand(region).logId === logId) return true;
    const heir = member.stand(writer);
    return heir.logId === logId && heir.position >= start;
  }

  /**
   * Whether the log of the member's region may be begun again from where the member is: one that an heir wrote when that has yielded, and one
   * that is written for others when the member has all of it for those too, as nobody can go on in it from before.
   */
  mayRenew(member: Member): boolean {
    const { region } = member;
    const { logs } = this.#world;
    const { logId, position } = member.stand(region);
    const newest = logs.newest(region);
    if (newest.writer !== region) return newest.end === position && newest.logId === logId;
    if (newest.logId === logId && position < (this.#decidedAt.get(region) ?? 0)) return false;
    return logs
      .stoodForBy(region)
      .map((stood) => member.stand(stood.region))
      .every((at) => at.logId === logId && at.position === position);
  }

  /** What an heir ends nobody keeps alive any more. */
  expire(command: Command): void {
    if ("command" in command) return this.expire(command.command);
    assert(command.kind === "close");
    const truth = this.#world.truths.get(command.session);
    assert(truth !== undefined, "a session was ended that nobody opened");
    if (!truth.closed && !truth.ended) this.expiries += 1;
    truth.closed = true;
  }
}
