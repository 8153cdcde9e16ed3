/**
 * The yardstick of `heartbeats`: sends Redis pipelines of `SET key value EX seconds`, RESP written by hand, over raw sockets.
 * Rule: pipelines are prepared before the clock starts; an answer other than `+OK` for every command is an error.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { serve } from "../support/rpc.ts";

export interface RedisLoad {
  readonly port: number;
  /** A file with one key per line. */
  readonly keysFile: string;
  readonly pipeline: number;
  readonly ttlSeconds: number;
  readonly connections: number;
}
export interface RedisResult {
  readonly sets: number;
  readonly seconds: number;
}

const OK = Buffer.from("+OK\r\n");
let pipelines: Buffer[] = [];
let connections: Connection[] = [];

const calls = {
  /** Prepares the pipelines, connects, and sends each pipeline once. */
  prepare: async ({ port, keysFile, pipeline, ttlSeconds, connections: count }: RedisLoad): Promise<void> => {
    const keys = readFileSync(keysFile, "utf8").trimEnd().split("\n");
    pipelines = [];
    for (let at = 0; at < keys.length; at += pipeline) {
      const sets = keys
        .slice(at, at + pipeline)
        .map((key) => resp(["SET", key, "1", "EX", String(ttlSeconds)]));
      pipelines.push(Buffer.from(sets.join("")));
    }
    connections = await Promise.all(Array.from({ length: count }, () => Connection.open(port, pipeline)));
    const next = inTurn(pipelines.length);
    await Promise.all(connections.map((connection) => connection.run(next)));
  },

  run: async ({ seconds }: { seconds: number }): Promise<RedisResult> => {
    const startedMs = performance.now();
    const endMs = startedMs + seconds * 1_000;
    const next = (index: { at: number }) => (): Buffer | undefined => {
      if (performance.now() >= endMs) return undefined;
      index.at = (index.at + 1) % pipelines.length;
      return pipelines[index.at];
    };
    const turn = next({ at: -1 });
    const sets = await Promise.all(connections.map((connection) => connection.run(turn)));
    return {
      sets: sets.reduce((sum, one) => sum + one, 0),
      seconds: (performance.now() - startedMs) / 1_000,
    };
  },
};
export type RedisCalls = typeof calls;

/** Every pipeline once. */
function inTurn(count: number): () => Buffer | undefined {
  let at = -1;
  return () => {
    at += 1;
    return at < count ? pipelines[at] : undefined;
  };
}

function resp(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** One socket with one pipeline under way at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #answer: Buffer;
  #received = 0;
  #answered: () => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;

  private constructor(socket: Socket, pipeline: number) {
    this.#socket = socket;
    this.#answer = Buffer.alloc(pipeline * OK.length, OK);
    socket.on("data", (chunk) => this.#hear(chunk));
    socket.on("error", (error) => this.#failed(error));
    socket.on("close", () => this.#failed(new Error("redis-server closed the connection")));
  }

  static open(port: number, pipeline: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Connection(socket, pipeline));
      });
    });
  }

  /** Sends what `next` gives, one after the other, until it gives nothing; returns how many commands were answered. */
  async run(next: () => Buffer | undefined): Promise<number> {
    let commands = 0;
    for (let pipeline = next(); pipeline !== undefined; pipeline = next()) {
      await this.#send(pipeline);
      commands += this.#answer.length / OK.length;
    }
    return commands;
  }

  #send(pipeline: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#received = 0;
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(pipeline);
    });
  }

  #hear(chunk: Buffer): void {
    const end = this.#received + chunk.length;
    if (!chunk.equals(this.#answer.subarray(this.#received, end))) {
      this.#failed(new Error(`redis-server answered ${chunk.subarray(0, 100).toString()}`));
      return;
    }
    this.#received = end;
    if (end === this.#answer.length) this.#answered();
  }
}

serve(calls);
