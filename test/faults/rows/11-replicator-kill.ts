/**
 * Row 11: a replicator is killed (SIGKILL) at a random moment under load, between append and report as well as anywhere else, 50
 * times (4 quick). Rule: the copy's last message is the checkpoint, so the copy has every frame of the log once, in order.
 */
import { performance } from "node:perf_hooks";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { startClients } from "../clients.ts";
import { pause, untilLink } from "../health.ts";
import { figuresOf, judge } from "../judge.ts";
import { copyFaults } from "../logs.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";

const KILLS = { quick: 4, full: 50 };
const PATIENCE_MS = 60_000;

export const row: Row = {
  row: 11,
  fault: "replicator killed between append and report, 50 times",
  quick: false,
  run,
};

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ ttlMs: 20_000, heartbeatMs: 1_000, rttMs: 40 });
  const us = stage.region("us");
  const [replicator] = us.replicators;
  if (replicator === undefined) throw new Error("us has no replicator");
  const clients = startClients(stage, { perSecond: 40 });
  const kills = KILLS[quick ? "quick" : "full"];
  for (let i = 0; i < kills; i++) {
    const sinceMs = performance.now();
    await replicator.kill9();
    await replicator.start();
    // Its first reports are of frames it has copied in this life.
    await untilLink(us, ["cn", "us"], (state) => state !== "live", { sinceMs, timeoutMs: PATIENCE_MS });
    await untilLink(us, ["cn", "us"], (state) => state === "live", { sinceMs, timeoutMs: PATIENCE_MS });
    await pause(Math.random() * LIMITS.watermarkMs, stage.signal);
  }
  const healedMs = performance.now();
  await clients.quiet();
  const verdict = await judge(clients, { healedMs });
  for (const example of verdict.examples) say(example);
  const copies = await Promise.all(["cn", "eu"].map((origin) => copyFaults(stage.region(origin), us)));
  const sum = (of: "frames" | "gaps" | "duplicates" | "different"): number =>
    copies.reduce((total, copy) => total + copy[of], 0);
  return [
    exactly("kills", kills, KILLS[quick ? "quick" : "full"]),
    atLeast("frames copied", sum("frames"), 100),
    exactly("gaps", sum("gaps"), 0),
    exactly("duplicates", sum("duplicates"), 0),
    exactly("frames that differ from the origin's", sum("different"), 0),
    ...figuresOf(verdict),
  ];
}
