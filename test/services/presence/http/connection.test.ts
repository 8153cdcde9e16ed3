/** What never becomes a request: bytes that are no HTTP are answered with a problem too, and others are still served. */
import { createServer } from "node:http";
import { connect } from "node:net";

import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { LIMITS } from "../../../../replicator/core/limits.ts";
import { boundConnections } from "../../../../services/presence/connections.ts";
import { node } from "./fake.ts";

const { app, calls } = node();
let address: URL;

beforeAll(async () => {
  address = new URL(await app.listen({ host: "127.0.0.1", port: 0 }));
});
afterAll(async () => {
  await app.close();
});

/** Sends the bytes and reads until the node closes the connection. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(address.port), address.hostname);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => (text += chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
    socket.write(bytes);
  });
}

const HOST = "Host: x\r\n";
test.each([
  ["no HTTP", "hello\r\n\r\n", 400, "malformed-http"],
  ["an unknown method", `BREW /v1/token HTTP/1.1\r\n${HOST}\r\n`, 400, "malformed-http"],
  [
    "two lengths",
    `POST /v1/sessions HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
    400,
    "malformed-http",
  ],
  [
    "a length and chunks",
    `POST /v1/sessions HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    "malformed-http",
  ],
  [
    "headers of 20 KiB",
    `GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(20_000)}\r\n\r\n`,
    431,
    "headers-too-large",
  ],
  ["a path of 20 KiB", `GET /${"x".repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`, 431, "headers-too-large"],
  [
    "a bad escape in the path",
    `PUT /v1/users/%ZZ/heartbeat HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
    400,
    "malformed-http",
  ],
])("%s", async (_what, bytes, status, name) => {
  const [head = "", body = ""] = (await exchange(bytes)).split("\r\n\r\n");
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(head.toLowerCase()).toContain("content-type: application/problem+json");
  expect(JSON.parse(body)).toMatchObject({ type: `/problems/${name}`, status });
  expect(calls).toEqual([]);
});

test("a chunked body over the limit is refused while it arrives", async () => {
  const chunk = `${(64 * 1024).toString(16)}\r\n${" ".repeat(64 * 1024)}\r\n`;
  const head = `POST /v1/sessions HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const answer = await exchange(head + chunk.repeat(5));
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain("/problems/body-too-large");
  expect(calls).toEqual([]);
});

test("a client that goes away in the middle of its body is counted, and no defect of the node", async () => {
  const logged: unknown[] = [];
  const aborted = node({}, { logger: { error: (event: unknown) => logged.push(event) } });
  const at = new URL(await aborted.app.listen({ host: "127.0.0.1", port: 0 }));
  try {
    const socket = connect(Number(at.port), at.hostname);
    socket.write(
      `POST /v1/sessions HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"u`,
    );
    await new Promise((resolve) => aborted.app.server.once("request", resolve));
    await new Promise((resolve) => setImmediate(resolve));
    socket.resetAndDestroy();
    await vi.waitFor(() => expect(aborted.app.problemCounts).toEqual(new Map([["client-aborted", 1]])));
    expect([logged, aborted.calls]).toEqual([[], []]);
  } finally {
    await aborted.app.close();
  }
});

test.each([
  ["says nothing", ""],
  ["never ends its headers", `GET /livez HTTP/1.1\r\n${HOST}`],
  [
    "never ends its body",
    `POST /v1/sessions HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
  ],
])(
  "a client that %s is cut off in time",
  async (_what, bytes) => {
    const startedMs = performance.now();
    const answer = await exchange(bytes);
    expect(performance.now() - startedMs).toBeLessThanOrEqual(LIMITS.cutOffMs);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain("/problems/request-timeout");
  },
  20_000,
);

test("a connection beyond the bound is closed at once and counted", async () => {
  const server = createServer();
  const connections = boundConnections(server, 1);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const first = connect(port, "127.0.0.1");
  await new Promise((resolve) => server.once("connection", resolve));
  const second = connect(port, "127.0.0.1");
  second.resume();
  await new Promise((resolve) => second.once("close", resolve));
  expect([await connections.open(), connections.refused()]).toEqual([1, 1]);
  first.destroy();
  server.close();
});

test("the node goes on serving", async () => {
  const answer = await exchange(`GET /livez HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});
