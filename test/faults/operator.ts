/**
 * What operators ask of nodes and find in their output: verification, digests, identities of logs, events.
 * Rule: an answer of another shape is no answer, and the row fails with it.
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { Type, type Static, type TProperties, type TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import type { RegionApi } from "../../infra/demo/api.ts";
import type { Method } from "../../infra/demo/http.ts";
import { waitFor } from "../../infra/demo/wait.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import { metric } from "./rows/support/metrics.ts";
import { atLeast, exactly, type Figure } from "./row.ts";
import type { NodeProcess, StageProcess } from "./stage-process.ts";
import type { Stage } from "./stage.ts";

const VerificationShape = Compile(
  Type.Object({
    compared: Type.Integer(),
    differences: Type.Array(Type.Object({ region: Type.String(), user: Type.String() })),
  }),
);
const AppliedShape = Compile(
  Type.Object({
    applied: Type.Record(Type.String(), Type.Object({ logId: Type.String(), position: Type.Integer() })),
  }),
);
const OverloadedShape = Compile(Type.Object({ type: Type.Literal("/problems/overloaded") }));
const EventShape = Compile(Type.Object({ event: Type.String() }));

/** One line of a process's log that names an event; what else it says is in `line`. */
export interface Event {
  readonly event: string;
  readonly line: string;
}

/** Digests that a node compared and found different, records that changed by themselves. */
export interface Digests {
  readonly compared: number;
  readonly mismatches: number;
  readonly corrupt: number;
}

const SETTLE_MS_MAX = 30_000;
const LOOK_EVERY_MS = 100;
const VERIFY_TRIES = 10;
const SHED_MS_MAX = 30_000;

/** Calls a node, again while it sheds the call; throws where it answers otherwise than with `status` and of that shape. */
export async function ask<T extends TSchema>(
  api: RegionApi,
  [method, path, body]: readonly [Method, string, unknown?],
  status: number,
  shape: Validator<TProperties, T>,
): Promise<Static<T>> {
  let answer = await api.send(method, path, body);
  for (const sinceMs = performance.now(); answer.ok && OverloadedShape.Check(answer.body);) {
    if (answer.status === status || performance.now() - sinceMs > SHED_MS_MAX) break;
    await pause(LOOK_EVERY_MS);
    answer = await api.send(method, path, body);
  }
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.reason}`);
  if (answer.status !== status || !shape.Check(answer.body))
    throw new Error(`${method} ${path} answers ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** The logs by which the node's replica was compared with one made of snapshot and logs, and the records that differ, in words. */
export interface Verified {
  readonly compared: number;
  readonly differences: readonly string[];
}

/** A log of which both replicas are not at one position when it is their time is left out: then it is tried again. */
export async function verify(api: RegionApi, logs: number): Promise<Verified> {
  for (let tries = 1; ; tries++) {
    const { compared, differences } = await ask(api, ["POST", "/v1/verify", {}], 200, VerificationShape);
    const words = differences.map(({ region, user }) => `${user} in the log of ${region}`);
    if (compared === logs || words.length > 0 || tries === VERIFY_TRIES)
      return { compared, differences: words };
  }
}

/** The identity of each log as this node has folded it. */
export async function logIds(api: RegionApi): Promise<ReadonlyMap<string, string>> {
  const { applied } = await ask(api, ["GET", "/v1/replication"], 200, AppliedShape);
  return new Map(Object.entries(applied).map(([region, { logId }]) => [region, logId]));
}

export async function digestsOf({ url }: NodeProcess): Promise<Digests> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return {
    compared: metric(text, "rollcall_digests_compared_total"),
    mismatches: metric(text, "rollcall_digest_mismatch_total"),
    corrupt: metric(text, "rollcall_records_corrupt_total"),
  };
}

/** What a process has said so far, in its order. */
export function eventsOf({ logFile }: StageProcess): Event[] {
  const lines = readFileSync(logFile, "utf8").split("\n");
  return lines.flatMap((line) => {
    const parsed = parse(line);
    return EventShape.Check(parsed) ? [{ event: parsed.event, line }] : [];
  });
}

/**
 * The figures of invariant 1, of a stage that is quiet: every node's replica is what snapshot and logs say, and a round of digests of
 * all logs was found equal by every node. `mismatchesBefore` were counted by then, and are accounted for elsewhere.
 */
export async function soundness(stage: Stage, mismatchesBefore = 0): Promise<Figure[]> {
  const nodes = stage.regions.flatMap((region) => region.nodes);
  const logs = stage.regions.length;
  const before = await Promise.all(nodes.map(digestsOf));
  const after = await untilCompared(stage, nodes, before, logs);
  const verified = await Promise.all(nodes.map(({ api }) => verify(api, logs)));
  const compared = after.map((digests, i) => digests.compared - (before[i]?.compared ?? 0));
  const mismatches = sum(after.map((digests) => digests.mismatches)) - mismatchesBefore;
  return [
    exactly(
      "verify: logs compared, fewest of a node",
      Math.min(...verified.map((one) => one.compared)),
      logs,
    ),
    exactly("verify: records that differ", sum(verified.map((one) => one.differences.length)), 0),
    atLeast("digests compared, fewest of a node", Math.min(...compared), logs),
    exactly("digest mismatches", mismatches, 0),
  ];
}

/** Resolves when every node has compared `more` digests since `before`. */
async function untilCompared(
  stage: Stage,
  nodes: readonly NodeProcess[],
  before: readonly Digests[],
  more: number,
): Promise<Digests[]> {
  const what = "every node to compare digests";
  const waiting = { what, timeoutMs: SETTLE_MS_MAX, everyMs: LOOK_EVERY_MS, signal: stage.signal };
  const { value } = await waitFor(waiting, async () => {
    const now = await Promise.all(nodes.map(digestsOf));
    const short = now.filter(({ compared }, i) => compared < (before[i]?.compared ?? 0) + more).length;
    return short === 0 ? { done: true, value: now } : { done: false, seen: `${short} have not` };
  });
  return value;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // what the runtime itself says is no event
  }
}
