/**
 * The contract of keeping logs: finding one entry, dropping what is not needed any more, and emptying a copy.
 * Rule: positions never change their meaning: what is gone is gone.
 */
import { describe, expect, it } from "vitest";
import { copyStream, logStream } from "../../replicator/wire/subjects.ts";
import { copyEntry, createCopy, createLog, fill, fillCopy, freshRegion, reasonOf } from "./harness.ts";
import type { Harness } from "./harness.ts";
import { extentOf, textsAt } from "./extent.ts";
import { Recorder, bytesOf, range } from "./recorder.ts";

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
      for (const gone of [log, copy])
        expect(await gone.entry(1)).toMatchObject({ ok: false, reason: "absent" });
      expect(await log.truncate(5)).toMatchObject({ ok: false, reason: "absent" });
      expect(await copy.truncate(5, "identity-a")).toMatchObject({ ok: false, reason: "absent" });
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
      expect(await copy.truncate(10, "identity-a")).toEqual({ ok: true });
      await fillCopy(copy, "identity-a", 41, 50);
      for (const below of [30, 41, 45, 45, 2])
        expect(await copy.truncate(below, "identity-a")).toEqual({ ok: true });
      expect(await extentOf(copy)).toMatchObject({ first: 45, head: 50 });
      const slow = await new Recorder(copy, 45).read(6);
      expect(await copy.truncate(1_000, "identity-a")).toEqual({ ok: true });
      expect(await extentOf(copy)).toMatchObject({ first: 50, head: 50 });
      expect(await copy.checkpoint()).toMatchObject({ position: 50, sequence: 10 });
      expect(await copy.append(copyEntry(51), 10)).toMatchObject({ ok: true });
      expect((await slow.read(7)).positions).toEqual(range(45, 51));
    });

    it("a copy that is of another log by now keeps all of it", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      await fillCopy(copy, "identity-b", 41, 50);
      expect(await copy.truncate(45, "identity-a")).toMatchObject({ ok: false, reason: "absent" });
      expect(await extentOf(copy)).toMatchObject({ first: 41, head: 50 });
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

    it("lets nothing in that another handle meant for the copy as it was, whatever its fence", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const late = await createCopy(store, origin);
      await fillCopy(late, "identity-a", 1, 3);
      const copy = await createCopy(store, origin);
      expect(await copy.reset(3)).toEqual({ ok: true });
      expect(reasonOf(await late.append(copyEntry(4), 3))).toBe("unavailable");
      expect(await copy.append(copyEntry(41), 3)).toMatchObject({ ok: true, position: 4 });
      expect(reasonOf(await late.append(copyEntry(5), 4))).toBe("unavailable");
      expect(await late.checkpoint()).toMatchObject({ position: 41, sequence: 4 });
      const again = await createCopy(store, origin);
      expect(await again.append(copyEntry(42), 4)).toMatchObject({ ok: true, position: 5 });
      expect((await new Recorder(again, 41).read(2)).positions).toEqual([41, 42]);
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
      const next = { ...entry, position: 4 };
      expect(await copy.append(next, 11)).toMatchObject({ ok: true, position: 12 });
      expect(await copy.checkpoint()).toMatchObject({ logId: "identity-b", position: 4, sequence: 12 });
    });
  });
}
