/** The WAN simulator: delay, order, cuts, healing, backpressure and clean ends, measured through real sockets on loopback. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { once } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { WanLink, type WanOptions } from "../../infra/wan.ts";

const links: WanLink[] = [];
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(links.splice(0).map((link) => link.close()));
  await Promise.all(
    servers.splice(0).map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
});

function track(socket: Socket): Socket {
  sockets.add(socket);
  socket.on("error", () => undefined);
  return socket;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  return address.port;
}

async function serve(onConnection: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => onConnection(track(socket)));
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: portOf(server) };
}

const echo = (): Promise<{ host: string; port: number }> => serve((socket) => socket.pipe(socket));

/** A link cn-us whose target stands in us; clients are in cn. */
async function linkTo(target: { host: string; port: number }, options: WanOptions) {
  const link = new WanLink("cn", "us", options);
  links.push(link);
  const listener = await link.listen("cn", target);
  const open = (): Socket => track(connect({ ...listener, allowHalfOpen: true }));
  return { link, open };
}

/** Resolves when the socket is gone, whether in order or by a reset. */
const gone = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once("close", () => resolve());
  });

/** Collects what a socket receives; `until` resolves when that is at least `bytes`. */
function receiver(socket: Socket) {
  const chunks: Buffer[] = [];
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    received += chunk.length;
  });
  return {
    count: () => received,
    text: () => Buffer.concat(chunks).toString(),
    until: (bytes: number) =>
      vi.waitFor(() => expect(received).toBeGreaterThanOrEqual(bytes), { timeout: 5_000, interval: 1 }),
  };
}

async function echoed(socket: Socket, text: string): Promise<number> {
  const before = performance.now();
  socket.write(text);
  await once(socket, "data");
  return performance.now() - before;
}

test("an echo takes one round trip once the connection is open, and two more round trips to open", async () => {
  const { open } = await linkTo(await echo(), { rttMs: 80 });
  const socket = open();
  const first = await echoed(socket, "a");
  const second = await echoed(socket, "b");
  expect(first).toBeGreaterThanOrEqual(2 * 80);
  expect(second).toBeGreaterThanOrEqual(80);
  expect(second).toBeLessThan(160);
});

test("bytes arrive whole and in order, also while the round trip changes", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 20 });
  const socket = open();
  const got = receiver(socket);
  const expected = Array.from({ length: 2_000 }, (_, i) => `${i},`).join("");
  for (let i = 0; i < 2_000; i++) {
    if (i % 500 === 0) link.setRtt(i % 1_000 === 0 ? 60 : 2);
    socket.write(`${i},`);
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  await got.until(expected.length);
  expect(got.text()).toBe(expected);
});

test("a changed round trip holds for what is sent afterwards", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 2 });
  const socket = open();
  await echoed(socket, "a");
  link.setRtt(120);
  expect(await echoed(socket, "b")).toBeGreaterThanOrEqual(120);
  link.setRtt(2);
  expect(await echoed(socket, "c")).toBeLessThan(60);
});

test("a one-way cut holds that direction only, and healing releases what it held", async () => {
  const accepted: Socket[] = [];
  const target = await serve((socket) => accepted.push(socket));
  const { link, open } = await linkTo(target, { rttMs: 10 });
  const near = open();
  const far = await vi.waitFor(() => {
    const [first] = accepted;
    if (first === undefined) throw new Error("nothing accepted");
    return first;
  });
  const atFar = receiver(far);
  const atNear = receiver(near);

  link.setCut("cn→us");
  expect(link.status().cut).toBe("cn→us");
  near.write("held");
  far.write("passes");
  await atNear.until(6);
  await vi.waitFor(() => expect(link.status().heldBytes).toBe(4));
  expect(atFar.count()).toBe(0);

  link.setCut(false);
  await atFar.until(4);
  expect(atFar.text()).toBe("held");
  expect(link.status()).toMatchObject({ cut: false, heldBytes: 0 });
});

test("a connection opened through a cut link hangs unanswered and goes through once healed", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 10 });
  link.setCut("us→cn");
  const socket = open();
  const got = receiver(socket);
  socket.write("hello");
  const other = open();
  await vi.waitFor(() => expect(link.status().connections).toBe(2));
  expect(got.count()).toBe(0);
  link.setCut(false);
  await got.until(5);
  expect(got.text()).toBe("hello");
  await echoed(other, "x");
});

test("a cut longer than the window slows the sender down and loses nothing", async () => {
  const windowBytes = 64 * 1024;
  const { link, open } = await linkTo(await echo(), { rttMs: 4, windowBytes });
  const socket = open();
  await echoed(socket, "a");
  const got = receiver(socket);
  link.setCut(true);
  const total = 8 * 1024 * 1024;
  socket.write(Buffer.alloc(total, 1));
  await vi.waitFor(() => expect(link.status().heldBytes).toBeGreaterThanOrEqual(windowBytes));
  // One chunk beyond the window at most: the socket is paused.
  expect(link.status().heldBytes).toBeLessThanOrEqual(2 * windowBytes);
  expect(socket.writableLength).toBeGreaterThan(0);
  link.setCut(false);
  await got.until(total);
  expect(got.count()).toBe(total);
});

