/**
 * The contract of sealed copies: what they take, who is shut out, and that a seal stays.
 * Rule: once a seal is acknowledged nothing that it forbids gets in, through whatever handle.
 */
import { describe, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import { parseSeal } from "../../replicator/core/seal.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import { copyEntry, createCopy, fillCopy, freshRegion, reasonOf } from "./harness.ts";
import type { Harness } from "./harness.ts";
import { extentOf, textsAt } from "./extent.ts";
import { Recorder, bytesOf } from "./recorder.ts";

const ID = "identity-a";
const FENCE = seal("us fence 2");
const SUCCEEDED = seal(`us succeed 2 of ${ID} at 5 sum 0`);
const YIELDED = seal(`us yield 2 of ${ID} at 5 sum 0`);
const GIVEN_UP = seal("us yield 2");

function seal(text: string): Seal {
  return defined(parseSeal(text), text);
}

export function sealContract(name: string, harness: () => Harness): void {
  describe(`${name}: sealing a copy`, () => {
    it("shuts out whoever opened it before, and is known to whoever opens it afterwards", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const late = await createCopy(store, origin);
      expect(late.sealed).toBeUndefined();
      await fillCopy(late, ID, 1, 3);
      const reader = await new Recorder(late, 1).read(3);
      const copy = await createCopy(store, origin);
      expect(await copy.seal(FENCE)).toEqual({ ok: true, sealed: FENCE });
      expect(reasonOf(await late.append(copyEntry(4), 3))).toBe("unavailable");
      expect(reasonOf(await copy.append(copyEntry(4), 3))).toBe("rejected");
      const next = await createCopy(await harness().store(), origin);
      expect(next.sealed).toEqual(FENCE);
      expect(reasonOf(await next.append(copyEntry(4), 3))).toBe("rejected");
      expect(await extentOf(copy)).toMatchObject({ head: 3 });
      expect(await textsAt(late, [3, 4])).toEqual(["c3", ""]);
      expect([reader.positions, reader.broken]).toEqual([[1, 2, 3], undefined]);
    });

    it("takes up to where the heir goes on, then another log; all where the fence is given up", async () => {
      const copy = await createCopy(await harness().store(), freshRegion());
      await fillCopy(copy, ID, 1, 3);
      await copy.seal(FENCE);
      expect(await copy.seal(SUCCEEDED)).toEqual({ ok: true, sealed: SUCCEEDED });
      expect(reasonOf(await copy.append(copyEntry(4), 3))).toBe("ok");
      expect(reasonOf(await copy.append(copyEntry(5), 4))).toBe("ok");
      expect(reasonOf(await copy.append(copyEntry(6), 5))).toBe("rejected");
      const another = { position: 1, logId: "identity-b", bytes: bytesOf("first") };
      expect(reasonOf(await copy.append(another, 5))).toBe("rejected");
      await copy.seal(YIELDED);
      expect(reasonOf(await copy.append(copyEntry(6), 5))).toBe("rejected");
      expect(await copy.reset(5)).toEqual({ ok: true });
      expect(reasonOf(await copy.append(copyEntry(6), 5))).toBe("rejected");
      expect(reasonOf(await copy.append(another, 5))).toBe("ok");
      const free = await createCopy(await harness().store(), freshRegion());
      await free.seal(FENCE);
      await free.seal(GIVEN_UP);
      expect(reasonOf(await free.append(copyEntry(1), 0))).toBe("ok");
    });

    it("is of the latest decision, whoever seals last", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const copy = await createCopy(store, origin);
      const other = await createCopy(await harness().store(), origin);
      await copy.seal(SUCCEEDED);
      expect(await other.seal(FENCE)).toEqual({ ok: true, sealed: SUCCEEDED });
      expect(other.sealed).toEqual(SUCCEEDED);
      expect((await createCopy(store, origin)).sealed).toEqual(SUCCEEDED);
      expect((await createCopy(store, freshRegion())).sealed).toBeUndefined();
    });

    it("reaches a handle that empties the copy after it was sealed", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const late = await createCopy(store, origin);
      await (await createCopy(store, origin)).seal(FENCE);
      expect(await late.reset(0)).toEqual({ ok: true });
      expect(late.sealed).toEqual(FENCE);
      expect(reasonOf(await late.append(copyEntry(1), 0))).toBe("rejected");
    });

    it("stays over a restart of the server, and is of nothing that is not there", async () => {
      const origin = freshRegion();
      const store = await harness().store();
      const copy = await createCopy(store, origin);
      await copy.seal(FENCE);
      await harness().stop();
      expect(await copy.seal(SUCCEEDED)).toMatchObject({ ok: false, reason: "unavailable" });
      await harness().start();
      expect((await createCopy(await harness().store(), origin)).sealed).toEqual(FENCE);
      const gone = await createCopy(await harness().store(), freshRegion());
      await harness().deleteStream(`COPY_${gone.region}`);
      expect(await gone.seal(FENCE)).toMatchObject({ ok: false, reason: "absent" });
    });
  });
}
