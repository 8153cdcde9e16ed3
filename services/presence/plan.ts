/** What the plans of an evacuation have in common: what speaks against one, and who hears whom. */
import type { Region } from "../../replicator/core/commands.ts";
import type { LinkRow } from "../../replicator/core/matrix.ts";
import type { PlanRefusal } from "./evacuation-view.ts";

/** Each hears the other. */
export function isInTouch(rows: readonly LinkRow[], region: Region, peer: Region): boolean {
  const between = rows.filter(
    ({ origin, replica }) =>
      (origin === region && replica === peer) || (origin === peer && replica === region),
  );
  return between.every(({ state }) => state === "live");
}

export function refusal(reason: PlanRefusal["reason"], detail: string, canForce = false): PlanRefusal {
  return { reason, detail, canForce };
}
