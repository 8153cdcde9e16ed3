/**
 * What benchmarks ask a presence node beside the load: is it ready, what has it counted, how far has it folded.
 * Rule: figures are read from the node's own API and metrics, so a benchmark checks the node by what operators see.
 */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Metrics } from "./metrics.ts";
import { parseMetrics } from "./metrics.ts";

const TIMEOUT_MS = 10_000;
const RETRY_MS = 200;

interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface OccupancyOf {
  readonly users: number;
  readonly sessions: number;
}

export class NodeClient {
  readonly url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });

  constructor(url: string) {
    this.url = url;
  }

  /** Why the node is not ready, or `undefined`. */
  unreadiness(): Promise<string | undefined> {
    return this.#get("/readyz").then(
      ({ status, text }) => (status === 200 ? undefined : `/readyz answers ${status} ${text}`),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  }

  /** States of the links towards this node's region, by origin; empty while it does not answer. */
  async linkStates(replica: string): Promise<Readonly<Record<string, string>>> {
    const { status, text } = await this.#get("/v1/replication");
    if (status !== 200) return {};
    const answer: { links: { origin: string; replica: string; state: string }[] } = JSON.parse(text);
    const own = answer.links.filter((link) => link.replica === replica);
    return Object.fromEntries(own.map(({ origin, state }) => [origin, state]));
  }

  /** How many of the users are shown online; the status where the node does not answer with 200. */
  async onlineOf(
    users: readonly string[],
  ): Promise<{ readonly online: number } | { readonly status: number }> {
    const { status, text } = await this.#post("/v1/presence", JSON.stringify({ users }));
    if (status !== 200) return { status };
    const answer: { presences: { status: string }[] } = JSON.parse(text);
    return { online: answer.presences.filter((one) => one.status === "online").length };
  }

  async metrics(): Promise<Metrics> {
    return parseMetrics(await this.#text("/metrics"));
  }

  /** Positions applied, by region. */
  async applied(): Promise<Readonly<Record<string, number>>> {
    const answer: { applied: Record<string, number> } = JSON.parse(await this.#text("/v1/token"));
    return answer.applied;
  }

  async occupancy(region: string): Promise<OccupancyOf> {
    const answer: { byRegion: Record<string, OccupancyOf> } = JSON.parse(await this.#text("/v1/occupancy"));
    return answer.byRegion[region] ?? { users: 0, sessions: 0 };
  }

  close(): Promise<void> {
    this.#agent.destroy();
    return Promise.resolve();
  }

  async #text(path: string): Promise<string> {
    const giveUpMs = performance.now() + TIMEOUT_MS;
    let { status, text } = await this.#get(path);
    // Right after a load the node may still shed reads.
    while (status === 503 && performance.now() < giveUpMs) {
      await sleep(RETRY_MS);
      ({ status, text } = await this.#get(path));
    }
    if (status !== 200) throw new Error(`${this.url}${path} answers ${status} ${text}`);
    return text;
  }

  #get(path: string): Promise<Answer> {
    return this.#ask("GET", path, undefined);
  }

  #post(path: string, body: string): Promise<Answer> {
    return this.#ask("POST", path, body);
  }

  #ask(method: string, path: string, body: string | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const options = { method, headers, agent: this.#agent, signal: AbortSignal.timeout(TIMEOUT_MS) };
      const asked = request(this.url + path, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.once("error", reject);
        answer.once("end", () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      });
      asked.once("error", reject);
      asked.end(body);
    });
  }
}
