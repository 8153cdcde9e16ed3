/**
 * The contract of keeping logs: dropping what is not needed any more, putting back what was lost, and giving a log up.
 * Rule: positions never change their meaning: what is gone is gone, what is put back is where it was, and a log that begins again is
 * another log.
 */
import { describe, expect, it } from "vitest";
import { UNPROVEN } from "../../replicator/log/port.ts";
import type { OriginLog, ReadableLog } from "../../replicator/log/port.ts";
import { copyStream, logStream } from "../../replicator/wire/subjects.ts";
import { copyEntry, createCopy, createLog, fill, fillCopy, freshRegion, reasonOf } from "./harness.ts";
import type { Harness } from "./harness.ts";
import { Recorder, bytesOf, range, textOf, until } from "./recorder.ts";

async function extentOf(log: ReadableLog): Promise<{ first: number; head: number; bytes: number }> {
  const answer = await log.extent();
  if (!answer.ok) throw new Error(answer.detail);
  const { first, head, bytes } = answer.extent;
  return { first, head, bytes };
}

/** The text of the entry at each position; empty where none is held. */
function textsAt(log: ReadableLog, positions: readonly number[]): Promise<string[]> {
  return Promise.all(
    positions.map(async (position) => {
      const answer = await log.entry(position);
      if (!answer.ok) throw new Error(answer.detail);
      expect(answer.entry?.position ?? position).toBe(position);
      return answer.entry === undefined ? "" : textOf(answer.entry.bytes);
    }),
  );
}

async function appendedOf(log: OriginLog, text: string): Promise<string> {
  return reasonOf(await log.append(bytesOf(text), text));
}

/** A log of `kept` entries that had three more until an older copy of its store was restored. */
async function withLostTail(harness: Harness, region: string, kept: number): Promise<OriginLog> {
  const log = await createLog(await harness.store(), region);
  await fill(log, kept);
  await harness.loseAfter(logStream(region), async () => {
    await until("the tail is appended", async () => (await appendedOf(log, "e+1")) === "ok");
    for (const text of ["e+2", "e+3"]) expect(await appendedOf(log, text)).toBe("ok");
    expect((await extentOf(log)).head).toBe(kept + 3);
  });
  await until("the server is there again", async () => (await log.extent()).ok);
  expect((await extentOf(log)).head).toBe(kept);
  return log;
}

/** The server ends and comes back with all it had. */
async function restart(harness: Harness): Promise<void> {
  await harness.stop();
  await harness.start();
}

