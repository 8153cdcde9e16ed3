/** The next frame of a region's log into a replica, which must take it. */
import { expect } from "vitest";
import type { Command, Region } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { frame } from "./samples.ts";

export function into(here: Replica, region: Region, ...commands: Command[]): Replica {
  const position = (here.fold(region)?.position ?? 0) + 1;
  expect(here.apply(region, position, frame(region, ...commands))).toBe("applied");
  return here;
}
