/** How long a node waits for the end of its region's log that a server has lost. */
import pino from "pino";
import { describe, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { OriginLog } from "../../../replicator/log/port.ts";
import { encodeFrame } from "../../../replicator/wire/codec.ts";
import { OwnLog } from "../../../services/presence/own-log.ts";

const ENTRIES = 10;
const LOST = 8;

/** A log of which the node has folded all, and the server has lost the end; `putBack` brings the next of it back. */
async function lostEnd() {
  const now = { monoMs: 1_000, wallMs: 1_000 };
  const server = new MemoryServer();
  const store = new MemoryLogStore(server);
  const made = await store.openLog("cn", { create: true });
  if (!made.ok) throw new Error(made.detail);
  const { log } = made;
  const { logId } = log;
  const bytesOf = (position: number): Uint8Array =>
    encodeFrame({ region: "cn", logId, node: "n", committedAtMs: position, commands: [{ kind: "mark" }] });
  for (let position = 1; position <= ENTRIES; position++) await log.append(bytesOf(position), `m${position}`);
  server.loseTail("LOG_cn", LOST);
  const used: OriginLog[] = [];
  const ownLog = new OwnLog({
    region: "cn",
    node: "n",
    store,
    clock: () => now,
    logger: pino({ level: "silent" }),
    at: () => ({ logId, position: ENTRIES, checksum: 0 }),
    alone: () => false,
    use: (one) => used.push(one),
  });
  const identity = async (): Promise<string> => {
    const found = await store.openLog("cn", { create: false });
    return found.ok ? found.log.logId : found.detail;
  };
  let back = ENTRIES - LOST;
  const putBack = async (): Promise<void> => {
    back += 1;
    const done = await log.putBack({ position: back, logId, bytes: bytesOf(back) });
    if (!done.ok) throw new Error(done.detail);
  };
  return { now, logId, ownLog, used, identity, putBack };
}

describe("a log that lost its end", () => {
  it("is waited for as long as the end is on its way back, and then used again", async () => {
    const { now, logId, ownLog, used, identity, putBack } = await lostEnd();
    for (let i = 0; i < LOST; i++) {
      expect(await ownLog.open()).toMatchObject({ ok: false, reason: "unavailable" });
      now.monoMs += 3_000;
      await putBack();
    }
    expect(await ownLog.open()).toMatchObject({ ok: true });
    expect(used.map((log) => log.logId)).toEqual([logId]);
    expect(await identity()).toBe(logId);
  });

  it("is begun again when nothing more of the end comes back", async () => {
    const { now, logId, ownLog, used, identity, putBack } = await lostEnd();
    await ownLog.open();
    now.monoMs += 3_000;
    await putBack();
    await ownLog.open();
    now.monoMs += 4_900;
    await ownLog.open();
    expect(await identity()).toBe(logId);
    now.monoMs += 200;
    await ownLog.open();
    expect(await identity()).not.toBe(logId);
    expect(used).toEqual([]);
  });
});
