/** A redis-server without persistence on the stage, with a worker that loads it; where Redis is not installed there is none. */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { RedisCalls } from "../workers/redis-load.ts";
import type { Worker } from "./rpc.ts";
import type { Stage } from "./stage.ts";

/** Pipelines hold `pipeline` keys each; the number of keys must be a multiple of it. Every key is set once. */
export async function startRedis(
  stage: Stage,
  options: { keys: readonly string[]; pipeline: number; ttlSeconds: number; connections: number },
): Promise<Worker<RedisCalls> | undefined> {
  if (!stage.has("redis-server")) return undefined;
  const { keys, ...rest } = options;
  const port = await stage.freePort();
  const address = ["--port", String(port), "--bind", "127.0.0.1", "--dir", stage.folder];
  const args = [...address, "--save", "", "--appendonly", "no", "--daemonize", "no"];
  const spec = { name: "redis", command: "redis-server", args, env: {}, exitsWithParent: false };
  await stage.process(spec, () => silenceOf(port));
  const keysFile = join(stage.folder, "redis.keys");
  writeFileSync(keysFile, `${keys.join("\n")}\n`);
  const worker = stage.worker<RedisCalls>("redis-load");
  await worker.call("prepare", { port, keysFile, ...rest });
  return worker;
}

/** `undefined` when a Redis answers a ping on this port, else why not. */
function silenceOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const answer = (reason: string | undefined): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(1_000, () => answer("no answer"));
    socket.once("error", (error) => answer(error.message));
    socket.once("data", (data) => answer(data.toString().startsWith("+PONG") ? undefined : "not Redis"));
  });
}
