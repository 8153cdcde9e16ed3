/**
 * Row 18: cn's clocks are an hour ahead and 500 ppm fast, us's an hour behind and 500 ppm slow, eu's are right; half way cn's wall clock
 * is set back by two hours at once. Rule: time to live is measured by the monotonic clock and nothing is ordered by the wall clock, so
 * nobody is shown offline and nothing goes back; and each cross-clock figure says how far off the clocks are, and within what error.
 */
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { startClients } from "../clients.ts";
import { pause } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { ask, soundness } from "../operator.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { pidOf } from "./support/process-facts.ts";

const HOUR_MS = 3_600_000;
const DRIFT_PPM = 500;
const OFFSETS_MS: Readonly<Record<string, number>> = { cn: HOUR_MS, eu: 0, us: -HOUR_MS };
const STEP_MS = -2 * HOUR_MS;
const HALF_MS = { quick: 8_000, full: 120_000 };
/** All estimates made before the step have been replaced: 16 watermarks of 250 ms. */
const ESTIMATED_AFTER_MS = 6_000;
/** Both clocks tell whole milliseconds. */
const ROUNDING_MS = 2;
/** With a round trip of 40 ms; half of it, and what the machine adds. */
const ERROR_MS_MAX = 500;
/** Far above what a change needs here, far below what the clocks are off. */
const LAG_MS_MAX = 60_000;
const HOOK = new URL("../hooks/clock.js", import.meta.url).href;

const nullable = Type.Union([Type.Number(), Type.Null()]);
const LinksShape = Compile(
  Type.Object({
    links: Type.Array(
      Type.Object({
        origin: Type.String(),
        replica: Type.String(),
        clockOffsetMs: nullable,
        clockErrorMs: nullable,
        watermarkAgeMs: nullable,
        loopLagMs: nullable,
        visibleMs: Type.Union([Type.Object({ p99: Type.Number() }), Type.Null()]),
      }),
    ),
  }),
);

export const row: Row = { row: 18, fault: "clock ±1 h, drift 500 ppm (injected clock)", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({
    ttlMs: 5_000,
    heartbeatMs: 1_000,
    rttMs: 40,
    nodeArgs: { node: ["--import", HOOK], replicator: ["--import", HOOK] },
    envOf: (region) => ({
      FAULTS_CLOCK_OFFSET_MS: String(OFFSETS_MS[region] ?? 0),
      FAULTS_CLOCK_DRIFT_PPM: String(Math.sign(OFFSETS_MS[region] ?? 0) * DRIFT_PPM),
      FAULTS_CLOCK_STEP_MS: String(STEP_MS),
    }),
  });
  const startedMs = Date.now();
  const clients = startClients(stage);
  const halfMs = HALF_MS[quick ? "quick" : "full"];
  await pause(halfMs, stage.signal);
  const before = await measure(stage, OFFSETS_MS, startedMs, say);
  const { nodes, replicators } = stage.region("cn");
  for (const each of [...nodes, ...replicators]) process.kill(pidOf(each), "SIGWINCH");
  await pause(Math.max(halfMs, ESTIMATED_AFTER_MS), stage.signal);
  const after = await measure(stage, { ...OFFSETS_MS, cn: HOUR_MS + STEP_MS }, startedMs, say);
  await clients.quiet();
  const verdict = await judge(clients);
  for (const example of verdict.examples) say(example);
  return [
    atLeast("reads judged", clients.readers.judged, 100),
    ...named("", before),
    // A step is in what was measured of changes for as long as they are remembered.
    atMost("largest p99 of commit to visible told, ms", before.visibleMs, LAG_MS_MAX),
    ...named("after the step: ", after),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    ...(await soundness(stage)),
    ...figuresOf(verdict),
  ];
}

interface Measured {
  /** Links of which an end tells the offset of the clocks with its error. */
  readonly told: number;
  /** Of those, the ones whose offset is not the injected one within the error. */
  readonly wrong: number;
  readonly errorMs: number;
  /** The largest age of a watermark and the largest loop lag that any region tells of any link. */
  readonly lagMs: number;
  /** And the largest of what 99 % of the changes took to be visible. */
  readonly visibleMs: number;
}

/** What the ends of all links tell of the clocks, against what was injected. */
async function measure(
  stage: Stage,
  offsetsMs: Readonly<Record<string, number>>,
  startedMs: number,
  say: (line: string) => void,
): Promise<Measured> {
  let [told, wrong, worstErrorMs, lagMs, visibleMs] = [0, 0, 0, 0, 0];
  for (const { name, api } of stage.regions) {
    const { links } = await ask(api, ["GET", "/v1/replication"], 200, LinksShape);
    // Fast clocks have run ahead by now.
    const driftedMs = ((Date.now() - startedMs) * DRIFT_PPM) / 1_000_000;
    const clockMs = (region: string): number => {
      const offsetMs = offsetsMs[region] ?? 0;
      return offsetMs + Math.sign(OFFSETS_MS[region] ?? 0) * driftedMs;
    };
    for (const link of links) {
      const { origin, replica, clockOffsetMs, clockErrorMs } = link;
      lagMs = Math.max(lagMs, link.watermarkAgeMs ?? 0, link.loopLagMs ?? 0);
      visibleMs = Math.max(visibleMs, link.visibleMs?.p99 ?? 0);
      if (origin !== name && replica !== name) continue;
      if (clockOffsetMs === null || clockErrorMs === null) continue;
      const injectedMs = clockMs(replica) - clockMs(origin);
      const offMs = Math.abs(clockOffsetMs - injectedMs);
      told += 1;
      worstErrorMs = Math.max(worstErrorMs, clockErrorMs);
      if (offMs <= clockErrorMs + ROUNDING_MS) continue;
      wrong += 1;
      say(`${name}: clocks of ${origin}→${replica} ${clockOffsetMs} ± ${clockErrorMs} ms, not ${injectedMs}`);
    }
  }
  const errorMs = Math.round(worstErrorMs);
  return { told, wrong, errorMs, lagMs: Math.round(lagMs), visibleMs: Math.round(visibleMs) };
}

function named(when: string, { told, wrong, errorMs, lagMs }: Measured): Figure[] {
  return [
    exactly(`${when}links whose ends tell the clocks' offset`, told, 12),
    exactly(`${when}offsets that are not within their error`, wrong, 0),
    atMost(`${when}largest error told, ms`, errorMs, ERROR_MS_MAX),
    atMost(`${when}largest lag told, ms`, lagMs, LAG_MS_MAX),
  ];
}
