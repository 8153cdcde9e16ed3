/**
 * Bits that flip in the memory of nodes, one in each region's node at a time: cn's in its own log, eu's in us's, and us's in cn's, the last
 * as if a command came in the same moment, so that only the others' digests tell. Rule: what counts is what the node itself has written
 * about it, from the line that says it was flipped.
 */
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { waitFor } from "../../../../infra/demo/wait.ts";
import { eventsOf } from "../../operator.ts";
import { atMost, exactly, type Figure } from "../../row.ts";
import type { NodeProcess } from "../../stage-process.ts";
import type { Stage, StageOptions } from "../../stage.ts";
import { pidOf } from "./process-facts.ts";

const HOOK = new URL("../../hooks/memory.js", import.meta.url).href;
const FLIPS: Readonly<Record<string, string>> = { cn: "cn", eu: "us", us: "cn,touched" };
const NAMED_MS_MAX = 10_000;
const REPAIRED_MS_MAX = 30_000;
const PATIENCE_MS = 60_000;

/** What a stage needs for it. */
export const MEMORY_STAGE: StageOptions = {
  nodeArgs: { node: ["--import", HOOK] },
  envOf: (region) => ({ FAULTS_FLIP: FLIPS[region] ?? "" }),
};

const LineShape = Compile(
  Type.Object({
    event: Type.String(),
    time: Type.String(),
    log: Type.Optional(Type.String()),
    region: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    bucket: Type.Optional(Type.Integer()),
    adopted: Type.Optional(Type.Boolean()),
  }),
);

interface Mended {
  /** Until the node has named the bucket and the user. */
  readonly namedMs: number;
  readonly repairedMs: number;
  readonly how: string;
}

export async function flipInMemory(stage: Stage, say: (line: string) => void): Promise<Figure[]> {
  const nodes = stage.regions.flatMap((region) => region.nodes);
  const mended = await Promise.all(nodes.map((node) => flip(stage, node)));
  for (const [i, { how }] of mended.entries()) say(`${nodes[i]?.name}: ${how}`);
  return [
    exactly("flipped in memory: records", mended.length, Object.keys(FLIPS).length),
    atMost("flipped in memory: bucket and user named after ms", slowest(mended, "namedMs"), NAMED_MS_MAX),
    atMost("flipped in memory: repaired after ms", slowest(mended, "repairedMs"), REPAIRED_MS_MAX),
  ];
}

async function flip(stage: Stage, node: NodeProcess): Promise<Mended> {
  const from = eventsOf(node).length;
  process.kill(pidOf(node), "SIGWINCH");
  const what = `${node.name} to name and mend what was flipped`;
  const waiting = { what, timeoutMs: PATIENCE_MS, everyMs: 20, signal: stage.signal };
  const { value } = await waitFor(waiting, () => {
    const lines = eventsOf(node).slice(from);
    const events = lines.flatMap(({ line }) => {
      const parsed: unknown = JSON.parse(line);
      return LineShape.Check(parsed) ? [parsed] : [];
    });
    const flipped = events.find(({ event }) => event === "flipped");
    const named = events.find(
      ({ event, user, bucket }) =>
        (event === "record-corrupt" || event === "record-differs") &&
        bucket !== undefined &&
        user === flipped?.user,
    );
    const repaired = events.find(({ event, adopted }) => event === "resynced" && adopted === true);
    if (flipped === undefined || named === undefined || repaired === undefined)
      return { done: false, seen: lines.map(({ event }) => event).join(", ") };
    const sinceMs = Date.parse(flipped.time);
    const mended: Mended = {
      namedMs: Date.parse(named.time) - sinceMs,
      repairedMs: Date.parse(repaired.time) - sinceMs,
      how: `${flipped.user} in the log of ${flipped.log}, bucket ${named.bucket}: ${events.map(({ event }) => event).join(", ")}`,
    };
    return { done: true, value: mended };
  });
  return value;
}

function slowest(mended: readonly Mended[], of: "namedMs" | "repairedMs"): number {
  return Math.max(...mended.map((one) => one[of]));
}
