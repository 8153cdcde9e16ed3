/**
 * Row 6: a round trip of 300 ms and 2 % packet loss on every link. The proxies carry TCP streams, so a lost packet shows as it does to a
 * TCP receiver: the stream stands still until the packet has been sent again, a round trip and 200 ms later.
 * Rule: slower, nothing else. A login is visible in the other regions within 2.5 round trips, 99 of 100 times.
 */
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, atMost, type Figure, type Row, type RowContext } from "../row.ts";
import { visibleMs } from "./support/visible.ts";

const RTT_MS = 300;
const LOSS = 0.02;
const VISIBLE_MS_MAX = 2.5 * RTT_MS;
const MEASURED = { quick: 300, full: 3_000 };
const EVERY_MS = 40;

export const row: Row = { row: 6, fault: "300 ms RTT, 2 % packet loss", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: RTT_MS });
  for (const [a, b] of [
    ["cn", "eu"],
    ["cn", "us"],
    ["eu", "us"],
  ] as const)
    stage.wan(a, b).setLoss(LOSS);
  const clients = startClients(stage, { perSecond: 3 });
  const samples: Promise<number>[] = [];
  for (let i = 0; i < MEASURED[quick ? "quick" : "full"]; i++) {
    const [origin, replica] = i % 2 === 0 ? ["cn", "us"] : ["us", "eu"];
    samples.push(visibleMs(clients, origin ?? "", replica ?? ""));
    await pause(EVERY_MS, stage.signal);
  }
  const times = (await Promise.all(samples)).toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.ceil(share * times.length) - 1] ?? Number.NaN);
  await clients.quiet();
  say(`commit to visible: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms`);
  const verdict = await judge(clients);
  for (const example of verdict.examples) say(example);
  return [
    atLeast("logins measured", times.length, MEASURED[quick ? "quick" : "full"]),
    atLeast("p50 commit to visible, ms: the delay is there", at(0.5), RTT_MS / 2),
    atMost("p99 commit to visible, ms", at(0.99), VISIBLE_MS_MAX),
    ...figuresOf(verdict),
  ];
}
