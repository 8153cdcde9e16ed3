/** A fold of the log of cn that writes down everything it tells. */
import { expect } from "vitest";
import type { Command, UserCommand } from "../../replicator/core/commands.ts";
import { Fold } from "../../replicator/core/fold.ts";
import type { FoldListener } from "../../replicator/core/fold-listener.ts";
import { frame } from "./samples.ts";

/** Everything a fold told, in its order. */
export function recorded(): { fold: Fold; told: string[]; give: (...commands: Command[]) => string[] } {
  const told: string[] = [];
  const listener: FoldListener = {
    changed: (_fold, user, appeared) => void told.push(`${appeared ? "appeared" : "changed"} ${user}`),
    applied: (_fold, command, ended) =>
      void told.push(
        `applied ${command.kind}${ended.map(({ session, reason, by }) => ` ended ${session.session} ${reason} ${by}`.trimEnd()).join("")}`,
      ),
    said: (_fold, fact, isFirst) => void told.push(`${isFirst ? "said" : "said anew"} ${about(fact)}`),
    forwarded: (_fold, to, ordinal, command) =>
      void told.push(`forward ${ordinal} to ${to}: ${about(command)}`),
    accepting: () => undefined,
    processed: (_fold, { from, lineage, at }) => void told.push(`processed ${at} of ${from} ${lineage}`),
    corrupt: (_fold, user) => void told.push(`corrupt ${user}`),
    refused: (_fold, command, refusal) => void told.push(`refused ${command.kind}: ${refusal}`),
    marked: (_fold, position) => void told.push(`marked ${position}`),
    compared: (_fold, at, buckets) => void told.push(`compared at ${at}: ${buckets.join()}`),
  };
  const fold = new Fold("cn", listener);
  return {
    fold,
    told,
    give: (...commands) => {
      told.length = 0;
      expect(fold.apply(fold.position + 1, frame("cn", ...commands))).toBe("applied");
      return [...told];
    },
  };
}

function about(command: UserCommand): string {
  if (command.kind === "prefer") return `prefer ${command.preferred}`;
  if (command.kind === "bookmark") return `bookmark ${command.offset}`;
  if (command.kind === "read") return `read ${command.other} ${command.round}`;
  if (command.kind === "stance") return `${command.word} ${command.other} ${command.round}`;
  if (command.kind === "claim") return `claim at ${command.epoch.count} of ${command.sessions.length}`;
  return `${command.kind} ${command.kind === "open" ? command.session.session : command.session}`;
}
