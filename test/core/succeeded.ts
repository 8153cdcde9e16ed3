/** A replica of three regions of which cn is lost, fed frame by frame: decisions, what is said for cn, and where its fold goes on. */
import type { Command, DeputedCommand, Region } from "../../replicator/core/commands.ts";
import type { FoldResult } from "../../replicator/core/fold-listener.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { sourceOf, standing, successionKey, successionValue } from "../../replicator/core/succession.ts";
import { REGIONS, frame, open } from "./samples.ts";

export function say(value: string, region: Region = "cn"): Command {
  return { kind: "set", key: successionKey(region), value, by: "op", reason: "lost" };
}

export function forCn(command: DeputedCommand): Command {
  return { kind: "deputed", region: "cn", command };
}

/** A replica of which cn's log is folded up to 2 (with checksum 0), and that is fed by region. */
export class Given {
  readonly replica = new Replica(REGIONS);

  constructor() {
    this.own("cn", open("ann", "s1"));
    this.own("cn", open("bob", "s2"));
  }

  at(region: Region): number {
    return this.#fold(region).position;
  }

  /** The next frame of the region's own log. */
  own(region: Region, ...commands: Command[]): FoldResult {
    return this.replica.apply(region, this.at(region) + 1, frame(region, ...commands));
  }

  /** A frame of the heir's log for the fold of cn. */
  heirs(position: number, heir: Region, ...commands: Command[]): FoldResult {
    return this.replica.apply("cn", position, frame(heir, ...commands));
  }

  /** To the fold of the heir's log and to that of cn. */
  both(heir: Region, ...commands: Command[]): FoldResult[] {
    const position = this.at(heir) + 1;
    const own = this.own(heir, ...commands);
    return [own, this.heirs(position, heir, ...commands)];
  }

  source(region: Region = "cn"): ReturnType<typeof sourceOf> {
    return sourceOf(this.replica.folds, this.#fold(region));
  }

  standing(heir: Region): string | undefined {
    const said = standing(this.#fold(heir), "cn");
    return said && successionValue(said);
  }

  #fold(region: Region): Replica["folds"][number] {
    const fold = this.replica.fold(region);
    if (fold === undefined) throw new Error(region);
    return fold;
  }
}

export const SUCCEED = "succeed 1 of log-cn at 2 sum 0";
