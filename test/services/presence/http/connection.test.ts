/** What never becomes a request: bytes that are no HTTP are answered with a problem too, and others are still served. */
import { connect } from "node:net";

import { afterAll, beforeAll, expect, test } from "vitest";

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

test("the node goes on serving", async () => {
  const answer = await exchange(`GET /livez HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});
