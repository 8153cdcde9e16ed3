/** The one place that reads clocks. Everything else is told the time. */
import { performance } from "node:perf_hooks";
import type { Now } from "../core/lag.ts";

export type Clock = () => Now;

export const systemClock: Clock = () => ({ monoMs: performance.now(), wallMs: Date.now() });
