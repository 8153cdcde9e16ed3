/**
 * Ports for servers that must come back on the same port after a kill.
 * Rule: below the range from which systems pick ports of outgoing connections, so that none of those takes it meanwhile.
 */
import { createServer } from "node:net";
import { randomInt } from "node:crypto";

const FIRST = 20_000;
const LAST = 32_000;
const TRIES = 200;

/** `count` different ports of 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let i = 0; i < TRIES && ports.size < count; i++) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) ports.add(port);
  }
  if (ports.size < count) throw new Error(`no ${count} free ports between ${FIRST} and ${LAST}`);
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
