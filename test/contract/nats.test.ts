/** The NATS adapter keeps the contract of the Log port on a real nats-server, and survives what happens to servers and links. */
import { headers } from "nats";
import { createServer, connect, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import { Connection } from "../../replicator/log/connection.ts";
import { connectLogStore } from "../../replicator/log/nats.ts";
import { UNPROVEN, VOUCHES_MS, type LogStore } from "../../replicator/log/port.ts";
import { logStream, SNAPSHOTS_BUCKET } from "../../replicator/wire/subjects.ts";
import { freePort, startNatsServer, type NatsServer } from "../support/nats-server.ts";
import { createLog, freshRegion, type Harness } from "./harness.ts";
import { logContract } from "./log-contract.ts";
import { Recorder, bytesOf, range, until } from "./recorder.ts";

let server: NatsServer;
let admin: Connection;
const stores: LogStore[] = [];

async function openStore(url = server.url): Promise<LogStore> {
  const store = connectLogStore({ servers: url, name: "contract" });
  stores.push(store);
  await until("the store is connected", () => store.connected());
  return store;
}

async function administer(operation: string, body: object): Promise<void> {
  await until("the admin is connected", () => admin.connected());
  const answer = await admin.api(operation, body);
  if (!answer.ok) throw new Error(`${operation}: ${answer.detail}`);
}

const SNAPSHOTS_STREAM = `OBJ_${SNAPSHOTS_BUCKET}`;

function metaSubject(name: string): string {
  return `$O.${SNAPSHOTS_BUCKET}.M.${Buffer.from(name)
    .toString("base64url")
    .padEnd(Math.ceil(name.length / 3) * 4, "=")}`;
}

async function snapshotMeta(name: string): Promise<{ meta: object; nuid: string; digest: string }> {
  await until("the admin is connected", () => admin.connected());
  const stored = await admin.api<{ message: { data: string } }>(`STREAM.MSG.GET.${SNAPSHOTS_STREAM}`, {
    last_by_subj: metaSubject(name),
  });
  if (!stored.ok) throw new Error(stored.detail);
  const meta = JSON.parse(Buffer.from(stored.value.message.data, "base64").toString());
  return { meta, nuid: meta.nuid, digest: meta.digest };
}

const harness: Harness = {
  store: () => openStore(),
  stop: () => server.kill("SIGTERM"),
  start: () => server.restart(),
  deleteStream: (name) => administer(`STREAM.DELETE.${name}`, {}),
  truncate: (name, sequence) => administer(`STREAM.PURGE.${name}`, { seq: sequence }),
  plantForeign: (name) =>
    administer(`STREAM.CREATE.${name}`, { name, subjects: [`foreign.${name}`], storage: "memory" }),
  loseAfter: async (_name, change) => {
    const restore = await server.keepStore();
    await change();
    await restore();
  },
  damageSnapshot: async (name) => {
    const { meta, digest } = await snapshotMeta(name);
    await until("the admin is connected", () => admin.connected());
    const heads = headers();
    heads.set("Nats-Rollup", "sub");
    const wrong = JSON.stringify({
      ...meta,
      digest: digest.replace(/.=/, (tail) => (tail === "A=" ? "E=" : "A=")),
    });
    const answer = await admin.request(metaSubject(name), bytesOf(wrong), heads);
    expect(answer.ok).toBe(true);
  },
  tearSnapshot: async (name) => {
    const { nuid } = await snapshotMeta(name);
    const last = await admin.api<{ message: { seq: number } }>(`STREAM.MSG.GET.${SNAPSHOTS_STREAM}`, {
      last_by_subj: `$O.${SNAPSHOTS_BUCKET}.C.${nuid}`,
    });
    if (!last.ok) throw new Error(last.detail);
    await administer(`STREAM.MSG.DELETE.${SNAPSHOTS_STREAM}`, { seq: last.value.message.seq });
  },
};

beforeAll(async () => {
  server = await startNatsServer();
  admin = new Connection({ servers: server.url, name: "admin" });
});

// A test that failed during an outage must not fail the others.
beforeEach(async () => {
  if (server.pid() === undefined) await server.restart();
});

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

afterAll(async () => {
  await admin.close();
  await server.stop();
});

logContract("nats", () => harness);

it("nats: a shape that differs is refused with what differs", async () => {
  const store = await openStore();
  const region = freshRegion();
  await createLog(store, region);
  const name = logStream(region);
  await administer(`STREAM.UPDATE.${name}`, {
    name,
    subjects: [`rollcall.log.${region}.0123456789ab`],
    description: `rollcall log ${region} id=0123456789ab after=0`,
    storage: "file",
    retention: "limits",
    discard: "old",
    deny_delete: true,
    duplicate_window: 60_000_000_000,
    max_age: 60_000_000_000,
    num_replicas: 1,
  });
  const opened = await store.openLog(region, { create: false });
  expect(opened).toMatchObject({ ok: false, reason: "wrong-shape" });
  expect(opened.ok ? "" : opened.detail).toMatch(
    /discard is "old", not "new"; max_age is 60000000000, not 0; .*duplicate_window is 60000000000/,
  );
});

it("nats: a store made while the server is away connects when it comes", { timeout: 30_000 }, async () => {
  const port = await freePort();
  const store = connectLogStore({ servers: `nats://127.0.0.1:${port}`, name: "early" });
  stores.push(store);
  expect(store.connected()).toBe(false);
  expect(await store.openLog("cn", { create: true })).toMatchObject({ ok: false, reason: "unavailable" });
  const late = await startNatsServer({ port });
  await until("the store is connected", () => store.connected(), 5_000);
  expect(await store.openLog("cn", { create: true })).toMatchObject({ ok: true });
  expect(store.describe()).toMatch(/^nats-server \d+\.\d+\.\d+/);
  await late.stop();
});

it("nats: who stood still and hears of an append after the server stopped does not vouch for the log's end", async () => {
  const log = await createLog(await openStore(), freshRegion());
  await log.append(bytesOf("e1"), "1");
  const answer = log.append(bytesOf("e2"), "2");
  await new Promise(setImmediate);
  standStill(VOUCHES_MS + 1_000);
  process.kill(defined(server.pid(), "the server runs"), "SIGKILL");
  standStill(100);
  expect(await answer).toMatchObject({ ok: true, position: 2 });
  await server.restart();
  await until("appends are held back", async () => {
    const result = await log.append(bytesOf("e3"), "3");
    return !result.ok && result.detail === UNPROVEN;
  });
  expect(await log.proof()).toEqual({ ok: true, proof: "none" });
});

it("nats: a reader leaves no consumer behind", async () => {
  const region = freshRegion();
  const log = await createLog(await openStore(), region);
  await log.append(bytesOf("e1"), "1");
  const consumers = async (): Promise<number> => {
    const info = await admin.api<{ state: { consumer_count: number } }>(
      `STREAM.INFO.${logStream(region)}`,
      {},
    );
    return info.ok ? info.value.state.consumer_count : -1;
  };
  const recorder = await new Recorder(log, 1).read(1);
  expect(await consumers()).toBe(1);
  await recorder.reader.stop();
  expect(await consumers()).toBe(0);
});

it("nats: a backlog many windows deep is read whole", { timeout: 60_000 }, async () => {
  const log = await createLog(await openStore(), freshRegion());
  const sizes = [200_000, 30, 450_000, 70_000];
  const count = 160;
  for (const start of range(0, count / 16 - 1))
    await Promise.all(
      range(start * 16 + 1, start * 16 + 16).map((n) =>
        log.append(new Uint8Array(sizes[n % 4] ?? 1), `m${n}`),
      ),
    );
  const recorder = await new Recorder(log, 1).read(count);
  expect(recorder.positions).toEqual(range(1, count));
  expect(recorder.interruptions).toEqual([]);
});

it(
  "nats: kill -9 under load loses nothing acknowledged and repeats nothing",
  { timeout: 90_000 },
  async () => {
    const rounds = 4;
    const lanes = 8;
    const log = await createLog(await openStore(), freshRegion());
    const recorder = new Recorder(log, 1);
    const acknowledged = new Map<string, number>();
    const end = new AbortController();
    const write = async (lane: number): Promise<void> => {
      for (let n = 1; !end.signal.aborted; n += 1) {
        const text = `lane ${lane} entry ${n}`.padEnd(500, ".");
        await until(`${text} is acknowledged`, async () => {
          const result = await log.append(bytesOf(text), `${lane}-${n}`);
          if (result.ok) acknowledged.set(text, result.position);
          return result.ok;
        });
      }
    };
    const writers = range(1, lanes).map(write);
    for (let round = 1; round <= rounds; round += 1) {
      const target = acknowledged.size + 300;
      await until("some load", () => acknowledged.size >= target);
      await server.kill("SIGKILL");
      await server.restart();
    }
    const target = acknowledged.size + 300;
    await until("load after the last round", () => acknowledged.size >= target);
    end.abort();
    await Promise.all(writers);
    await recorder.read(acknowledged.size);
    expect(recorder.broken).toBeUndefined();
    expect(recorder.positions).toEqual(range(1, acknowledged.size));
    for (const [index, text] of recorder.texts.entries()) expect(acknowledged.get(text)).toBe(index + 1);
    expect(recorder.resumptions).toBeGreaterThanOrEqual(rounds);
  },
);

it(
  "nats: a link that swallows bytes is replaced, and entries flow soon after it heals",
  { timeout: 60_000 },
  async () => {
    const link = await openLink(server.port);
    const near = await createLog(await openStore(), freshRegion());
    const far = await (await openStore(link.url)).openLog(near.region, { create: false });
    if (!far.ok) throw new Error(far.detail);
    await near.append(bytesOf("e1"), "1");
    const recorder = await new Recorder(far.log, 1).read(1);
    const before = link.accepted();
    link.hold(true);
    await near.append(bytesOf("e2"), "2");
    await until("the stalled connection is replaced", () => link.accepted() > before, 12_000);
    link.hold(false);
    const healedMs = performance.now();
    await recorder.read(2);
    expect(performance.now() - healedMs).toBeLessThan(4_000);
    expect(recorder.positions).toEqual([1, 2]);
    link.close();
  },
);

interface Link {
  readonly url: string;
  accepted(): number;
  /** While held, bytes are neither delivered nor lost, and connections look alive. */
  hold(held: boolean): void;
  close(): void;
}

/** A TCP relay to the port on this machine. */
async function openLink(target: number): Promise<Link> {
  const sockets = new Set<Socket>();
  let held = false;
  let accepted = 0;
  const relay: Server = createServer((inside) => {
    accepted += 1;
    const outside = connect(target, "127.0.0.1");
    for (const [from, to] of [[inside, outside] as const, [outside, inside] as const]) {
      sockets.add(from);
      from.on("data", (chunk) => to.write(chunk));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      if (held) from.pause();
    }
  });
  const port = await freePort();
  await new Promise<void>((resolve) => {
    relay.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `nats://127.0.0.1:${port}`,
    accepted: () => accepted,
    hold: (hold) => {
      held = hold;
      for (const socket of sockets) {
        if (hold) socket.pause();
        else socket.resume();
      }
    },
    close: () => {
      relay.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** This process does nothing at all, as one that is stopped. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
