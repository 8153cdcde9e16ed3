/**
 * Drives an HTTP server as fast as it answers, from a process of its own: wrk where it is installed, else autocannon.
 * Rule: requests are prepared before the clock starts and sent in their order, again and again; whoever is compared gets the same
 * generator with the same requests.
 */
import { spawn } from "node:child_process";
import { onGeneratorCore } from "./cores.ts";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AutocannonCalls } from "../workers/autocannon.ts";
import { median } from "./stats.ts";
import type { Stage } from "./stage.ts";
import { WRK_SCRIPT } from "./wrk-script.ts";

export interface HttpRequest {
  readonly method: "PUT" | "POST";
  /** With the query. */
  readonly path: string;
  /** JSON. */
  readonly body?: string;
}

export interface Expected {
  readonly status: number;
  /** Part of every right answer's body. */
  readonly bodyPart?: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  /** Connections refused or lost, timeouts, and answers that are errors, or not the expected one when those are checked. */
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface HttpLoad {
  readonly generator: "wrk" | "autocannon";
  /** Checking every answer costs the generator time: for warming up, and where requests are few and large. */
  run(url: string, options: { seconds: number; expected?: Expected }): Promise<LoadResult>;
}

const SETTLE_MS = 10_000;

/** Prepares the requests; `connections` are open at a time, each with one request under way. */
export function httpLoad(
  stage: Stage,
  name: string,
  requests: readonly HttpRequest[],
  connections: number,
): HttpLoad {
  return stage.has("wrk")
    ? new WrkLoad(stage, name, requests, connections)
    : new AutocannonLoad(stage, requests, connections);
}

class WrkLoad implements HttpLoad {
  readonly generator = "wrk";
  readonly #stage: Stage;
  readonly #script: string;
  readonly #requests: string;
  readonly #connections: number;

  constructor(stage: Stage, name: string, requests: readonly HttpRequest[], connections: number) {
    this.#stage = stage;
    this.#connections = connections;
    this.#script = join(stage.folder, `${name}.lua`);
    this.#requests = join(stage.folder, `${name}.requests`);
    writeFileSync(this.#script, WRK_SCRIPT);
    writeFileSync(this.#requests, requests.map(rawRequest).join(""));
  }

  async run(
    url: string,
    { seconds, expected }: { seconds: number; expected?: Expected },
  ): Promise<LoadResult> {
    const check = expected === undefined ? [] : [String(expected.status), expected.bodyPart ?? ""];
    const args = ["-t1", `-c${this.#connections}`, `-d${Math.ceil(seconds)}s`, "-s", this.#script, url, "--"];
    const output = await run(
      ...onGeneratorCore("wrk", [...args, this.#requests, ...check]),
      this.#stage.signal,
      seconds * 1_000 + SETTLE_MS,
    );
    const line = output.split("\n").find((one) => one.startsWith("{"));
    if (line === undefined) throw new Error(`wrk said nothing that is understood: ${output}`);
    const figures: { requests: number; seconds: number; errors: number; p50Ms: number; p99Ms: number } =
      JSON.parse(line);
    return { ...figures, requestsPerSecond: figures.requests / figures.seconds };
  }
}

class AutocannonLoad implements HttpLoad {
  readonly generator = "autocannon";
  readonly #stage: Stage;
  readonly #requests: readonly HttpRequest[];
  readonly #connections: number;

  constructor(stage: Stage, requests: readonly HttpRequest[], connections: number) {
    this.#stage = stage;
    this.#requests = requests;
    this.#connections = connections;
  }

  async run(
    url: string,
    { seconds, expected }: { seconds: number; expected?: Expected },
  ): Promise<LoadResult> {
    const worker = this.#stage.worker<AutocannonCalls>("autocannon");
    const checked = expected === undefined ? {} : { expected };
    const result = await worker.call("run", {
      url,
      seconds,
      connections: this.#connections,
      requests: this.#requests,
      ...checked,
    });
    await worker.end();
    return result;
  }
}

/** As it goes over the wire, with its length before it. */
function rawRequest({ method, path, body }: HttpRequest): string {
  const lines = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1"];
  if (body !== undefined) {
    lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`);
  }
  const raw = `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
  return `${Buffer.byteLength(raw)}\n${raw}`;
}

/** Runs a program to its end; resolves with its standard output. */
function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "inherit"],
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => {
      const output = Buffer.concat(chunks).toString();
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code}: ${output}`));
    });
  });
}

/** The medians of several rounds. */
export function medianOf(results: readonly LoadResult[]): {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
} {
  return {
    requestsPerSecond: median(results.map((one) => one.requestsPerSecond)),
    p50Ms: median(results.map((one) => one.p50Ms)),
    p99Ms: median(results.map((one) => one.p99Ms)),
  };
}
