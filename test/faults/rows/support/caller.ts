/**
 * An HTTP client that measures: every call has a time, a status and what it was told about coming back. Rule: a call that fails is a
 * value; the time of a paced call counts from when it was due, so a server that stalls the client does not hide its stall.
 */
import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface Answered {
  /** 0: no answer, for the reason in `text`. */
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  readonly text: string;
}

export class Caller {
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #agent: Agent;

  constructor(url: string, { timeoutMs = 5_000, socketsMax = 256 } = {}) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
    this.#agent = new Agent({ keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax });
  }

  send({ method, path, body }: Call): Promise<Answered> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers =
      body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    return new Promise((resolve) => {
      const outgoing = request(this.#url + path, { method, headers, agent: this.#agent }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", fail);
        incoming.once("end", () => {
          const retryAfter = incoming.headers["retry-after"];
          resolve({
            status: incoming.statusCode ?? 0,
            retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter),
            text: Buffer.concat(chunks).toString(),
          });
        });
      });
      outgoing.setTimeout(this.#timeoutMs, () => outgoing.destroy(new Error("no answer in time")));
      outgoing.once("error", fail);
      outgoing.end(text);
      function fail(error: Error): void {
        resolve({ status: 0, retryAfterSeconds: undefined, text: error.message });
      }
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface Paced {
  readonly offered: number;
  /** Answered 2xx within the time allowed. */
  readonly good: number;
  readonly byStatus: ReadonlyMap<number, number>;
  readonly p99Ms: number;
}

/** Sends `perSecond` calls for `ms`, each when it is due, however long the others take. */
export async function pace(
  caller: Caller,
  { perSecond, ms, withinMs = 1_000 }: { perSecond: number; ms: number; withinMs?: number },
  call: (i: number) => Call,
): Promise<Paced> {
  const startMs = performance.now();
  const total = Math.round((perSecond * ms) / 1_000);
  const tookMs: number[] = [];
  const byStatus = new Map<number, number>();
  const underWay: Promise<void>[] = [];
  let good = 0;
  for (let i = 0; i < total; i++) {
    const dueMs = startMs + (i * 1_000) / perSecond;
    const early = dueMs - performance.now();
    if (early > 1) await sleep(early);
    underWay.push(one(call(i), dueMs));
  }
  await Promise.all(underWay);
  return { offered: total, good, byStatus, p99Ms: percentile(tookMs, 0.99) };

  async function one(due: Call, dueMs: number): Promise<void> {
    const { status } = await caller.send(due);
    const took = performance.now() - dueMs;
    tookMs.push(took);
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    if (status >= 200 && status < 300 && took <= withinMs) good += 1;
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Does `work` for every number below `count`, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  work: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
