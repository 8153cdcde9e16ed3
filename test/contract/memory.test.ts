/** The embedded log keeps the contract of the Log port. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import { createLog, freshRegion, type Harness } from "./harness.ts";
import { logContract } from "./log-contract.ts";
import { bytesOf } from "./recorder.ts";

let server: MemoryServer;
let stores: MemoryLogStore[];

function openStore(): MemoryLogStore {
  const store = new MemoryLogStore(server);
  stores.push(store);
  return store;
}

const harness: Harness = {
  store: async () => openStore(),
  stop: async () => server.stop(),
  start: async () => server.start(),
  deleteStream: async (name) => server.deleteStream(name),
  truncate: async (name, sequence) => server.truncate(name, sequence),
  plantForeign: async (name) => server.plantForeign(name),
  loseAfter: async (name, change) => {
    const kept = server.streams.get(name)?.entries.length ?? 0;
    await change();
    server.stop();
    server.loseTail(name, (server.streams.get(name)?.entries.length ?? 0) - kept);
    server.start();
  },
  damageSnapshot: async (name) => server.damageSnapshot(name),
  tearSnapshot: async (name) => server.tearSnapshot(name),
};

beforeEach(() => {
  server = new MemoryServer();
  stores = [];
});

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
});

logContract("memory", () => harness);

it("memory: a full server rejects and holds on to what it has", async () => {
  server = new MemoryServer({ bytesMax: 10 });
  const log = await createLog(openStore(), freshRegion());
  expect(await log.append(bytesOf("12345678"), "1")).toMatchObject({ ok: true });
  expect(await log.append(bytesOf("123"), "2")).toMatchObject({ ok: false, reason: "rejected" });
  expect(await log.extent()).toMatchObject({ extent: { first: 1, head: 1 } });
});

it("memory: a message id is forgotten after two minutes", async () => {
  let nowMs = 0;
  server = new MemoryServer({ nowMs: () => nowMs });
  const log = await createLog(openStore(), freshRegion());
  await log.append(bytesOf("a"), "same");
  nowMs = 119_000;
  expect(await log.append(bytesOf("a"), "same")).toMatchObject({ duplicate: true });
  nowMs = 121_000;
  expect(await log.append(bytesOf("a"), "same")).toMatchObject({ position: 2, duplicate: false });
});
