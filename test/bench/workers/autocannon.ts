/** The load generator where wrk is not installed: autocannon, in a process of its own. */
import autocannon from "autocannon";
import type { Expected, HttpRequest, LoadResult } from "../support/http-load.ts";
import { serve } from "../support/rpc.ts";
import { total } from "../support/stats.ts";

export interface AutocannonRun {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly requests: readonly HttpRequest[];
  readonly expected?: Expected;
}

const calls = {
  run: async ({ url, seconds, connections, requests, expected }: AutocannonRun): Promise<LoadResult> => {
    let wrong = 0;
    const onResponse = (status: number, body: string): void => {
      if (status !== expected?.status || !body.includes(expected.bodyPart ?? "")) wrong += 1;
    };
    const result = await autocannon({
      url,
      duration: seconds,
      connections,
      requests: requests.map((request) => ({
        ...request,
        ...(request.body === undefined ? {} : { headers: { "content-type": "application/json" } }),
        ...(expected === undefined ? {} : { onResponse }),
      })),
    });
    const statuses = Object.entries(result.statusCodeStats ?? {});
    const refused = statuses.filter(([status]) => Number(status) >= 400).map(([, { count = 0 }]) => count);
    return {
      requests: result.requests.total,
      seconds: result.duration,
      requestsPerSecond: result.requests.total / result.duration,
      errors: result.errors + Math.max(wrong, total(refused)),
      p50Ms: result.latency.p50,
      p99Ms: result.latency.p99,
    };
  },
};
export type AutocannonCalls = typeof calls;

serve(calls);