export function keepingContract(name: string, harness: () => Harness): void {
  describe(`${name}: one entry`, () => {
    it("of a log is found by its position, and what is not held is not", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      expect(await textsAt(log, [1])).toEqual([""]);
      await fill(log, 5);
      await log.truncate(3);
      expect(await textsAt(log, [0, 1, 2, 3, 4, 5, 6])).toEqual(["", "", "", "e3", "e4", "e5", ""]);
      expect(await log.entry(4)).toMatchObject({ entry: { position: 4, logId: log.logId } });
    });

    it("of a copy is found by the origin's position, and what is not held is not", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      expect(await textsAt(copy, [1, 40])).toEqual(["", ""]);
      await fillCopy(copy, "identity-a", 41, 45);
      expect(await textsAt(copy, [5, 40, 41, 45, 46])).toEqual(["", "", "c41", "c45", ""]);
      expect(await copy.entry(42)).toMatchObject({ entry: { position: 42, logId: "identity-a" } });
    });

    it("of a stream that is not there is absent", async () => {
      const store = await harness().store();
      const log = await createLog(store, freshRegion());
      const copy = await createCopy(store, freshRegion());
      await harness().deleteStream(logStream(log.region));
      await harness().deleteStream(copyStream(copy.region));
      for (const gone of [log, copy]) {
        expect(await gone.entry(1)).toMatchObject({ ok: false, reason: "absent" });
        expect(await gone.truncate(5)).toMatchObject({ ok: false, reason: "absent" });
      }
      expect(await copy.reset(1)).toMatchObject({ ok: false, reason: "absent" });
    });
  });

  describe(`${name}: truncating`, () => {
    it("a log drops what is below, again and again, and keeps its head and its bytes are fewer", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await fill(log, 10);
      const before = await extentOf(log);
      expect(before.bytes).toBeGreaterThanOrEqual(21);
      for (const below of [6, 6, 1, 0, 3]) expect(await log.truncate(below)).toEqual({ ok: true });
      const after = await extentOf(log);
      expect(after).toMatchObject({ first: 6, head: 10 });
      expect(after.bytes).toBeLessThan(before.bytes);
      expect((await new Recorder(log, 6).read(5)).texts).toEqual(range(6, 10).map((n) => `e${n}`));
      expect(await new Recorder(log, 5).breaks()).toBe("missing");
    });

    it("a log beyond its head drops everything but the newest entry", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await fill(log, 3);
      expect(await log.truncate(1_000)).toEqual({ ok: true });
      expect(await extentOf(log)).toMatchObject({ first: 3, head: 3 });
      expect(await log.append(bytesOf("e4"), "4")).toMatchObject({ ok: true, position: 4 });
    });

    it("a copy goes by the origin's positions and keeps its newest entry, which is its checkpoint", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      expect(await copy.truncate(10)).toEqual({ ok: true });
      await fillCopy(copy, "identity-a", 41, 50);
      for (const below of [30, 41, 45, 45, 2]) expect(await copy.truncate(below)).toEqual({ ok: true });
      expect(await extentOf(copy)).toMatchObject({ first: 45, head: 50 });
      const slow = await new Recorder(copy, 45).read(6);
      expect(await copy.truncate(1_000)).toEqual({ ok: true });
      expect(await extentOf(copy)).toMatchObject({ first: 50, head: 50 });
      expect(await copy.checkpoint()).toMatchObject({ position: 50, sequence: 10 });
      expect(await copy.append(copyEntry(51), 10)).toMatchObject({ ok: true });
      expect((await slow.read(7)).positions).toEqual(range(45, 51));
    });

    it("goes on where it was after a restart", async () => {
      const region = freshRegion();
      const log = await createLog(await harness().store(), region);
      await fill(log, 6);
      await log.truncate(7);
      await harness().stop();
      await harness().start();
      const again = await createLog(await harness().store(), region);
      expect(await extentOf(again)).toMatchObject({ first: 6, head: 6 });
    });
  });

  describe(`${name}: resetting a copy`, () => {
    it("drops all of it, and the next entry may be of any position and identity", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      await fillCopy(copy, "identity-a", 41, 50);
      const reader = await new Recorder(copy, 41).read(10);
      const ahead = new Recorder(copy, 900);
      expect(await copy.reset(10)).toEqual({ ok: true });
      expect(await extentOf(copy)).toEqual({ first: 1, head: 0, bytes: 0 });
      expect(await copy.checkpoint()).toEqual({ ok: true, logId: "", position: 0, sequence: 10 });
      expect(reasonOf(await copy.append(copyEntry(51), 0))).toBe("fenced");
      const entry = { position: 3, logId: "identity-b", bytes: bytesOf("c3") };
      expect(await copy.append(entry, 10)).toMatchObject({ ok: true, position: 11 });
      expect(await extentOf(copy)).toMatchObject({ first: 3, head: 3 });
      expect(await textsAt(copy, [3, 41])).toEqual(["c3", ""]);
      expect(["identity-changed", "missing"]).toContain(await reader.breaks());
      expect(ahead.broken).toBeUndefined();
      expect((await new Recorder(copy, 3).read(1)).texts).toEqual(["c3"]);
    });

    it("leaves what another writer has put behind that sequence meanwhile", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      await fillCopy(copy, "identity-a", 41, 50);
      expect(await copy.reset(10)).toEqual({ ok: true });
      const entry = { position: 3, logId: "identity-b", bytes: bytesOf("c3") };
      expect(await copy.append(entry, 10)).toMatchObject({ ok: true, position: 11 });
      expect(await copy.reset(10)).toEqual({ ok: true });
      expect(await copy.checkpoint()).toEqual({ ok: true, logId: "identity-b", position: 3, sequence: 11 });
      expect(await textsAt(copy, [3])).toEqual(["c3"]);
    });
  });

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
      await fill(writer, 2);
      const recorder = new Recorder(other, 1);
      await harness().loseAfter(logStream(region), async () => {
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
      await fill(log, 4);
      await harness().truncate(logStream(region), 5);
      await harness().loseAfter(logStream(region), async () => {
        await until("the tail is appended", async () => (await appendedOf(log, "e+1")) === "ok");
      });
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
      await fill(writer, 1);
      await restart(harness());
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
      await fill(writer, 1);
      await restart(harness());
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
          expect(await appendedOf(renewed.log, `first of ${index}`)).toBe("ok");
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
            return renewed.ok ? await appendedOf(renewed.log, `new ${index}`) : renewed.detail;
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
