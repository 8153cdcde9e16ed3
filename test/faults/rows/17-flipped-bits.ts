/**
 * Row 17: one bit flips: in a frame in flight over the WAN, in a block that nats-server has stored of a log and of a copy, and in the
 * memory of a node. Rule: each is found, by a checksum or a digest, before anybody makes a state of it; what is wrong is told to operators
 * in words that name it; and it is mended, a record in memory within 30 s of which it is named within 10.
 */
import { startClients, type Clients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge, type Verdict } from "../judge.ts";
import { copyFaults } from "../logs.ts";
import { digestsOf, soundness } from "../operator.ts";
import { exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { flipInFlight } from "./support/flip-in-flight.ts";
import { flipInMemory, MEMORY_STAGE } from "./support/flip-in-memory.ts";
import { flipInCopy, flipInLog } from "./support/flip-in-store.ts";

const BEFORE_MS = 3_000;
const FLIGHTS = { quick: 2, full: 20 };
/** What is stored damaged may mend itself for so long. */
const PATIENCE_MS = { quick: 3_000, full: 30_000 };
const OPTIONS = { ttlMs: 30_000, heartbeatMs: 1_000, rttMs: 40 };
const ROUNDS = { quick: 1, full: 4 };

type Say = (line: string) => void;

export const row: Row = {
  row: 17,
  fault: "one byte flipped in a stored block and in a frame in flight",
  quick: false,
  run,
};

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const size = quick ? "quick" : "full";
  const [fleeting, lasting] = await Promise.all([
    memoryAndFlight(await begin({ ...OPTIONS, ...MEMORY_STAGE }), size, say),
    stored(await begin(OPTIONS), size, say),
  ]);
  return [...fleeting.figures, ...lasting.figures, ...figuresOf(fleeting.verdict, lasting.verdict)];
}

interface Outcome {
  readonly figures: readonly Figure[];
  readonly verdict: Verdict;
}

async function memoryAndFlight(stage: Stage, size: "quick" | "full", say: Say): Promise<Outcome> {
  const clients = startClients(stage, { perSecond: 10 });
  await pause(BEFORE_MS, stage.signal);
  const flight = await flipInFlight(stage, FLIGHTS[size], say);
  // A command about the very record may make it right again before anybody can name it.
  const release = await clients.hold();
  const memory: Figure[] = [];
  for (let round = 1; round <= ROUNDS[size]; round++)
    memory.push(...(await flipInMemory(stage, say)).map((figure) => numbered(figure, round)));
  release();
  const verdict = await verdictOf(clients, say);
  const sound = await soundness(stage, await mismatches(stage));
  const different = exactly("frames that differ from the origin's", await differentFrames(stage), 0);
  return { figures: [...flight, different, ...memory, ...sound], verdict };
}

async function stored(stage: Stage, size: "quick" | "full", say: Say): Promise<Outcome> {
  const clients = startClients(stage, { perSecond: 10 });
  await pause(BEFORE_MS, stage.signal);
  const options = { stage, clients, patienceMs: PATIENCE_MS[size], say };
  const log = await flipInLog(options);
  const copy = size === "full" ? await flipInCopy(options) : [];
  const verdict = await verdictOf(clients, say);
  const sound = (await soundness(stage)).map((figure) => ({ ...figure, name: `on disk: ${figure.name}` }));
  return { figures: [...log, ...copy, ...sound], verdict };
}

async function verdictOf(clients: Clients, say: Say): Promise<Verdict> {
  await clients.quiet();
  const verdict = await judge(clients);
  for (const line of [...clients.counts().reasons.keys(), ...verdict.examples]) say(line);
  return verdict;
}

function numbered(figure: Figure, round: number): Figure {
  return round === 1 ? figure : { ...figure, name: `${figure.name}, round ${round}` };
}

/** Those that the flips in memory have led to. */
async function mismatches(stage: Stage): Promise<number> {
  const digests = await Promise.all(stage.regions.flatMap(({ nodes }) => nodes.map(digestsOf)));
  return digests.reduce((sum, one) => sum + one.mismatches, 0);
}

async function differentFrames(stage: Stage): Promise<number> {
  const pairs = stage.regions.flatMap((origin) =>
    stage.regions.filter((replica) => replica !== origin).map((replica) => copyFaults(origin, replica)),
  );
  return (await Promise.all(pairs)).reduce((sum, { different }) => sum + different, 0);
}
