/**
 * The contract of copies: fences, checkpoints and origin positions.
 * Rule: an entry lands directly after its fence or not at all.
 */
import { describe, expect, it } from "vitest";
import type { CopyLog } from "../../replicator/log/port.ts";
import { copyStream } from "../../replicator/wire/subjects.ts";
import { createCopy, copyEntry, fillCopy, freshRegion, reasonOf, type Harness } from "./harness.ts";
import { Recorder, bytesOf, range } from "./recorder.ts";

/** The outcomes of appending 1…100 without waiting for any. */
function pipeline(copy: CopyLog): Promise<string[]> {
  return Promise.all(range(1, 100).map(async (n) => reasonOf(await copy.append(copyEntry(n), n - 1))));
}

export function copyContract(name: string, harness: () => Harness): void {
  describe(`${name}: copies`, () => {
    it("an empty copy has the checkpoint 0 and the fence 0 is enforced", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      expect(await copy.checkpoint()).toEqual({ ok: true, logId: "", position: 0, sequence: 0 });
      expect(await copy.extent()).toEqual({
        ok: true,
        extent: { logId: "", first: 1, head: 0, bytes: expect.any(Number) },
      });
      const entry = copyEntry(7);
      expect(reasonOf(await copy.append(entry, 1))).toBe("fenced");
      expect(await copy.append(entry, 0)).toEqual({ ok: true, position: 1, duplicate: false });
      expect(reasonOf(await copy.append(entry, 0))).toBe("fenced");
      expect(await copy.checkpoint()).toEqual({ ok: true, logId: "identity-a", position: 7, sequence: 1 });
    });

    it("entries come back with the origin's position, identity and bytes, after a restart too", async () => {
      const origin = freshRegion();
      const copy = await createCopy(await harness().store(), origin);
      await fillCopy(copy, "identity-a", 41, 50);
      await harness().stop();
      await harness().start();
      const reopened = await createCopy(await harness().store(), origin);
      expect(await reopened.checkpoint()).toEqual({
        ok: true,
        logId: "identity-a",
        position: 50,
        sequence: 10,
      });
      expect(await reopened.extent()).toEqual({
        ok: true,
        extent: { logId: "identity-a", first: 41, head: 50, bytes: expect.any(Number) },
      });
      const recorder = await new Recorder(reopened, 45).read(6);
      expect(recorder.positions).toEqual(range(45, 50));
      expect(recorder.texts).toEqual(range(45, 50).map((n) => `c${n}`));
      expect(new Set(recorder.entries.map(({ logId }) => logId))).toEqual(new Set(["identity-a"]));
    });

    it("of two writers that interleave exactly one wins each place", async () => {
      const origin = freshRegion();
      const [a, b] = await Promise.all([
        createCopy(await harness().store(), origin),
        createCopy(await harness().store(), origin),
      ]);
      for (const position of range(1, 20)) {
        const entry = copyEntry(position);
        const results = await Promise.all([a.append(entry, position - 1), b.append(entry, position - 1)]);
        expect(new Set(results.map(reasonOf))).toEqual(new Set(["fenced", "ok"]));
      }
      expect((await new Recorder(a, 1).read(20)).positions).toEqual(range(1, 20));
    });

    it("what is meant for a copy does not get into one that was made in its place, whatever its fence", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const before = await createCopy(store, origin);
      await fillCopy(before, "identity-a", 1, 3);
      await harness().deleteStream(copyStream(origin));
      const after = await createCopy(store, origin);
      await fillCopy(after, "identity-a", 41, 43);
      expect(reasonOf(await before.append(copyEntry(4), 3))).toBe("unavailable");
      expect(reasonOf(await after.append(copyEntry(44), 3))).toBe("ok");
      expect(await after.checkpoint()).toMatchObject({ position: 44, sequence: 4 });
    });

    it("pipelined appends chain their fences, and after one is lost all behind it are fenced", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      const won = await Promise.all(range(1, 50).map((n) => copy.append(copyEntry(n), n - 1)));
      expect(won.map(reasonOf)).toEqual(range(1, 50).map(() => "ok"));
      const behindTheLost = range(52, 80);
      const lost = await Promise.all(behindTheLost.map((n) => copy.append(copyEntry(n), n - 1)));
      expect(lost.map(reasonOf)).toEqual(behindTheLost.map(() => "fenced"));
      expect(await copy.checkpoint()).toMatchObject({ position: 50, sequence: 50 });
    });

    it("two pipelines that interleave leave every position once", async () => {
      const origin = freshRegion();
      const one = await createCopy(await harness().store(), origin);
      const other = await createCopy(await harness().store(), origin);
      const [a, b] = await Promise.all([pipeline(one), pipeline(other)]);
      expect(b).toEqual(a.map((reason) => (reason === "ok" ? "fenced" : "ok")));
      const recorder = await new Recorder(one, 1).read(100);
      expect(recorder.positions).toEqual(range(1, 100));
    });

    it("a hole between origin positions, and a second identity, break the reader", async () => {
      const store = await harness().store();
      const holed = await createCopy(store, freshRegion());
      await fillCopy(holed, "identity-a", 1, 3);
      await holed.append(copyEntry(5), 3);
      const recorder = new Recorder(holed, 1);
      expect(await recorder.breaks()).toBe("missing");
      expect(recorder.positions).toEqual([1, 2, 3]);

      const mixed = await createCopy(store, freshRegion());
      await fillCopy(mixed, "identity-a", 1, 3);
      await mixed.append({ position: 4, logId: "identity-b", bytes: bytesOf("c4") }, 3);
      expect(await new Recorder(mixed, 1).breaks()).toBe("identity-changed");
    });
  });
}
