/**
 * Measures how loaded this node is, and has its gates judge by it once a second. Rule: what counts is the mean delay of the event
 * loop, in the better of the last two seconds. One pause, however long, falls into one of them and sheds nothing; a loop that is late
 * all the time does. A flood is met sooner: lists and reads beyond what fits
 * into a turn of the loop wait in a line.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

import type { FastifyInstance, FastifyReply, onRequestHookHandler } from "fastify";

import { LIMITS } from "../../replicator/core/limits.ts";
import { type Gate, type Gates, REQUEST_CLASSES } from "./gates.ts";
import type { Line } from "./line.ts";
import { refuse } from "./problems.ts";
import type { NodeStatus, PresenceService } from "./service.ts";
import { switchedOff } from "./switches.ts";

const RESOLUTION_MS = 20;
/** Below this share of heartbeats let in, a client that comes back when it is told to may be refused for a whole TTL. */
const HEARS_FROM = 0.5;

/** Calls `judged` with each new delay. A window in which the loop did not come round at all keeps the one before. */
export function watchEventLoop(judged: (delayMs: number) => void): { stop(): void } {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let delayMs = 0;
  let lastMeanMs = 0;
  histogram.enable();
  const timer = setInterval(() => {
    // The histogram holds whole intervals between its timer's runs: the delay is what exceeds the resolution.
    if (histogram.count > 0) {
      const meanMs = Math.max(0, histogram.mean / 1e6 - RESOLUTION_MS);
      delayMs = Math.min(meanMs, lastMeanMs);
      lastMeanMs = meanMs;
      histogram.reset();
    }
    judged(delayMs);
  }, LIMITS.judgeMs);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      histogram.disable();
    },
  };
}

export interface GateDeps {
  readonly service: PresenceService;
  readonly status: NodeStatus;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}

/** Opens and closes every gate by the load and by what operators decided, and tells the service whether heartbeats get through. */
export function judgeGates(gates: Gates, delayMs: number, { service, status, now }: GateDeps): void {
  const queueShare = status.counters().appendQueueBytes / LIMITS.appendQueueBytesMax;
  const settings = service.settings();
  const wallMs = now();
  for (const name of REQUEST_CLASSES) {
    gates[name].judge({ delayMs, queueShare });
    gates[name].switch(switchedOff(settings, name, wallMs));
  }
  const { switchedOff: off, admitted } = gates.heartbeats;
  service.hearing(off === undefined && admitted >= HEARS_FROM);
}

/** Refuses the requests of the scope that the gate does not let in, before their bodies are read. With a line, the others wait in it. */
export function gated(scope: FastifyInstance, gate: Gate, line?: Line): void {
  scope.addHook("onRequest", gateHook(gate));
  if (line === undefined) return;
  scope.addHook("onRequest", (_request, reply, done) => line.enter(gate, reply, done));
}

/** The gate alone, for one route. */
export function gateHook(gate: Gate): onRequestHookHandler {
  return (_request, reply, done) => {
    if (!gate.narrowed || !turnedAway(gate, reply)) done();
  };
}

/** For hot paths, without a hook, behind `gate.narrowed`: whether this request is refused; then it has been answered. */
export function turnedAway(gate: Gate, reply: FastifyReply): boolean {
  const problem = gate.refusal();
  if (problem === undefined) return false;
  void refuse(reply, problem);
  return true;
}
