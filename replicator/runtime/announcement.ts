/** How a region's replicators tell its nodes of their links: small JSON on the region's own NATS, lost when nobody listens. */
import { LINK_STATES } from "../core/commands.ts";
import type { LinkReport } from "../core/link.ts";

export const LINKS_TOPIC = "links";

export function encodeReports(reports: readonly LinkReport[]): Uint8Array {
  return Buffer.from(JSON.stringify(reports));
}

/** The reports in an announcement; `undefined` when it is not one. Node and replicator may be of different versions: extra members pass. */
export function decodeReports(payload: Uint8Array): LinkReport[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined;
  }
  return Array.isArray(value) && value.every(isReport) ? value : undefined;
}

function isReport(value: unknown): value is LinkReport {
  if (typeof value !== "object" || value === null) return false;
  const report = value as Partial<Record<keyof LinkReport, unknown>>;
  return (
    typeof report.origin === "string" &&
    LINK_STATES.some((state) => state === report.state) &&
    typeof report.reason === "string" &&
    Number.isSafeInteger(report.sinceMs) &&
    Number.isSafeInteger(report.head)
  );
}
