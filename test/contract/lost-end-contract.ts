/**
 * The contract of a log that may have lost its end: how that shows, what is put back, what proves an end, and giving a log up.
 * Rule: what is put back is where it was, nothing is appended behind an end that nobody has proven, and a log that begins again is
 * another log.
 */
import { describe, expect, it } from "vitest";
import { UNPROVEN } from "../../replicator/log/port.ts";
import type { OriginLog } from "../../replicator/log/port.ts";
import { logStream } from "../../replicator/wire/subjects.ts";
import { createLog, fill, freshRegion, reasonOf } from "./harness.ts";
import type { Harness } from "./harness.ts";
import { appendedOf, extentOf, keepAppending } from "./extent.ts";
import { Recorder, bytesOf, range, until } from "./recorder.ts";

export function lostEndContract(name: string, harness: () => Harness): void {
  describe(`${name}: a lost tail`, () => {
    it("bars appends until it is put back, entry by entry, each at its place", async () => {
      const log = await withLostTail(harness(), freshRegion(), 4);
      await until("appends are held back", async () => {
        const result = await log.append(bytesOf("new"), "new");
        return (
          !result.ok && result.detail === "the log ends at 4, 7 was acknowledged or read: its tail is lost"
        );
      });
      expect(reasonOf(await log.append(bytesOf("new"), "new"))).toBe("unavailable");
      const { logId } = log;
      const back = (position: number, id = logId) =>
        log.putBack({ position, logId: id, bytes: bytesOf(`e+${position - 4}`) });
      expect(reasonOf(await back(6))).toBe("fenced");
      expect(reasonOf(await back(4))).toBe("fenced");
      expect(reasonOf(await back(5, "identity-b"))).toBe("rejected");
      expect(await back(5)).toEqual({ ok: true, position: 5, duplicate: false });
      expect(await back(6)).toMatchObject({ ok: true, position: 6 });
      expect(reasonOf(await log.append(bytesOf("new"), "new"))).toBe("unavailable");
      expect(await back(7)).toMatchObject({ ok: true, position: 7 });
      expect(reasonOf(await back(7))).toBe("fenced");
      await until("appends go on", async () => (await log.append(bytesOf("new"), "new")).ok);
      expect((await new Recorder(log, 4).read(5)).texts).toEqual(["e4", "e+1", "e+2", "e+3", "new"]);
    });

    it("is noticed by whoever has read it, and their reader says that it is another log", async () => {
      const region = freshRegion();
      const writer = await createLog(await harness().store(), region);
      const other = await createLog(await harness().store(), region);
      await fill(writer, 1);
      const rest = await keepAppending(writer, "e2");
      const recorder = new Recorder(other, 1);
      await harness().loseAfter(logStream(region), async () => {
        rest();
        await until("the tail is appended", async () => (await appendedOf(writer, "tail")) === "ok");
        await recorder.read(3);
      });
      await until("appends are held back", async () => {
        const result = await other.append(bytesOf("new"), "new");
        return !result.ok && result.detail.includes("its tail is lost");
      });
      expect(await recorder.breaks()).toBe("identity-changed");
      const newcomer = await createLog(await harness().store(), region);
      expect(newcomer.logId).toBe(writer.logId);
      expect(await newcomer.append(bytesOf("e3"), "newcomer")).toMatchObject({ ok: false, detail: UNPROVEN });
      expect(await extentOf(newcomer)).toMatchObject({ head: 2 });
    });

    it("may have been all there was of a log truncated before", async () => {
      const region = freshRegion();
      const log = await createLog(await harness().store(), region);
      await fill(log, 3);
      const rests = [await keepAppending(log, "e4")];
      await harness().truncate(logStream(region), 5);
      await harness().loseAfter(logStream(region), async () => {
        rests.push(await keepAppending(log, "e+1"));
      });
      for (const rest of rests) rest();
      const entry = { position: 5, logId: log.logId, bytes: bytesOf("e+1") };
      await until("it is put back", async () => (await log.putBack(entry)).ok);
      expect(await extentOf(log)).toMatchObject({ first: 5, head: 5 });
      await until("appends go on", async () => (await log.append(bytesOf("new"), "new")).ok);
    });
  });

  describe(`${name}: the proof of a log's end`, () => {
    it("is there of a log just made, for everybody, and of one that its writer has lived with", async () => {
      const region = freshRegion();
      const writer = await createLog(await harness().store(), region);
      await fill(writer, 2);
      const other = await createLog(await harness().store(), region);
      expect(await other.append(bytesOf("e3"), "other")).toMatchObject({ ok: true, position: 3 });
      const rest = await keepAppending(writer, "alive");
      await restart(harness());
      rest();
      await until("the writer goes on", async () => (await appendedOf(writer, "after")) === "ok");
      const newcomer = await createLog(await harness().store(), region);
      expect((await newcomer.append(bytesOf("new"), "newcomer")).ok).toBe(true);
    });

    it("is gone when the server was stopped, for whoever has not been appending", async () => {
      const region = freshRegion();
      const elsewhere = await harness().store();
      const idle = await createLog(elsewhere, region);
      await restart(harness());
      await until("it is connected", () => elsewhere.connected());
      const newcomer = await createLog(await harness().store(), region);
      for (const log of [idle, newcomer]) {
        await until("appends are held back", async () => {
          const result = await log.append(bytesOf("early"), "early");
          return !result.ok && result.detail === UNPROVEN;
        });
        expect(await log.entry(1)).toEqual({ ok: true, entry: undefined });
        expect(await log.proof()).toEqual({ ok: true, proof: "none" });
      }
      expect(await newcomer.compared()).toEqual({ ok: true });
      for (const log of [idle, newcomer]) {
        expect(await log.proof()).toEqual({ ok: true, proof: "compared" });
        expect((await log.append(bytesOf("early"), "early")).ok).toBe(false);
      }
    });

    it("is worth more than a comparison, whichever was first", async () => {
      const region = freshRegion();
      const writer = await createLog(await harness().store(), region);
      expect(await writer.compared()).toEqual({ ok: true });
      expect(await writer.proof()).toEqual({ ok: true, proof: "proven" });
      const rest = await keepAppending(writer, "alive");
      await restart(harness());
      rest();
      await until("it is compared", async () => (await writer.compared()).ok);
      await until("the writer goes on", async () => (await appendedOf(writer, "after")) === "ok");
      expect(await writer.proof()).toEqual({ ok: true, proof: "proven" });
    });

    it("is there of a log that was renewed", async () => {
      const region = freshRegion();
      const store = await harness().store();
      const old = await createLog(store, region);
      await restart(harness());
      await until("it is connected", () => store.connected());
      const renewed = await store.renewLog(region, old.logId);
      if (!renewed.ok) throw new Error(renewed.detail);
      expect((await renewed.log.append(bytesOf("e1"), "1")).ok).toBe(true);
      expect(await renewed.log.proof()).toEqual({ ok: true, proof: "proven" });
      expect((await old.compared()).ok).toBe(false);
    });
  });

  describe(`${name}: renewing a log`, () => {
    it("gives it another identity and begins at 1; readers and writers of the old one are told", async () => {
      const region = freshRegion();
      const store = await harness().store();
      const old = await createLog(store, region);
      const elsewhere = await createLog(await harness().store(), region);
      await fill(old, 5);
      const recorder = await new Recorder(old, 1).read(5);
      const renewed = await store.renewLog(region, old.logId);
      if (!renewed.ok) throw new Error(renewed.detail);
      expect(renewed.log.logId).not.toBe(old.logId);
      expect(await extentOf(renewed.log)).toMatchObject({ first: 1, head: 0 });
      expect(await recorder.breaks()).toBe("identity-changed");
      for (const log of [old, elsewhere]) {
        await until("the writer is rejected", async () => {
          const reason = await appendedOf(log, "late");
          expect(reason).not.toBe("ok");
          return reason === "rejected";
        });
        const entry = { position: 1, logId: log.logId, bytes: bytesOf("late") };
        expect(reasonOf(await log.putBack(entry))).toBe("rejected");
        expect(await log.truncate(2)).toMatchObject({ ok: false, reason: "absent" });
      }
      expect(await renewed.log.append(bytesOf("n1"), "n1")).toMatchObject({ ok: true, position: 1 });
      expect((await new Recorder(renewed.log, 1).read(1)).texts).toEqual(["n1"]);
      expect(await old.entry(1)).toMatchObject({ ok: false, reason: "absent" });
    });

    it("only opens it when its identity is another already, or creates it when it is not there", async () => {
      const region = freshRegion();
      const store = await harness().store();
      const log = await createLog(store, region);
      await fill(log, 2);
      expect(await store.renewLog(region, "some-older-id")).toMatchObject({ log: { logId: log.logId } });
      expect((await extentOf(log)).head).toBe(2);
      await harness().deleteStream(logStream(region));
      const renewed = await store.renewLog(region, log.logId);
      expect(renewed).toMatchObject({ ok: true });
      const foreign = freshRegion();
      await harness().plantForeign(logStream(foreign));
      expect(await store.renewLog(foreign, "any")).toMatchObject({ ok: false, reason: "wrong-shape" });
    });

    it("many who renew it at once converge on one identity, and nothing appended to that is lost", async () => {
      const region = freshRegion();
      const stores = await Promise.all(range(1, 6).map(() => harness().store()));
      const old = await createLog(await harness().store(), region);
      const texts = await Promise.all(
        stores.map(async (store, index) => {
          const renewed = await store.renewLog(region, old.logId);
          if (!renewed.ok) throw new Error(renewed.detail);
          await until("it is appended", async () => {
            const reason = await appendedOf(renewed.log, `first of ${index}`);
            expect(reason).not.toBe("rejected");
            return reason === "ok";
          });
          return [renewed.log.logId, `first of ${index}`];
        }),
      );
      expect(new Set(texts.map(([logId]) => logId)).size).toBe(1);
      const recorder = await new Recorder(await createLog(await harness().store(), region), 1).read(6);
      expect(recorder.texts.toSorted()).toEqual(texts.map(([, text = ""]) => text).toSorted());
    });

    it("while the old one is written to, leaves all of the new one and nothing of the old", async () => {
      const stores = await Promise.all(range(1, 4).map(() => harness().store()));
      for (let round = 1; round <= 10; round += 1) {
        const region = freshRegion();
        const old = await createLog(await harness().store(), region);
        const end = new AbortController();
        const writing = (async () => {
          for (let n = 1; !end.signal.aborted; n += 1) {
            await appendedOf(old, `old ${n}`);
            await new Promise(setImmediate);
          }
        })();
        const results = await Promise.all(
          stores.map(async (store, index) => {
            const renewed = await store.renewLog(region, old.logId);
            if (!renewed.ok) return renewed.detail;
            const { log } = renewed;
            await until(
              "it takes an append",
              async () => (await appendedOf(log, `new ${index}`)) !== "unavailable",
            );
            return appendedOf(log, `new ${index}`);
          }),
        );
        end.abort();
        await writing;
        expect(results).toEqual(stores.map(() => "ok"));
        const log = await createLog(await harness().store(), region);
        const recorder = await new Recorder(log, 1).read(stores.length);
        expect(recorder.texts.toSorted()).toEqual(stores.map((_, index) => `new ${index}`));
        await recorder.reader.stop();
      }
    });

    it("heals a log whose tail is lost for good", async () => {
      const region = freshRegion();
      const log = await withLostTail(harness(), region, 3);
      const store = await harness().store();
      const renewed = await store.renewLog(region, log.logId);
      if (!renewed.ok) throw new Error(renewed.detail);
      expect(await renewed.log.append(bytesOf("n1"), "n1")).toMatchObject({ ok: true, position: 1 });
      await until("the old writer is rejected", async () => (await appendedOf(log, "late")) === "rejected");
    });
  });
}

/** A log of `kept` entries that had three more until an older copy of its store was restored. */
async function withLostTail(harness: Harness, region: string, kept: number): Promise<OriginLog> {
  const log = await createLog(await harness.store(), region);
  await fill(log, kept - 1);
  const rests = [await keepAppending(log, `e${kept}`)];
  await harness.loseAfter(logStream(region), async () => {
    await until("the tail is appended", async () => (await appendedOf(log, "e+1")) === "ok");
    expect(await appendedOf(log, "e+2")).toBe("ok");
    rests.push(await keepAppending(log, "e+3"));
    expect((await extentOf(log)).head).toBe(kept + 3);
  });
  for (const rest of rests) rest();
  await until("the server is there again", async () => (await log.extent()).ok);
  expect((await extentOf(log)).head).toBe(kept);
  return log;
}

/** The server ends and comes back with all it had. */
async function restart(harness: Harness): Promise<void> {
  await harness.stop();
  await harness.start();
}
