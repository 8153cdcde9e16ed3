/**
 * A small HTTP client for the demo: JSON in and out over kept-alive loopback connections.
 * Rule: a server that is down, slow or talks nonsense is a value with a reason, never an exception.
 */
import { Agent, request } from "node:http";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Answer =
  | { readonly ok: true; readonly status: number; readonly body: unknown }
  | { readonly ok: false; readonly reason: string };

export interface HttpOptions {
  /** From the first byte sent to the last received. */
  readonly timeoutMs: number;
  /** Connections per server. */
  readonly socketsMax: number;
}

export class HttpClient {
  private readonly agent: Agent;
  private readonly timeoutMs: number;

  constructor(options: HttpOptions) {
    this.timeoutMs = options.timeoutMs;
    this.agent = new Agent({
      keepAlive: true,
      maxSockets: options.socketsMax,
      maxFreeSockets: options.socketsMax,
    });
  }

  /** `url` is a base like `http://127.0.0.1:8080`, `path` begins with a slash. */
  send(method: Method, url: string, path: string, body?: unknown): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const signal = AbortSignal.timeout(this.timeoutMs);
    return new Promise((resolve) => {
      const fail = (error: Error): void => resolve({ ok: false, reason: reasonOf(error) });
      const outgoing = request(url + path, { method, headers, agent: this.agent, signal }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", fail);
        incoming.once("end", () =>
          resolve(parse(incoming.statusCode ?? 0, Buffer.concat(chunks).toString())),
        );
      });
      outgoing.once("error", fail);
      outgoing.end(text);
    });
  }

  /** Ends idle and busy connections. */
  close(): void {
    this.agent.destroy();
  }
}

function parse(status: number, text: string): Answer {
  if (text === "") return { ok: true, status, body: undefined };
  try {
    return { ok: true, status, body: JSON.parse(text) };
  } catch {
    return { ok: false, reason: `status ${status} with a body that is not JSON` };
  }
}

function reasonOf(error: Error): string {
  if (error.name === "AbortError" || error.name === "TimeoutError") return "no answer in time";
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
