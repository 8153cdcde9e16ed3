/**
 * An operator switches reads off at one node of a region of two, both nodes are killed, and they are switched on again at the other.
 * Rule: a decision is in effect on every node of its region within 5 s, survives all of them, and is in the audit trail.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { waitFor } from "../../../../infra/demo/wait.ts";
import { ask } from "../../operator.ts";
import { atMost, exactly, type Figure } from "../../row.ts";
import type { NodeProcess } from "../../stage-process.ts";
import type { Stage } from "../../stage.ts";

const EFFECT_MS_MAX = 5_000;
const PATIENCE_MS = 30_000;
const REASON = "row 9";
const AnyShape = Compile(Type.Object({}));
const AuditShape = Compile(
  Type.Object({
    entries: Type.Array(Type.Object({ key: Type.String(), value: Type.String(), reason: Type.String() })),
  }),
);

export async function switchOff(stage: Stage): Promise<Figure[]> {
  const { nodes } = stage.region("cn");
  const [one, other] = nodes;
  if (one === undefined || other === undefined) throw new Error("cn has not two nodes");
  const offMs = await decide(stage, one, false);
  await Promise.all(nodes.map((node) => node.kill9()));
  await Promise.all(nodes.map((node) => node.restart()));
  const offAgainMs = await untilReads(stage, false);
  const onMs = await decide(stage, other, true);
  const trails = await Promise.all(nodes.map(({ api }) => ask(api, ["GET", "/v1/audit"], 200, AuditShape)));
  const recorded = trails.filter(({ entries }) => {
    const decided = entries.filter(({ key, reason }) => key === "switch:reads" && reason === REASON);
    return decided.map(({ value }) => value).join() === "on,off";
  });
  return [
    atMost("reads switched off on both nodes after ms", offMs, EFFECT_MS_MAX),
    atMost("off again on both after ms, once both were killed and are ready", offAgainMs, EFFECT_MS_MAX),
    atMost("reads switched on on both nodes after ms", onMs, EFFECT_MS_MAX),
    exactly("nodes with both decisions in the audit trail", recorded.length, nodes.length),
  ];
}

/** Milliseconds until the decision, taken at one node, is in effect on all of them. */
async function decide(stage: Stage, at: NodeProcess, open: boolean): Promise<number> {
  const startedMs = performance.now();
  await ask(at.api, ["PUT", "/v1/switches/reads", { open, reason: REASON }], 200, AnyShape);
  const askedMs = performance.now() - startedMs;
  return Math.round(askedMs + (await untilReads(stage, open)));
}

/** Milliseconds until reads are open, or not, on both nodes. */
async function untilReads(stage: Stage, open: boolean): Promise<number> {
  const { nodes } = stage.region("cn");
  const what = `reads to be switched ${open ? "on" : "off"}`;
  const waiting = { what, timeoutMs: PATIENCE_MS, everyMs: 20, signal: stage.signal };
  const { tookMs } = await waitFor(waiting, async () => {
    const are = await Promise.all(nodes.map(areReadsOpen));
    return are.every((isOpen) => isOpen === open)
      ? { done: true, value: undefined }
      : { done: false, seen: are.join(", ") };
  });
  return Math.round(tookMs);
}

async function areReadsOpen({ api }: NodeProcess): Promise<boolean> {
  const answer = await api.send("GET", "/v1/users/nobody/presence");
  if (!answer.ok || (answer.status !== 200 && answer.status !== 503))
    throw new Error(`a read was answered ${JSON.stringify(answer)}`);
  return answer.status === 200;
}
