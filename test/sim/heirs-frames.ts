/** What the frames of an heir's log say for a region that is lost. Rule: read from the frames alone, as the model of test/core reads them. */
import type { Command, Frame, Region } from "../../replicator/core/commands.ts";
import { parseSuccession } from "../../replicator/core/succession.ts";
import type { Succession } from "../../replicator/core/succession.ts";
import { saidFor } from "../core/logs.ts";
import type { Strand } from "./history.ts";

export interface Decided extends Pick<Succession, "phase" | "generation" | "base"> {
  readonly lost: Region;
}

/** What the frame decides about regions that are lost. */
export function decisionsIn({ commands }: Frame): Decided[] {
  return commands.flatMap((command) => {
    if (command.kind !== "set" || !command.key.startsWith("succession.")) return [];
    const said = parseSuccession(command.value);
    return said === undefined ? [] : [{ ...said, lost: command.key.slice("succession.".length) }];
  });
}

/** An heir's log as it counts for the region: nothing of before it went on, nor behind where it yields. */
export function saidIn(
  { region, writer, start }: Pick<Strand, "region" | "writer" | "start">,
  frames: readonly Frame[],
): Frame[] {
  const [first] = frames;
  if (first === undefined) return [];
  const before = Array.from({ length: start - 1 }, () => ({ ...first, commands: [] }));
  return [
    ...before,
    ...frames.map((frame) => {
      const said: Command[] = [];
      for (const command of frame.commands) {
        said.push(...saidFor({ region, writer }, command));
        const isOver =
          command.kind === "set" && said.at(-1)?.kind === "set" && command.value.startsWith("yield");
        if (isOver) break;
      }
      return { ...frame, commands: said };
    }),
  ];
}
