/**
 * The contract of stored snapshots.
 * Rule: one that is listed was stored whole, and what comes back is what was stored or is called damaged.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { SnapshotStore } from "../../replicator/log/port.ts";
import type { Harness } from "./harness.ts";
import { bytesOf, until } from "./recorder.ts";

const MIB = 1024 * 1024;
let names = 0;
function freshName(): string {
  names += 1;
  return `snapshot-${names}`;
}

async function* chunksOf(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytesOf(text);
}

/** So many bytes that look random, in chunks of uneven sizes. */
async function* many(bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes;) {
    const chunk = Buffer.alloc(Math.min(bytes - at, 1 + ((at * 31) % 300_000)));
    for (let index = 0; index < chunk.length; index += 1)
      chunk[index] = Math.imul(at + index, 2_654_435_761) >>> 24;
    yield chunk;
    at += chunk.length;
  }
}

async function* throwing(): AsyncGenerator<Uint8Array> {
  yield bytesOf("text");
  throw new Error("no more");
}

async function readWhole(store: SnapshotStore, name: string): Promise<{ text: string; outcome: string }> {
  const pieces: Uint8Array[] = [];
  const outcome = await store.read(name, (piece) => {
    pieces.push(piece.slice());
  });
  return { text: Buffer.concat(pieces).toString(), outcome: outcome.ok ? "ok" : outcome.reason };
}

async function listed(
  store: SnapshotStore,
): Promise<readonly { name: string; label: string; bytes: number }[]> {
  const answer = await store.list();
  if (!answer.ok) throw new Error(answer.detail);
  return answer.snapshots;
}

async function has(store: SnapshotStore, name: string): Promise<boolean> {
  return (await listed(store)).some((one) => one.name === name);
}

export function snapshotContract(name: string, harness: () => Harness): void {
  describe(`${name}: snapshots`, () => {
    it("what is stored is listed with its label, newest first, and read back by every store", async () => {
      const [mine, yours] = await Promise.all([harness().store(), harness().store()]);
      const [older, newer] = [freshName(), freshName()];
      expect(await mine.snapshots().write(older, '{"cn":1}', chunksOf("one, ", "two"))).toEqual({
        ok: true,
        bytes: 8,
      });
      await until("the clock has moved on", () => Date.now() % 2 === 0);
      await until("the clock has moved on", () => Date.now() % 2 === 1);
      expect(await mine.snapshots().write(newer, "", chunksOf("three"))).toEqual({ ok: true, bytes: 5 });
      const found = (await listed(yours.snapshots())).filter((one) => [older, newer].includes(one.name));
      expect(found).toEqual([
        { name: newer, label: "", bytes: 5 },
        { name: older, label: '{"cn":1}', bytes: 8 },
      ]);
      expect(await readWhole(yours.snapshots(), older)).toEqual({ text: "one, two", outcome: "ok" });
    });

    it("an empty one is a snapshot, and one that is not there is absent", async () => {
      const store = (await harness().store()).snapshots();
      const empty = freshName();
      expect(await store.write(empty, "", chunksOf())).toEqual({ ok: true, bytes: 0 });
      expect(await readWhole(store, empty)).toEqual({ text: "", outcome: "ok" });
      expect(await readWhole(store, freshName())).toEqual({ text: "", outcome: "absent" });
    });

    it("one of many megabytes comes back as it was, however slowly it is taken", async () => {
      const store = (await harness().store()).snapshots();
      const large = freshName();
      const written = createHash("sha256");
      async function* hashed(): AsyncGenerator<Uint8Array> {
        for await (const chunk of many(12 * MIB)) {
          written.update(chunk);
          yield chunk;
        }
      }
      expect(await store.write(large, "large", hashed())).toEqual({ ok: true, bytes: 12 * MIB });
      const read = createHash("sha256");
      let active = 0;
      let activeMax = 0;
      const outcome = await store.read(large, async (piece) => {
        activeMax = Math.max(activeMax, ++active);
        read.update(piece);
        await new Promise(setImmediate);
        active -= 1;
      });
      expect(outcome).toEqual({ ok: true });
      expect(activeMax).toBe(1);
      expect(read.digest("hex")).toBe(written.digest("hex"));
    });

    it("what is removed is gone, and removing it again is fine", async () => {
      const store = (await harness().store()).snapshots();
      const gone = freshName();
      expect(await store.remove(gone)).toEqual({ ok: true });
      await store.write(gone, "", chunksOf("text"));
      for (let again = 0; again < 2; again += 1) {
        expect(await store.remove(gone)).toEqual({ ok: true });
        expect(await has(store, gone)).toBe(false);
        expect((await readWhole(store, gone)).outcome).toBe("absent");
      }
    });

    it("one that was changed or torn in the store is damaged", async () => {
      const store = (await harness().store()).snapshots();
      const [changed, torn] = [freshName(), freshName()];
      for (const one of [changed, torn])
        expect(await store.write(one, "", many(300_000))).toMatchObject({ ok: true });
      await harness().damageSnapshot(changed);
      await harness().tearSnapshot(torn);
      expect((await readWhole(store, changed)).outcome).toBe("damaged");
      expect((await readWhole(store, torn)).outcome).toBe("damaged");
    });

    it("survives a restart, and while the server is down everything is unavailable", async () => {
      const store = await harness().store();
      const kept = freshName();
      await store.snapshots().write(kept, "kept", chunksOf("text"));
      await harness().stop();
      await until("the store is disconnected", () => !store.connected());
      const down = { ok: false, reason: "unavailable" };
      expect(await store.snapshots().list()).toMatchObject(down);
      expect(await store.snapshots().write(freshName(), "", chunksOf("text"))).toMatchObject(down);
      expect(await store.snapshots().read(kept, () => undefined)).toMatchObject(down);
      expect(await store.snapshots().remove(kept)).toMatchObject(down);
      await harness().start();
      await until("the store is connected", () => store.connected());
      await until("it is read", async () => (await readWhole(store.snapshots(), kept)).text === "text");
    });

    it("one whose writing is cut off is not there, and its source is ended", async () => {
      const store = await harness().store();
      const cut = freshName();
      let ended = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (let n = 0; ; n += 1) {
            if (n === 5) await harness().stop();
            yield Buffer.alloc(200_000, n);
          }
        } finally {
          ended = true;
        }
      }
      expect(await store.snapshots().write(cut, "", endless())).toMatchObject({
        ok: false,
        reason: "unavailable",
      });
      await until("the source is ended", () => ended);
      await harness().start();
      await until("the store is connected", () => store.connected());
      expect(await has(store.snapshots(), cut)).toBe(false);
    });

    it("reading that is cut off is unavailable", async () => {
      const store = await harness().store();
      const large = freshName();
      await store.snapshots().write(large, "", many(8 * MIB));
      let pieces = 0;
      const outcome = await store.snapshots().read(large, async () => {
        pieces += 1;
        if (pieces === 2) await harness().stop();
      });
      expect(outcome).toMatchObject({ ok: false, reason: "unavailable" });
      await harness().start();
    });

    it("a source that throws is the caller's, and nothing is stored", async () => {
      const store = (await harness().store()).snapshots();
      const broken = freshName();
      await expect(store.write(broken, "", throwing())).rejects.toThrow("no more");
      expect(await has(store, broken)).toBe(false);
    });
  });
}