test("the line rate bounds what crosses, shared by all connections", async () => {
  const { open } = await linkTo(await echo(), { rttMs: 2, bytesPerSecond: 200_000 });
  const [one, two] = [open(), open()];
  const got = [receiver(one), receiver(two)];
  const before = performance.now();
  one.write(Buffer.alloc(25_000));
  two.write(Buffer.alloc(25_000));
  await Promise.all(got.map((each) => each.until(25_000)));
  expect(performance.now() - before).toBeGreaterThanOrEqual(250);
});

test("a half-closed connection still carries the other direction, behind the bytes before it", async () => {
  const target = await serve((socket) => {
    socket.on("data", () => undefined);
    socket.on("end", () => socket.end("after your end"));
  });
  const { link, open } = await linkTo(target, { rttMs: 10 });
  const socket = open();
  const got = receiver(socket);
  socket.end("bye");
  await gone(socket);
  expect(got.text()).toBe("after your end");
  await vi.waitFor(() => expect(link.status().connections).toBe(0));
});

test("an abrupt end reaches the other side, from either side, and leaves nothing behind", async () => {
  const accepted: Socket[] = [];
  const target = await serve((socket) => accepted.push(socket));
  const { link, open } = await linkTo(target, { rttMs: 10 });
  const [one, two] = [open(), open()];
  await vi.waitFor(() => expect(accepted).toHaveLength(2));
  one.resetAndDestroy();
  await vi.waitFor(() => expect(accepted.filter((socket) => socket.destroyed)).toHaveLength(1));
  accepted.find((socket) => !socket.destroyed)?.resetAndDestroy();
  await gone(two);
  await vi.waitFor(() => expect(link.status().connections).toBe(0));
});

test("a target that refuses is seen as a closed connection, one round trip later", async () => {
  const former = createServer();
  former.listen(0, "127.0.0.1");
  await once(former, "listening");
  const port = portOf(former);
  former.close();
  await once(former, "close");
  const { link, open } = await linkTo({ host: "127.0.0.1", port }, { rttMs: 10 });
  await gone(open());
  await vi.waitFor(() => expect(link.status().connections).toBe(0));
});

test("many connections at once each get their own bytes back, and none is left", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 10 });
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const socket = open();
      const got = receiver(socket);
      const text = `connection ${i} `.repeat(50);
      socket.end(text);
      await gone(socket);
      expect(got.text()).toBe(text);
    }),
  );
  await vi.waitFor(() => expect(link.status()).toMatchObject({ connections: 0, heldBytes: 0 }));
});

test("a client that gives up during a cut never reaches the target", async () => {
  let accepted = 0;
  const target = await serve(() => accepted++);
  const { link, open } = await linkTo(target, { rttMs: 4 });
  link.setCut(true);
  const socket = open();
  await vi.waitFor(() => expect(link.status().connections).toBe(1));
  socket.destroy();
  await vi.waitFor(() => expect(link.status().connections).toBe(0));
  link.setCut(false);
  const later = open();
  await vi.waitFor(() => expect(accepted).toBe(1));
  later.destroy();
});

test("a lost packet stands still for a round trip and 200 ms, and what follows waits for it", async () => {
  let lose = false;
  const random = (): number => (lose ? 0.999 : 0);
  const { link, open } = await linkTo(await echo(), { rttMs: 40, random });
  const socket = open();
  await echoed(socket, "a");
  link.setLoss(0.02);
  expect(await echoed(socket, "b")).toBeLessThan(200);
  const got = receiver(socket);
  const before = performance.now();
  lose = true;
  socket.write("lost ");
  await vi.waitFor(() => expect(link.status().heldBytes).toBe(5), { interval: 1 });
  lose = false;
  socket.write("kept");
  await got.until(1);
  expect(performance.now() - before).toBeGreaterThanOrEqual(2 * 40 + 200);
  await got.until(9);
  expect(got.text()).toBe("lost kept");
});

test("dropped connections end at both ends, and each attempt to connect is counted", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 2 });
  const socket = open();
  await echoed(socket, "a");
  link.dropConnections();
  await gone(socket);
  expect(link.status()).toMatchObject({ connections: 0, attempts: 1 });
  await echoed(open(), "b");
  expect(link.status()).toMatchObject({ connections: 1, attempts: 2 });
});

test("one bit is flipped once, behind the next marker, and all else arrives as it was sent", async () => {
  const { link, open } = await linkTo(await echo(), { rttMs: 0 });
  const socket = open();
  const { text, until } = receiver(socket);
  socket.write("RC-one ");
  await until(7);
  link.lane("cn").flipOnce(Buffer.from("RC"), 3);
  expect(link.lane("cn").flipPending).toBe(true);
  socket.write("no marker ");
  await until(17);
  socket.write("RC-two ");
  await until(24);
  socket.write("RC-three");
  await until(32);
  expect(link.lane("cn").flipPending).toBe(false);
  expect(text()).toBe("RC-one no marker RC-uwo RC-three");
});
