/**
 * Row 8: every link carries 256 kbit/s each way, with a round trip of 80 ms. First a load that fits, then for a while one that does not.
 * Rule: what fits, logins and friend requests from their asking, is visible in the other regions within 5 s, 99 of 100 times; what did not
 * fit waits and is all there soon after.
 */
import { performance } from "node:perf_hooks";
import type { Answer } from "../../../infra/demo/http.ts";
import { startClients, type Clients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { soundness } from "../operator.ts";
import { atLeast, atMost, type Figure, type Row, type RowContext } from "../row.ts";
import { percentile } from "./support/caller.ts";
import { endToEndMs } from "./support/friend-requests.ts";
import { visibleMs } from "./support/visible.ts";

const BYTES_PER_SECOND = 256_000 / 8;
const RTT_MS = 80;
const MEASURED = { quick: 150, full: 1_500 };
const EVERY_MS = 40;
/** Of the logins measured, so many to one friend request. */
const LOGINS_PER_REQUEST = 3;
const VISIBLE_MS_MAX = 5_000;
/** Some twice what a link carries in that time: changes of some 300 bytes each. */
const BURST = { perSecond: 240, ms: 5_000 };
const STATE = { note: "x".repeat(220) };
const WRITERS = 10;
const AT_ONCE = 20;
const CONVERGED_MS_MAX = 30_000;

export const row: Row = { row: 8, fault: "WAN at 256 kbit/s", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({
    ttlMs: 60_000,
    heartbeatMs: 1_000,
    rttMs: RTT_MS,
    bytesPerSecond: BYTES_PER_SECOND,
  });
  const clients = startClients(stage, { perSecond: 3 });
  const samples: Promise<number>[] = [];
  const requests: Promise<number>[] = [];
  const { link } = stage.wan("cn", "us");
  const begun = { bytes: link.status().carriedBytes, ms: performance.now() };
  for (let i = 0; i < MEASURED[quick ? "quick" : "full"]; i++) {
    const [origin, replica] = i % 2 === 0 ? (["cn", "us"] as const) : (["us", "eu"] as const);
    samples.push(visibleMs(clients, origin, replica));
    if (i % LOGINS_PER_REQUEST === 0) requests.push(endToEndMs(clients.api(origin), clients.api(replica)));
    await pause(EVERY_MS, stage.signal);
  }
  const [times, requestTimes] = await Promise.all([Promise.all(samples), Promise.all(requests)]);
  const seconds = (performance.now() - begun.ms) / 1_000;
  const carried = Math.round((link.status().carriedBytes - begun.bytes) / seconds / 2);
  say(`a link carried ${carried} bytes/s each way, of ${BYTES_PER_SECOND}`);
  const p99 = Math.round(percentile(times, 0.99));
  say(`commit to visible: p50 ${Math.round(percentile(times, 0.5))} ms, p99 ${p99} ms`);
  const requestP99 = Math.round(percentile(requestTimes, 0.99));
  say(`friend request end to end: p50 ${Math.round(percentile(requestTimes, 0.5))} ms, p99 ${requestP99} ms`);

  const held = await burst(clients, () => link.status().heldBytes);
  const healedMs = performance.now();
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  return [
    atLeast("logins measured", times.length, MEASURED[quick ? "quick" : "full"]),
    atMost("p99 commit to visible, ms", p99, VISIBLE_MS_MAX),
    atLeast(
      "friend requests measured",
      requestTimes.length,
      MEASURED[quick ? "quick" : "full"] / LOGINS_PER_REQUEST,
    ),
    atMost("p99 friend request end to end, ms", requestP99, VISIBLE_MS_MAX),
    atLeast("bytes that waited for the link, most", held, BYTES_PER_SECOND),
    atMost("converged after ms", verdict.convergedMs, CONVERGED_MS_MAX),
    ...(await soundness(stage)),
    ...figuresOf(verdict),
  ];
}

/** Changes sessions at cn faster than the links carry that; the most bytes that waited meanwhile. */
async function burst(clients: Clients, heldBytes: () => number): Promise<number> {
  const { signal } = clients.stage;
  const logins = await Promise.all(Array.from({ length: WRITERS }, () => clients.login("cn")));
  const entries = logins.filter((entry) => entry !== undefined);
  for (const entry of entries) entry.busy = true;
  const calls: Promise<Answer>[] = [];
  const total = (BURST.perSecond * BURST.ms) / 1_000;
  let most = 0;
  for (let i = 0; i < total; i++) {
    const entry = entries[i % entries.length];
    if (entry === undefined) throw new Error("nobody can log in at cn");
    const change = { state: { ...STATE, i } };
    calls.push(clients.api("cn").send("PATCH", `/v1/sessions/${entry.session}`, change));
    most = Math.max(most, heldBytes());
    if (i % AT_ONCE === 0) await pause((AT_ONCE * 1_000) / BURST.perSecond, signal);
  }
  const refused = (await Promise.all(calls)).filter((answer) => !answer.ok || answer.status !== 200);
  if (refused.length > 0) throw new Error(`a change was answered ${JSON.stringify(refused[0])}`);
  for (const entry of entries) entry.busy = false;
  return most;
}
