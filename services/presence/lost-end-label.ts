/**
 * What is written on the kept end of a log, and on what became of it, in the store that has the region's snapshots. Rule: no such label is one
 * of a snapshot, so nobody begins with it, and it is not removed with them.
 */
import type { LogId, Position, Region } from "../../replicator/core/commands.ts";
import type { StoredSnapshot } from "../../replicator/log/port.ts";

export interface EndLabel {
  readonly kind: "lost-end" | "returned";
  readonly of: Region;
  /** Which succession of the region it was. */
  readonly generation: number;
  /** The log that was given up, and what of it: the frames beyond `after`, up to `through`. */
  readonly logId: LogId;
  readonly after: Position;
  readonly through: Position;
  /** Wall-clock milliseconds at which it was kept. */
  readonly atMs: number;
  /** Each change that the heir made has at least this version. */
  readonly changedFrom: number;
}

export interface KeptEnd {
  readonly stored: StoredSnapshot;
  readonly label: EndLabel;
}

export function formatEndLabel(label: EndLabel): string {
  return JSON.stringify(label);
}

/** The inverse of {@link formatEndLabel}; `undefined` for any other text. */
export function parseEndLabel(text: string): EndLabel | undefined {
  const value = parseJson(text);
  return isEndLabel(value) ? value : undefined;
}

/** The newest of that kind for the region, and of that generation where one is named. */
export function newestEnd(
  all: readonly StoredSnapshot[],
  kind: EndLabel["kind"],
  region: Region,
  generation?: number,
): KeptEnd | undefined {
  const ends = all.flatMap((stored): KeptEnd[] => {
    const label = parseEndLabel(stored.label);
    return label?.kind === kind && label.of === region ? [{ stored, label }] : [];
  });
  const fitting = ends.filter(({ label }) => generation === undefined || label.generation === generation);
  return fitting.toSorted((a, b) => b.label.generation - a.label.generation)[0];
}

function isEndLabel(value: unknown): value is EndLabel {
  if (typeof value !== "object" || value === null) return false;
  const label = value as Partial<Record<keyof EndLabel, unknown>>;
  return (
    (label.kind === "lost-end" || label.kind === "returned") &&
    typeof label.of === "string" &&
    typeof label.logId === "string" &&
    [label.generation, label.after, label.through, label.atMs, label.changedFrom].every(Number.isSafeInteger)
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
