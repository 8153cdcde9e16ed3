/**
 * The contract of the Log port: what every adapter must do, whatever is behind it. Run by `memory.test.ts` and `nats.test.ts`.
 * Rule: an adapter is done when it passes this suite unchanged.
 */
import { array, assert, asyncProperty, integer, nat, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../replicator/core/limits.ts";
import { copyStream, logStream } from "../../replicator/wire/subjects.ts";
import { copyContract } from "./copy-contract.ts";
import { createCopy, createLog, fill, freshRegion, reasonOf, type Harness } from "./harness.ts";
import { keepingContract } from "./keeping-contract.ts";
import { lostEndContract } from "./lost-end-contract.ts";
import { readingContract } from "./reading-contract.ts";
import { Recorder, bytesOf, range, textOf, until } from "./recorder.ts";
import { sealContract } from "./seal-contract.ts";
import { snapshotContract } from "./snapshot-contract.ts";

export function logContract(name: string, harness: () => Harness): void {
  describe(`${name}: appending to a log`, () => {
    it("positions are dense, start at 1 and follow the order of the calls", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      const results = await Promise.all(range(1, 200).map((n) => log.append(bytesOf(`e${n}`), `m${n}`)));
      expect(results).toEqual(range(1, 200).map((position) => ({ ok: true, position, duplicate: false })));
      expect(await log.extent()).toEqual({
        ok: true,
        extent: { logId: log.logId, first: 1, head: 200, bytes: expect.any(Number) },
      });
    });

    it("a retry with the same message id takes effect once and gets the same position", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      const first = await log.append(bytesOf("once"), "same");
      await log.append(bytesOf("other"), "another");
      expect(first).toEqual({ ok: true, position: 1, duplicate: false });
      expect(await log.append(bytesOf("once"), "same")).toEqual({ ok: true, position: 1, duplicate: true });
      expect(await log.extent()).toMatchObject({ extent: { head: 2 } });
    });

    it("empty and oversized entries are rejected and the largest allowed is not", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      expect(reasonOf(await log.append(new Uint8Array(LIMITS.frameBytesMax + 1), "large"))).toBe("rejected");
      expect(reasonOf(await log.append(new Uint8Array(0), "empty"))).toBe("rejected");
      expect(reasonOf(await log.append(new Uint8Array(LIMITS.frameBytesMax), "limit"))).toBe("ok");
      const recorder = await new Recorder(log, 1).read(1);
      expect(recorder.entries[0]?.bytes.length).toBe(LIMITS.frameBytesMax);
    });
  });

  describe(`${name}: opening`, () => {
    it("an absent log is absent unless it is to be created", async () => {
      const store = await harness().store();
      const region = freshRegion();
      expect(await store.openLog(region, { create: false })).toMatchObject({ ok: false, reason: "absent" });
      expect(await store.openCopy(region, { create: false })).toMatchObject({ ok: false, reason: "absent" });
      await createLog(store, region);
      expect(await store.openLog(region, { create: false })).toMatchObject({ ok: true });
    });

    it("the identity is kept by whoever opens it and across a restart of the server", async () => {
      const region = freshRegion();
      const { logId } = await createLog(await harness().store(), region);
      await harness().stop();
      await harness().start();
      const again = await createLog(await harness().store(), region);
      expect(again.logId).toBe(logId);
      expect(logId).toMatch(/^[A-Za-z0-9_-]{10,16}$/);
    });

    it("many who create at once converge on one identity", async () => {
      const region = freshRegion();
      const stores = await Promise.all(range(1, 5).map(() => harness().store()));
      const logs = await Promise.all(stores.map((store) => createLog(store, region)));
      expect(new Set(logs.map(({ logId }) => logId)).size).toBe(1);
    });

    it("a stream of another shape is refused and left alone", async () => {
      const store = await harness().store();
      const region = freshRegion();
      await harness().plantForeign(logStream(region));
      await harness().plantForeign(copyStream(region));
      for (const create of [false, true]) {
        expect(await store.openLog(region, { create })).toMatchObject({ ok: false, reason: "wrong-shape" });
        expect(await store.openCopy(region, { create })).toMatchObject({ ok: false, reason: "wrong-shape" });
      }
    });
  });

  describe(`${name}: outages`, () => {
    it("calls fail as unavailable while the server is down, and a reader misses nothing and repeats its newest", async () => {
      const region = freshRegion();
      const store = await harness().store();
      const connections: boolean[] = [];
      store.onConnection((connected) => connections.push(connected));
      const log = await createLog(store, region);
      const copy = await createCopy(store, region);
      await fill(log, 5);
      const recorder = await new Recorder(log, 1).read(5);
      await harness().stop();
      await until("the reader is interrupted", () => recorder.interruptions.length > 0);
      await until("the store is disconnected", () => !store.connected());
      expect(reasonOf(await log.append(bytesOf("e6"), "retried"))).toBe("unavailable");
      expect(reasonOf(await copy.append({ position: 1, logId: "a", bytes: bytesOf("c") }, 0))).toBe(
        "unavailable",
      );
      expect(await log.extent()).toMatchObject({ ok: false, reason: "unavailable" });
      expect(await copy.checkpoint()).toMatchObject({ ok: false, reason: "unavailable" });
      expect(await store.openLog(region, { create: true })).toMatchObject({
        ok: false,
        reason: "unavailable",
      });
      await harness().start();
      await until("the retry succeeds", async () => (await log.append(bytesOf("e6"), "retried")).ok);
      await log.append(bytesOf("e7"), "7");
      await recorder.read(7);
      expect(recorder.texts).toEqual(range(1, 7).map((n) => `e${n}`));
      expect(recorder.repeats.length).toBeGreaterThan(0);
      for (const { position, bytes } of recorder.repeats) expect(textOf(bytes)).toBe(`e${position}`);
      expect(recorder.repeats[0]?.position).toBe(5);
      expect(recorder.resumptions).toBe(recorder.interruptions.length);
      expect(connections).toEqual([false, true]);
    });

    it("a log swapped for another during an outage breaks its reader and refuses its writers", async () => {
      const region = freshRegion();
      const store = await harness().store();
      const log = await createLog(store, region);
      await fill(log, 3);
      const recorder = await new Recorder(log, 1).read(3);
      await harness().deleteStream(logStream(region));
      await createLog(await harness().store(), region);
      await harness().stop();
      await harness().start();
      expect(await recorder.breaks()).toBe("identity-changed");
      await until(
        "the writer is refused",
        async () => reasonOf(await log.append(bytesOf("e4"), "4")) === "rejected",
      );
    });
  });

  describe(`${name}: announcements`, () => {
    it("reach whoever listens now, on every store, until they stop listening", async () => {
      const [speaker, hearer] = await Promise.all([harness().store(), harness().store()]);
      const topic = `links-${freshRegion()}`;
      const heard: string[] = [];
      const stopListening = hearer.listen(topic, (payload) => heard.push(textOf(payload)));
      hearer.listen(`${topic}-other`, () => heard.push("wrong topic"));
      await until("an announcement is heard", () => {
        speaker.announce(topic, bytesOf("hello"));
        return heard.length > 0;
      });
      stopListening();
      const before = heard.length;
      const fence = `${topic}-fence`;
      let fenced = false;
      hearer.listen(fence, () => {
        fenced = true;
      });
      await until("a later announcement is heard elsewhere", () => {
        speaker.announce(topic, bytesOf("too late"));
        speaker.announce(fence, bytesOf("fence"));
        return fenced;
      });
      expect(heard.length).toBe(before);
      expect(new Set(heard)).toEqual(new Set(["hello"]));
    });
  });

  describe(`${name}: property`, () => {
    const append = record({
      writer: nat({ max: 1 }),
      id: nat({ max: 30 }),
      size: integer({ min: 1, max: 20_000 }),
    });
    it("every acknowledged append is read exactly once, at its position", async () => {
      const stores = await Promise.all([harness().store(), harness().store()]);
      await assert(
        asyncProperty(
          array(append, { maxLength: 60 }),
          integer({ min: 1, max: 70 }),
          async (appends, from) => {
            const region = freshRegion();
            const writers = [await createLog(stores[0], region), await createLog(stores[1], region)] as const;
            const early = new Recorder(writers[0], 1);
            const acknowledged = new Map<number, string>();
            const requests = appends.map(async ({ writer, id, size }) => {
              const bytes = bytesOf(`${id}:`.padEnd(size, "."));
              const result = await (writer === 0 ? writers[0] : writers[1]).append(bytes, `id-${id}`);
              if (result.ok && !result.duplicate) acknowledged.set(result.position, textOf(bytes));
            });
            await Promise.all(requests);
            const head = acknowledged.size;
            const late = new Recorder(writers[1], from);
            await Promise.all([early.read(head), late.read(Math.max(0, head - from + 1))]);
            await Promise.all([early.reader.stop(), late.reader.stop()]);
            expect(head).toBe(new Set(appends.map(({ id }) => id)).size);
            expect(early.positions).toEqual(range(1, head));
            expect(late.positions).toEqual(range(from, head));
            for (const [index, text] of early.texts.entries()) expect(text).toBe(acknowledged.get(index + 1));
          },
        ),
        { numRuns: 20 },
      );
    });
  });

  copyContract(name, harness);
  keepingContract(name, harness);
  lostEndContract(name, harness);
  sealContract(name, harness);
  snapshotContract(name, harness);
  readingContract(name, harness);
}
