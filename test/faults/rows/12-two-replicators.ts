/**
 * Row 12: two replicators in every region, under load; those of us are stopped for a while (SIGSTOP) and killed, in turns, so that one
 * wakes up with appends of the past in hand. Rule: appends are fenced, so the copy is the log, frame by frame, whoever carries it.
 */
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { copyFaults } from "../logs.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const ROUNDS = { quick: 3, full: 40 };
const PAUSED_MS = 1_500;
const TOGETHER_MS = 500;

export const row: Row = { row: 12, fault: "two replicators per region", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: 40, replicators: 2 });
  const clients = startClients(stage, { perSecond: 40 });
  const { replicators } = stage.region("us");
  const rounds = ROUNDS[quick ? "quick" : "full"];
  for (let i = 0; i < rounds; i++) {
    const [one, other] = i % 2 === 0 ? replicators : replicators.toReversed();
    if (one === undefined || other === undefined) throw new Error("us has not two replicators");
    one.pause();
    await pause(PAUSED_MS, stage.signal);
    one.resume();
    await pause(TOGETHER_MS, stage.signal);
    await other.restart();
  }
  await clients.quiet();
  const verdict = await judge(clients);
  for (const example of verdict.examples) say(example);
  const pairs = stage.regions.flatMap((origin) =>
    stage.regions.filter((replica) => replica !== origin).map((replica) => [origin, replica] as const),
  );
  const copies = await Promise.all(pairs.map(([origin, replica]) => copyFaults(origin, replica)));
  const interleaved = copies.reduce(
    (sum, { gaps, duplicates, different }) => sum + gaps + duplicates + different,
    0,
  );
  return [
    exactly("rounds", rounds, ROUNDS[quick ? "quick" : "full"]),
    atLeast(
      "frames copied",
      copies.reduce((sum, { frames }) => sum + frames, 0),
      100,
    ),
    exactly("interleaved frames", interleaved, 0),
    ...figuresOf(verdict),
  ];
}
