/**
 * Sends one request again and again over many connections, from a process of its own: wrk where it is on the path, else autocannon.
 * Rule: it says how many requests it sent and how many of them were served; a request that is refused is sent again at once.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";

export interface FloodOptions {
  readonly url: string;
  readonly path: string;
  /** Sent as JSON with POST; GET without. */
  readonly body?: unknown;
  readonly connections: number;
  readonly seconds: number;
  /** Exists; for what the generator reads. */
  readonly folder: string;
}

export interface Flooded {
  readonly sentPerSecond: number;
  readonly servedPerSecond: number;
}

const run = promisify(execFile);
/** What wrk prints for people changes with its length; this does not. */
const SUMMARY = `done = function(summary)
  io.write(string.format("summary %d %d %d\\n", summary.requests, summary.errors.status, summary.duration))
end
`;
let scripts = 0;

export async function flood(options: FloodOptions): Promise<Flooded> {
  const found = await run("wrk", ["--version"]).then(
    () => true,
    // wrk tells its version with exit code 1.
    (error: unknown) => error instanceof Error && "code" in error && error.code !== "ENOENT",
  );
  return found ? withWrk(options) : withAutocannon(options);
}

async function withWrk({ url, path, body, connections, seconds, folder }: FloodOptions): Promise<Flooded> {
  const script = join(folder, `flood-${(scripts += 1)}.lua`);
  const post = `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [==[${JSON.stringify(body)}]==]\n`;
  writeFileSync(script, (body === undefined ? "" : post) + SUMMARY);
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url + path];
  const { stdout } = await run("wrk", args);
  const [requests, refused, micros] = /summary (\d+) (\d+) (\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  if (requests === undefined || refused === undefined || micros === undefined)
    throw new Error(`wrk said: ${stdout}`);
  const elapsed = micros / 1_000_000;
  return {
    sentPerSecond: requests / elapsed,
    servedPerSecond: (requests - refused) / elapsed,
  };
}

async function withAutocannon({ url, path, body, connections, seconds }: FloodOptions): Promise<Flooded> {
  const program = createRequire(import.meta.url).resolve("autocannon");
  const post = ["-m", "POST", "-H", "content-type=application/json", "-b", JSON.stringify(body)];
  const args = [
    "-j",
    "-n",
    "-c",
    String(connections),
    "-d",
    String(seconds),
    ...(body === undefined ? [] : post),
  ];
  const { stdout } = await run(process.execPath, [program, ...args, url + path]);
  const result: unknown = JSON.parse(stdout);
  const served = numberIn(result, "2xx");
  return {
    sentPerSecond: (served + numberIn(result, "non2xx")) / numberIn(result, "duration"),
    servedPerSecond: served / numberIn(result, "duration"),
  };
}

function numberIn(result: unknown, name: string): number {
  const value: unknown =
    typeof result === "object" && result !== null ? Reflect.get(result, name) : undefined;
  if (typeof value !== "number") throw new Error(`autocannon did not tell ${name}`);
  return value;
}
