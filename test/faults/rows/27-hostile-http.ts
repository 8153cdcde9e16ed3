/**
 * Row 27: 20,000 hostile HTTP requests (5,000 quick), drawn by a seed that is told. Rule: each gets a 4xx with a problem type that the
 * node explains; none a 5xx, none an answer that is no problem. Afterwards the state is what it was and no object has grown a property.
 */
import { readFileSync } from "node:fs";
import { waitFor } from "../../../infra/demo/wait.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { Caller, inParallel } from "./support/caller.ts";
import { draw, hostile, seeded } from "./support/hostile.ts";
import { metric } from "./support/metrics.ts";
import { pidOf } from "./support/process-facts.ts";
import { exchange } from "./support/exchange.ts";

const REQUESTS = { quick: 5_000, full: 20_000 };
const WIDTH = 32;
const EXAMPLES_KEPT = 5;
const USER = "anchor";
/** In the node's process: tells on a signal what every object there has inherited. */
const TELL_PROTOTYPE = `data:text/javascript,${encodeURIComponent(
  'process.on("SIGWINCH",()=>console.log("prototype:"+JSON.stringify([Object,Array,String,Function].flatMap((c)=>Object.keys(c.prototype)))))',
)}`;

export const row: Row = { row: 27, fault: "20,000 hostile HTTP requests", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn"], nodeArgs: { node: ["--import", TELL_PROTOTYPE] } });
  const { url, nodes } = stage.region("cn");
  const [node] = nodes;
  if (node === undefined) throw new Error("cn has no node");
  const pid = pidOf(node);
  const caller = new Caller(url);
  await caller.send({ method: "POST", path: "/v1/sessions", body: { user: USER, device: "phone" } });
  await waitFor({ what: "the session to be folded", timeoutMs: 10_000, everyMs: 50 }, async () => {
    const state = await stateOf(caller);
    return state.includes('"provisional"') ? { done: false, seen: state } : { done: true, value: undefined };
  });
  const before = await stateOf(caller);

  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  const requests = Array.from({ length: REQUESTS[quick ? "quick" : "full"] }, () => draw(hostile, random));
  const problems = new Map<string, number>();
  const wrong: string[] = [];
  let serverErrors = 0;
  await inParallel(requests.length, WIDTH, async (i) => {
    const { what, bytes } = requests[i] ?? { what: "none", bytes: () => "" };
    const { status, type, head } = await exchange(url, bytes(seeded(seed + i)));
    if (status >= 500) serverErrors += 1;
    if (status < 400 || status > 499 || type === undefined) wrong.push(`${what}: ${head}`);
    else problems.set(type, (problems.get(type) ?? 0) + 1);
  });
  const after = await stateOf(caller);
  for (const example of wrong.slice(0, EXAMPLES_KEPT)) say(example);
  say(`seed ${seed}; ${[...problems].map(([type, count]) => `${count} × ${type}`).join(", ")}`);
  const unexplained = await unexplainedOf(caller, problems.keys());
  caller.close();
  return [
    atLeast("hostile requests", requests.length, REQUESTS[quick ? "quick" : "full"]),
    exactly("answers 5xx", serverErrors, 0),
    exactly("answers other than a 4xx problem", wrong.length, 0),
    atLeast("kinds of problems", problems.size, 8),
    exactly("problem types that are not explained", unexplained, 0),
    exactly("properties on prototypes", await pollution(stage), 0),
    exactly("parts of the state that changed", before === after ? 0 : 1, 0),
    exactly("restarts of the node", node.pid === pid ? 0 : 1, 0),
  ];
}

/** All that hostile requests could have changed. */
async function stateOf(caller: Caller): Promise<string> {
  const presence: unknown = JSON.parse(
    (await caller.send({ method: "GET", path: `/v1/users/${USER}/presence` })).text,
  );
  const { text } = await caller.send({ method: "GET", path: "/metrics" });
  const still = [
    "rollcall_sessions",
    "rollcall_users_online",
    "rollcall_sessions_opened_total",
    "rollcall_sessions_ended_total",
  ];
  const timeless =
    typeof presence === "object" && presence !== null
      ? { ...presence, asOf: 0, stalenessMs: 0, consistency: 0 }
      : 0;
  return JSON.stringify([timeless, still.map((name) => metric(text, name))]);
}

async function unexplainedOf(caller: Caller, types: Iterable<string>): Promise<number> {
  const statuses = await Promise.all(
    [...types].map(async (path) => (await caller.send({ method: "GET", path })).status),
  );
  return statuses.filter((status) => status !== 200).length;
}

/** How many properties the node's prototypes have that they should not. */
async function pollution(stage: Stage): Promise<number> {
  const [node] = stage.region("cn").nodes;
  if (node === undefined) throw new Error("cn has no node");
  process.kill(pidOf(node), "SIGWINCH");
  const { value } = await waitFor(
    { what: "the node to tell its prototypes", timeoutMs: 10_000, everyMs: 50 },
    () => {
      const told = /^prototype:(\[.*\])$/m.exec(readFileSync(node.logFile, "utf8"))?.[1];
      return told === undefined ? { done: false, seen: "nothing" } : { done: true, value: told };
    },
  );
  const names: unknown = JSON.parse(value);
  return Array.isArray(names) ? names.length : Number.NaN;
}
